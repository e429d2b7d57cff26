package deploy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
)

const (
	// portLook is how often it is looked where a program listens that does not answer.
	portLook = time.Second
	// idleElsewhere is how long a program must have listened elsewhere, and done next to nothing, to be given up: one that loads a
	// model may have a port for metrics meanwhile.
	idleElsewhere = 20 * time.Second
	// idleShare is next to nothing, in cores.
	idleShare = 0.05
)

// watchPorts tells where a program listens instead of where it should, and cancels if it does nothing else.
func (s starter) watchPorts(ctx context.Context, rev platform.Revision, id platform.InstanceID, cancel context.CancelCauseFunc) {
	group := s.Store.Paths.InstanceCgroup(platform.SliceName(id.Revision.Function), id)
	var told string
	var since time.Time // it has been idle
	var used time.Duration
	for platform.Sleep(ctx, portLook); ctx.Err() == nil; platform.Sleep(ctx, portLook) {
		pids, err := group.PIDs()
		if err != nil {
			continue // it does not run yet
		}
		text := misplaced(pids, rev.Runtime)
		now, err := group.CPUTime()
		if text == "" || err != nil {
			since = time.Time{}
			continue
		}
		if text != told {
			told = text
			s.Progress.Note("%s", text)
		}
		busy := now-used > time.Duration(idleShare*float64(portLook))
		switch used = now; {
		case busy:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= idleElsewhere:
			cancel(platform.WithHint(fmt.Errorf("%s", text), "%s", misplacedHint(rev.Runtime)))
			return
		}
	}
}

// misplaced says where the processes of a program listen, if that is not where it should: "" if it is, or if it listens nowhere.
func misplaced(pids []int, runtime platform.Runtime) string {
	listening, err := shim.Listeners(pids)
	if err != nil || len(listening) == 0 {
		return ""
	}
	wanted, where := 0, "its socket"
	if runtime.TakesPort() {
		if wanted = portOf(pids); wanted == 0 {
			return "" // the program has not been started yet
		}
		where = fmt.Sprintf("$PORT (%d)", wanted)
	}
	var ports []string
	for _, address := range listening {
		if int(address.Port()) == wanted {
			return ""
		}
		if port := strconv.Itoa(int(address.Port())); !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return fmt.Sprintf("it listens on port %s, and not on %s", strings.Join(ports, ", "), where)
}

func misplacedHint(runtime platform.Runtime) string {
	if runtime.TakesPort() {
		return "let it listen on the port that the variable PORT names; a program that takes a socket has runtime: socket in jcloud.yml"
	}
	return "let it take file descriptor 3; or let it listen on the port that the variable PORT names, with runtime: port in jcloud.yml"
}

// portOf is the port that the shim has given to one of some processes, 0 if none has one.
func portOf(pids []int) int {
	for _, pid := range pids {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue // it has ended
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if value, is := bytes.CutPrefix(variable, []byte("PORT=")); is {
				port, _ := strconv.Atoi(string(value)) // 0 if it is none
				return port
			}
		}
	}
	return 0
}
