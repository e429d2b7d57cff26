//go:build e2e

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
)

// bare starts the app as anybody would without a platform: on a unix socket that it is given as file descriptor 3.
type bare struct {
	argv, env []string
	dir       string
	socket    string
}

// newBare takes the command and the environment from the running instance, and copies the app as it was deployed, with
// its compiled modules.
func newBare() (*bare, error) {
	if err := ask(http.DefaultClient); err != nil {
		return nil, err
	}
	argv, env, err := running()
	if err != nil {
		return nil, err
	}
	b := &bare{argv: argv, env: env, dir: "/var/tmp/bare", socket: "/run/bare.sock"}
	if err := run("cp", "--archive", "--no-target-directory", snapshot, b.dir); err != nil {
		return nil, err
	}
	return b, nil
}

// start returns the seconds from the start of the command to its first answer.
func (b *bare) start() (float64, error) {
	listener, err := net.Listen("unix", b.socket)
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	cmd := exec.Command(b.argv[0], b.argv[1:]...)
	cmd.Env, cmd.Dir = b.env, b.dir
	cmd.ExtraFiles = []*os.File{file}

	began := monotonic()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", b.argv[0], err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()
	}()
	err = ask(&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", b.socket)
		},
	}})
	return monotonic() - began, err
}
