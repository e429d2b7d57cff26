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
	// usedPort is the port, as Python, Go, Node and Ruby name it in such a line. Not all do.
	usedPort = regexp.MustCompile(`\('[^']*', (\d{1,5})\b|:(\d{1,5}): bind:|\bport (\d{1,5})\b|:(\d{1,5})\s*$`)
)

// overlapHint is what to do about an app that holds what only one can hold.
const overlapHint = "a new instance starts beside the old one, unless jcloud.yml has overlap: false; fnctl deploy --recreate ends the old one first, this time"

// withPortHolder adds to an error who has the port that an instance finds taken, if its lines say that one is.
func (s starter) withPortHolder(ctx context.Context, err error, id platform.InstanceID, lines []string) error {
	at := slices.IndexFunc(lines, portInUse.MatchString)
	if at < 0 {
		return err
	}
	port := usedPortOf(lines[at])
	holder, held := s.holderOf(ctx, id, port)
	said := fmt.Sprintf("port %d is taken", port)
	switch {
	case port == 0 && held == 0:
		said = "its port is taken"
	case port == 0:
		said = fmt.Sprintf("its port is taken, and port %d is held by %s", held, holder)
	case held != 0:
		said = fmt.Sprintf("port %d is held by %s", held, holder)
	}
	hint := "choose another port; ss -ltnp says who has it"
	switch {
	case held == 0:
	case holder.Revision == id.Revision:
		hint = "only one instance can have it: autoscale: {max: 1} in jcloud.yml"
	case holder.Revision.Function == id.Revision.Function:
		hint = overlapHint
	}
	return platform.WithHint(fmt.Errorf("%w: %s: instances share the network of the machine", err, said), "%s", hint)
}

// usedPortOf is the port that a line names, 0 if it names none.
func usedPortOf(line string) uint16 {
	found := usedPort.FindStringSubmatch(line)
	if found == nil {
		return 0
	}
	port, err := strconv.ParseUint(strings.Join(found[1:], ""), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
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
		pids, err := s.Store.Paths.InstanceCgroup(platform.SliceName(id.Revision.Function), id).PIDs()
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
