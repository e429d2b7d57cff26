//go:build e2e

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The environment of commands on the machine: nothing of the host's gets there.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb",
	"DEBIAN_FRONTEND=noninteractive",
}

// Result is what a command left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit code; -1 if it did not end by itself
}

// Run runs a command on the machine as root, in /. The error tells of one that could not be run, was
// cut short by ctx, or did not exit with 0, and then quotes what it wrote; the Result is good all the same.
func (m *Machine) Run(ctx context.Context, name string, args ...string) (Result, error) {
	return run(m.Command(ctx, name, args...))
}

// RunIn is Run in a working directory of the machine.
func (m *Machine) RunIn(ctx context.Context, dir, name string, args ...string) (Result, error) {
	return m.Run(ctx, "env", append([]string{"--chdir=" + dir, name}, args...)...)
}

// Shell runs a script with bash -euo pipefail.
func (m *Machine) Shell(ctx context.Context, script string) (Result, error) {
	return m.Run(ctx, "bash", "-euo", "pipefail", "-c", script)
}

func run(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if err != nil {
		err = fmt.Errorf("run %s: %w\n%s%s", strings.Join(insideArgs(cmd), " "), err, tail(result.Stdout), tail(result.Stderr))
	}
	return result, err
}

// Command prepares a command on the machine, for a caller that wants its pipes, its environment or to
// start it and go on. It ends with all its children when ctx does, or with Stop.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	target := strconv.Itoa(m.Leader())
	enter := []string{"--target", target, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--net", "--", "setsid", name}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = append([]string{}, environment...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	cmd.Cancel = func() error { return Stop(cmd, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // a daemon left behind may hold the pipes open
	return cmd
}

// Stop sends a signal to a started Command and all its children, as a terminal does.
//
// nsenter gets none: it ends when its child has. If it ended first, the child would be the host's PID 1
// to reap, and while that is late, or never does, the machine cannot shut down.
func Stop(cmd *exec.Cmd, signal syscall.Signal) error {
	pid := cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	child, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		return syscall.Kill(pid, signal) // not there yet
	}
	if err := syscall.Kill(-child, signal); err != nil {
		return syscall.Kill(child, signal) // before its setsid
	}
	return nil
}

// insideArgs returns the command line as the machine knows it.
func insideArgs(cmd *exec.Cmd) []string {
	for i, arg := range cmd.Args {
		if arg == "--" {
			return cmd.Args[i+2:] // after setsid
		}
	}
	return cmd.Args
}

func tail(s string) string {
	const limit = 4000
	if len(s) > limit {
		s = "…" + s[len(s)-limit:]
	}
	return s
}

// CopyIn copies a file or directory of the host to a path of the machine, which names the copy itself,
// not the directory to put it into. Owners become root.
func (m *Machine) CopyIn(ctx context.Context, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("copy in: %w", err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("copy in: %w", err)
		}
		return m.WriteFile(ctx, to, data, info.Mode().Perm())
	}
	if _, err := m.Run(ctx, "mkdir", "-p", to); err != nil {
		return fmt.Errorf("copy in: %w", err)
	}
	pack := exec.CommandContext(ctx, "tar", "--create", "--file=-", "--directory="+from, "--exclude=__pycache__", ".")
	unpack := m.Command(ctx, "tar", "--extract", "--file=-", "--directory="+to, "--no-same-owner")
	reader, writer := io.Pipe()
	pack.Stdout, unpack.Stdin = writer, reader
	packed := make(chan error, 1)
	go func() {
		err := pack.Run()
		writer.CloseWithError(err)
		packed <- err
	}()
	_, err = run(unpack)
	reader.Close()
	if err := errors.Join(err, <-packed); err != nil {
		return fmt.Errorf("copy %s in: %w", from, err)
	}
	return nil
}

// WriteFile writes a file of the machine, and makes its directory.
func (m *Machine) WriteFile(ctx context.Context, to string, data []byte, mode fs.FileMode) error {
	if _, err := m.Run(ctx, "mkdir", "-p", path.Dir(to)); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	cmd := m.Command(ctx, "install", "-m", fmt.Sprintf("%04o", mode.Perm()), "/dev/stdin", to)
	cmd.Stdin = bytes.NewReader(data)
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("write file %s: %w", to, err)
	}
	return nil
}

// ReadFile reads a file of the machine.
func (m *Machine) ReadFile(ctx context.Context, from string) ([]byte, error) {
	out, err := m.Run(ctx, "cat", "--", from)
	return []byte(out.Stdout), err
}

// Install installs a .deb of the host with apt, as a user would with apt-get install ./x.deb.
func (m *Machine) Install(ctx context.Context, deb string) error {
	to := "/var/tmp/" + filepath.Base(deb) // not /root: apt reads it as a user of its own
	if err := m.CopyIn(ctx, deb, to); err != nil {
		return err
	}
	_, err := m.Run(ctx, "apt-get", "install", "--yes", "--quiet", to)
	return err
}
