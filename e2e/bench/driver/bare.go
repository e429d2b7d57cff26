//go:build e2e

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// bare starts the app as anybody would without a platform: on a unix socket that it is given as file descriptor 3.
type bare struct {
	function
	argv, env   []string
	dir, socket string
}

// newBare takes the command and the environment from the running instance, and copies the app as it was deployed, with
// its compiled modules.
func newBare(f function) (*bare, error) {
	if err := f.ask(nil); err != nil {
		return nil, err
	}
	argv, env, err := f.running()
	if err != nil {
		return nil, err
	}
	b := &bare{function: f, argv: argv, env: env, dir: "/var/tmp/" + f.name, socket: "/run/bare.sock"}
	if err := run("cp", "--archive", "--no-target-directory", f.snapshot(), b.dir); err != nil {
		return nil, err
	}
	return b, nil
}

// start takes the time from the start of the command to its first answer.
func (b *bare) start(times map[string]float64) error {
	listener, err := net.Listen("unix", b.socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(b.argv[0], b.argv[1:]...)
	cmd.Env, cmd.Dir = b.env, b.dir
	cmd.ExtraFiles = []*os.File{file}

	time.Sleep(rest)
	began := monotonic()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", b.argv[0], err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()
	}()
	err = b.ask(platform.DialUnix(b.socket))
	times["bare"] = monotonic() - began
	return err
}
