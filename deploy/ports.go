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
	idleElsewhere = 10 * time.Second
	// idleTicks is next to nothing, of the hundred ticks that a core has between two looks.
	idleTicks = 5
)

// watchPorts tells where a program listens instead of where it should, and cancels if it does nothing else.
func (s starter) watchPorts(ctx context.Context, rev platform.Revision, id platform.InstanceID, cancel context.CancelCauseFunc) {
	group := platform.InstanceCgroup(s.Store.Paths, platform.SliceName(id.Revision.Function), id)
	var told string
	var since time.Time // it has been idle
	used := 0
	for platform.Sleep(ctx, portLook); ctx.Err() == nil; platform.Sleep(ctx, portLook) {
		pids, err := group.PIDs()
		if err != nil {
			continue // it does not run yet
		}
		port := 0
		if rev.Runtime.TakesPort() {
			pids, port = programsOf(pids) // without the shim, which looks for the port
		}
		text := misplaced(pids, rev.Runtime, port)
		if text == "" {
			since = time.Time{}
			continue
		}
		if text != told {
			if !rev.Runtime.TakesPort() && s.readsSocket(ctx, id) {
				return // it has a port besides
			}
			told = text
			s.Progress.Note("%s", text)
		}
		before := used
		switch used = ticksOf(pids); {
		case used-before > idleTicks:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= idleElsewhere:
			if !rev.Runtime.TakesPort() && s.readsSocket(ctx, id) {
				return
			}
			cancel(platform.WithHint(fmt.Errorf("%s", text), "%s", misplacedHint(rev.Runtime)))
			return
		}
	}
}

// readsSocket reports whether an instance reads what comes over its socket, though it may not be healthy yet.
func (s starter) readsSocket(ctx context.Context, id platform.InstanceID) bool {
	ctx, cancel := context.WithTimeout(ctx, portLook)
	defer cancel()
	conn, err := platform.Probe(ctx, s.Store.Paths.InstanceSocket(id), 'G')
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// misplaced says where the processes of a program listen, if that is not where it should: "" if it is, or if it listens nowhere. port is
// what the shim has given it.
func misplaced(pids []int, runtime platform.Runtime, port int) string {
	listening, err := shim.Listeners(pids)
	if err != nil {
		return ""
	}
	var ports []string
	for _, address := range listening {
		if int(address.Port()) == port {
			return ""
		}
		if port := strconv.Itoa(int(address.Port())); !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	switch {
	case len(ports) == 0:
		return ""
	case runtime.TakesPort():
		return fmt.Sprintf("it listens on port %s, and not on $PORT (%d)", strings.Join(ports, ", "), port)
	}
	return fmt.Sprintf("it listens on port %s, and not on its socket", strings.Join(ports, ", "))
}

func misplacedHint(runtime platform.Runtime) string {
	if runtime.TakesPort() {
		return "let it listen on the port that the variable PORT names; a program that takes a socket has runtime: socket in jcloud.yml"
	}
	return "let it take file descriptor 3; or let it listen on the port that the variable PORT names, with runtime: port in jcloud.yml"
}

// programsOf are those of some processes to which the shim has given a port, and that port, 0 if there is none.
func programsOf(pids []int) (programs []int, port int) {
	for _, pid := range pids {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue // it has ended
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if value, is := bytes.CutPrefix(variable, []byte("PORT=")); is {
				programs = append(programs, pid)
				port, _ = strconv.Atoi(string(value)) // 0 if it is none
			}
		}
	}
	return programs, port
}

// ticksOf is the processor time of some processes, in ticks of which a second has a hundred (proc(5), "/proc/pid/stat").
func ticksOf(pids []int) (ticks int) {
	const user, system = 11, 12 // behind the name of the program, which may have blanks
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for i, field := range fields {
			if i == user || i == system {
				n, _ := strconv.Atoi(field) // digits
				ticks += n
			}
		}
	}
	return ticks
}
