//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// lab is a machine with fnctl, the driver and the backend on it.
type lab struct {
	options
	machine *machine.Machine
	began   time.Time
}

func newLab(ctx context.Context, o options, began time.Time) (*lab, error) {
	l := &lab{options: o, began: began}
	if l.deb == "" {
		var err error
		if l.deb, err = machine.NewestDeb(); err != nil {
			return nil, err
		}
	}
	l.step("booting %s and installing %s", l.suite, filepath.Base(l.deb))
	m, err := machine.Boot(ctx, machine.Options{Suite: l.suite})
	if err != nil {
		return nil, err
	}
	l.machine = m
	if err := l.install(ctx); err != nil {
		m.Close()
		return nil, err
	}
	return l, nil
}

func (l *lab) install(ctx context.Context) error {
	if err := l.machine.Install(ctx, l.deb); err != nil {
		return err
	}
	// Statically linked: the machine is another Debian than the host, perhaps.
	for name, source := range map[string]string{"driver": "e2e/bench/driver", "hello-go": "testdata/functions/hello-go"} {
		if err := l.build(ctx, source, "/usr/local/bin/"+name); err != nil {
			return err
		}
	}
	return nil
}

// configure sets fnctl.yml.
func (l *lab) configure(ctx context.Context, settings string) error {
	if err := l.machine.WriteFile(ctx, "/etc/fnctl/fnctl.yml", []byte(settings), 0o644); err != nil {
		return err
	}
	_, err := l.run(ctx, "systemctl", "restart", "fnctl-activator")
	return err
}

// build compiles a program of the repository onto the machine.
func (l *lab) build(ctx context.Context, source, to string) error {
	dir, err := os.MkdirTemp("", "fnctl-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "binary")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "e2e", "-ldflags", "-s -w", "-o", binary, "./"+source)
	cmd.Dir = machine.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return l.machine.CopyIn(ctx, binary, to)
}

// step tells what is being done, with the seconds since the beginning.
func (l *lab) step(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%5.1fs] %s\n", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}

// run runs a command of the machine and returns what it prints.
func (l *lab) run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := l.machine.Run(ctx, name, args...)
	return out.Stdout, err
}

// number runs a command of the machine that prints a number.
func (l *lab) number(ctx context.Context, name string, args ...string) (float64, error) {
	out, err := l.run(ctx, name, args...)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(out), 64)
}

// drive runs the driver and collects the times of its rounds by name. Each round is told to seen.
func (l *lab) drive(ctx context.Context, seen func(round map[string]float64), args ...string) (map[string][]float64, error) {
	cmd := l.machine.Command(ctx, "driver", args...)
	var failed strings.Builder
	cmd.Stderr = &failed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	times := map[string][]float64{}
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		var round map[string]float64
		if err := json.Unmarshal(scanner.Bytes(), &round); err != nil {
			return nil, fmt.Errorf("read the driver's times: %w", err)
		}
		for name, seconds := range round {
			times[name] = append(times[name], seconds)
		}
		seen(round)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("driver %s: %w\n%s", strings.Join(args, " "), err, failed.String())
	}
	return times, nil
}

// until waits for a condition of the machine.
func (l *lab) until(ctx context.Context, what string, condition func() (bool, error)) error {
	const waitTimeout = 5 * time.Minute
	deadline := time.Now().Add(waitTimeout)
	for {
		met, err := condition()
		if met || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", waitTimeout, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
