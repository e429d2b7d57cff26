package deploy

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
)

var (
	// portInUse is what programs print that find their port taken.
	portInUse = regexp.MustCompile(`(?i)address already in use|EADDRINUSE|connection in use`)
	// usedPort is the port, as Python, Go, Node and Ruby name it in such a line.
	usedPort = regexp.MustCompile(`\('[^']*', (\d{1,5})\b|:(\d{1,5}): bind:|\bport (\d{1,5})\b|:(\d{1,5})\s*$`)
	// boundPort is the port in a line of the program that Python shows of an error which does not name it.
	boundPort = regexp.MustCompile(`\(["'][^"']*["'], *(\d{1,5})\b|\bport *= *(\d{1,5})\b`)
)

// overlapHint is what to do about an app that holds what only one can hold.
const overlapHint = "a new instance starts beside the old one, unless jcloud.yml has overlap: false; fnctl deploy --recreate ends the old one first, this time"

// explainPort says who has the port that an instance finds taken, if its lines say that one is, and what to do: "" if they do not.
func (s starter) explainPort(ctx context.Context, id platform.InstanceID, lines []string) (reason, hint string) {
	at := slices.IndexFunc(lines, portInUse.MatchString)
	if at < 0 {
		return "", ""
	}
	port := portIn(usedPort, lines[at])
	if port == 0 {
		port = boundPortOf(lines[:at])
	}
	holder, held := s.holderOf(ctx, id, port)
	other := ""
	if port != 0 && held == 0 {
		other = holderOfMachine(port)
	}
	switch {
	case port == 0 && held == 0:
		reason = "its port is taken"
	case port == 0:
		reason = fmt.Sprintf("its port is taken, and port %d is held by %s", held, holder)
	case held != 0:
		reason = fmt.Sprintf("port %d is held by %s", held, holder)
	case other != "":
		reason = fmt.Sprintf("port %d is held by %s", port, other)
	default:
		reason = fmt.Sprintf("port %d is taken", port)
	}
	if held == 0 && other == "" {
		holder = s.beside(ctx, id) // what is taken may be no port of TCP
	}
	hint = "choose another port; ss -ltnp says who has it"
	switch {
	case holder.Revision == id.Revision:
		hint = "only one instance can have it: autoscale: {max: 1} in jcloud.yml"
	case holder.Revision.Function == id.Revision.Function:
		hint = overlapHint
	}
	return reason + ": instances share the network of the machine", hint
}

// beside is another instance of the same function that runs, if there is one: of the same revision, or else of another.
func (s starter) beside(ctx context.Context, id platform.InstanceID) (found platform.InstanceID) {
	running, err := teardown{Engine: s.Engine}.instances(ctx, id.Revision.Function)
	if err != nil {
		return found
	}
	for other, runs := range running {
		if runs && other != id && found.Revision != id.Revision {
			found = other
		}
	}
	return found
}

// holderOfMachine is who of the machine listens on a port, "" if nobody does.
func holderOfMachine(port uint16) string {
	holders, err := shim.Holders(port)
	if err != nil || len(holders) == 0 {
		return ""
	}
	return holders[0].Name()
}

// portIn is the port that a pattern finds in a line, 0 if there is none.
func portIn(pattern *regexp.Regexp, line string) uint16 {
	found := pattern.FindStringSubmatch(line)
	if found == nil {
		return 0
	}
	port, err := strconv.ParseUint(strings.Join(found[1:], ""), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

// boundPortOf is the last port that the lines above an error name and somebody has, 0 if there is none.
func boundPortOf(lines []string) uint16 {
	for _, line := range slices.Backward(lines) {
		if port := portIn(boundPort, line); port != 0 && holderOfMachine(port) != "" {
			return port
		}
	}
	return 0
}

// holderOf is the instance that listens on a port, which is 0 if none does. A port that is not known, 0, is taken for one of those that another
// instance of the same function has for itself.
func (s starter) holderOf(ctx context.Context, asks platform.InstanceID, port uint16) (holder platform.InstanceID, held uint16) {
	list, err := s.Units.List(ctx, "fn-*@*.service")
	if err != nil {
		return platform.InstanceID{}, 0
	}
	for _, unit := range list {
		id, _, ok := platform.ParseUnit(unit.Name)
		if !ok || unit.Gone() || id == asks || port == 0 && id.Revision.Function != asks.Revision.Function {
			continue
		}
		pids, err := platform.InstanceCgroup(s.Store.Paths, platform.SliceName(id.Revision.Function), id).PIDs()
		if err != nil {
			continue
		}
		listening, err := shim.Listeners(pids)
		if err != nil {
			continue
		}
		_, given := programsOf(pids)
		for _, address := range listening {
			if address.Port() == port || port == 0 && int(address.Port()) != given {
				return id, address.Port()
			}
		}
	}
	return platform.InstanceID{}, 0
}
