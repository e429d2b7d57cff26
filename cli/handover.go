package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// A gateway that takes the place of another one is started by ExecReload= of fnctl-gateway.service, a process of its own
// with the sandbox that the unit has by then. It is a child of PID 1 like any main process of a service, and not of the
// process that starts it, nor of the gateway that it follows: systemd is to be told at once when it ends. The two talk over
// a pair of sockets:
//
//	the successor: serving     it accepts, and its predecessor accepts nothing more
//	its starter: main          systemd has been told that it is the main process now
//
// A successor that loses its starter before that ends: systemd would not know of it.

const (
	starterVariable = "FNCTL_STARTER_FD"
	sayServing      = "serving\n"
	sayMain         = "main\n"
	// startPatience bounds the time that a successor has to serve. It is much less than the time that systemd gives a reload.
	startPatience = 30 * time.Second
)

// startSuccessor starts a gateway in the place of the one that runs, and returns when it serves.
func startSuccessor(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return platform.WithHint(errors.New("only systemd can replace the gateway"), "systemctl reload fnctl-gateway")
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	successor, err := startSibling(theirs)
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start a gateway: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ours.SetDeadline(time.Now()) })
	defer stop()
	if err := expect(ours, sayServing); err != nil {
		_ = successor.Kill() // it may have ended already
		return platform.WithHint(errors.New("the new gateway did not start, the one that runs goes on"), "journalctl -u fnctl-gateway says why")
	}
	if _, err := daemon.SdNotify(false, "MAINPID="+strconv.Itoa(successor.Pid)); err != nil {
		return fmt.Errorf("tell systemd of the new gateway: %w", err)
	}
	_, err = io.WriteString(ours, sayMain)
	return err
}

// startSibling starts a gateway as a child of this process's parent.
func startSibling(starter *os.File) (*os.Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "gateway")
	cmd.Env = append(os.Environ(), starterVariable+"=3")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{starter}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd.Process, nil
}

// starter is the other end of a successor's pair of sockets.
type starter struct{ net.Conn }

// findStarter returns nil for a gateway that does not succeed another one.
func findStarter() *starter {
	fd, err := strconv.Atoi(os.Getenv(starterVariable))
	if err != nil {
		return nil
	}
	os.Unsetenv(starterVariable)
	file := os.NewFile(uintptr(fd), "starter")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil
	}
	return &starter{conn}
}

// report says that this gateway serves, and returns when systemd knows.
func (s *starter) report() error {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(startPatience))
	if _, err := io.WriteString(s, sayServing); err != nil {
		return fmt.Errorf("report to who has started this gateway: %w", err)
	}
	if err := expect(s, sayMain); err != nil {
		return fmt.Errorf("systemd does not know of this gateway, it ends: %w", err)
	}
	return nil
}

// expect waits for a line.
func expect(conn io.Reader, want string) error {
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && got != want {
		err = fmt.Errorf("got %q, not %q", got, want)
	}
	return err
}

func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "starter")
	file := os.NewFile(uintptr(fds[0]), "successor")
	defer file.Close()
	ours, err = net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
