// Package shim stands between the socket that systemd gives to an instance and a program that listens on $PORT, and is to
// systemd what the program would be. It runs in every instance of such functions, so it imports nothing of the platform.
package shim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// ErrNoSocket is returned if the process has not inherited one unix socket that listens.
var ErrNoSocket = errors.New("there is no socket to pass connections on from")

// PortError says that the program did not open its port in time.
type PortError struct {
	Port   int
	Within time.Duration
}

func (e *PortError) Error() string {
	return fmt.Sprintf("it never listened on port %d ($PORT): %v were not enough", e.Port, e.Within)
}

// StartError says that the program could not be executed. ExitExec is the exit status for it.
type StartError struct{ Err error }

func (e *StartError) Error() string { return "start the program: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return e.Err }

// ExitExec is the exit status with which systemd says that it could not execute a program.
const ExitExec = 203

// Patience is how long a program is waited for that does not listen yet.
type Patience struct {
	// Limit is how long at most; 0 means until somebody ends the process. Units that fnctl wrote before it limited starts by
	// itself have one.
	Limit time.Duration
	// Late is told of the port, and for how long it was waited for: first after firstLate, and then after twice as long each time.
	Late func(port int, waited time.Duration)
}

// Run starts a program with a free port in $PORT, waits until it listens there, and passes the connections of the inherited
// socket on to it. Signals are passed on as well. When the program ends, Run ends this process in the same way; it returns
// only with an error: ErrNoSocket, a *StartError, or a *PortError if the port was not open within the limit. If the context
// has ended before, the process ends as by SIGTERM.
func Run(ctx context.Context, patience Patience, name string, args ...string) error {
	signals := catchSignals()
	if ctx.Err() != nil {
		dieBy(unix.SIGTERM) // it came before there is a program that could get it
	}
	listener, err := inheritedListener()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	p, err := startProgram(name, args, port, signals)
	if err != nil {
		return &StartError{err}
	}
	addresses, err := p.awaitPort(port, patience)
	if err != nil {
		p.kill()
		return err
	}
	relay := newRelay(listener, port, addresses)
	go p.forwardSignals(relay.stopAccepting)
	go relay.accept()
	<-p.ended
	relay.finish()
	p.endLikeIt()
	return nil
}

// inheritedListener is the socket of the instance. The program is not to see that there is one.
func inheritedListener() (*net.UnixListener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over the socket: %w", err)
	}
	if len(listeners) == 1 {
		if listener, is := listeners[0].(*net.UnixListener); is {
			return listener, nil
		}
	}
	return nil, ErrNoSocket
}

// ExpandPort writes a port into an argument that asks for it, as $PORT or ${PORT}.
func ExpandPort(arg string, port int) string {
	return strings.NewReplacer("${PORT}", strconv.Itoa(port), "$PORT", strconv.Itoa(port)).Replace(arg)
}

// startProgram starts the program with a port of its own.
func startProgram(name string, args []string, port int, signals chan os.Signal) (*program, error) {
	cmd := exec.Command(name)
	for _, arg := range args {
		cmd.Args = append(cmd.Args, ExpandPort(arg, port))
	}
	cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(port)) // the last one counts
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	p := &program{cmd: cmd, ended: make(chan struct{}), signals: signals}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // its state tells how it ended
	}()
	return p, nil
}
