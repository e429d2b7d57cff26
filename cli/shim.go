package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// shimCommand is what the units of programs that listen on $PORT start: it stands between systemd's socket and the program,
// and is to systemd what the program would be.
func shimCommand() *cli.Command {
	return &cli.Command{
		Name:        "shim",
		Hidden:      true,
		Usage:       "run a program that listens on $PORT behind a socket from systemd",
		UsageText:   "shim [--wait TIME] -- PROGRAM [ARG…]",
		Description: "The units of functions with runtime: port start it.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "wait", Value: time.Minute, Usage: "`TIME` in which the port must be open"},
		},
		Action: runShim,
	}
}

func runShim(c *cli.Context) error {
	if c.NArg() == 0 {
		return withHint(usageError{errors.New("shim: PROGRAM is missing")}, "usage: %s", c.Command.UsageText)
	}
	signals := catchSignals()
	if c.Context.Err() != nil {
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
	program, err := startProgram(c.Args().First(), c.Args().Tail(), port, signals)
	if err != nil {
		printError(c.App.ErrWriter, err)
		os.Exit(exitExec)
	}
	addresses, err := program.awaitPort(port, c.Duration("wait"))
	if err != nil {
		program.kill()
		return withHint(err, "a program with runtime: port must listen where the variable PORT says; one that takes a socket has runtime: socket")
	}
	relay := newRelay(listener, addresses)
	go program.forwardSignals(relay.stopAccepting)
	go relay.accept()
	<-program.ended
	relay.finish()
	program.endLikeIt()
	return nil
}

// exitExec is the status with which systemd says that it could not execute a program.
const exitExec = 203

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
	return nil, withHint(errors.New("there is no socket to pass connections on from"), "systemd starts this, in the units of functions with runtime: port")
}

// withPort writes the port into an argument that asks for it.
func withPort(arg string, port int) string {
	return strings.NewReplacer("${PORT}", strconv.Itoa(port), "$PORT", strconv.Itoa(port)).Replace(arg)
}

// startProgram starts the program with a port of its own.
func startProgram(name string, args []string, port int, signals chan os.Signal) (*shimProgram, error) {
	cmd := exec.Command(name)
	for _, arg := range args {
		cmd.Args = append(cmd.Args, withPort(arg, port))
	}
	cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(port)) // the last one counts
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	p := &shimProgram{cmd: cmd, ended: make(chan struct{}), signals: signals}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // its state tells how it ended
	}()
	return p, nil
}
