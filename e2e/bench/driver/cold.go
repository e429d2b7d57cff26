//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// rest is how long nothing happens before each start: a processor that has just done the same is faster at it. It is the
// pause after a stop of an instance.
const rest = time.Second

// answerTimeout is how long an answer may take.
const answerTimeout = 30 * time.Second

// function is what is started: the first revision of a function at zero, and where it answers.
type function struct{ name, path string }

// unit is that of its first instance.
func (f function) unit() string { return "fn-" + f.name + "-00001@1.service" }

func (f function) snapshot() string {
	return "/var/lib/fnctl/functions/" + f.name + "/revisions/00001/app"
}

// cold compares a request to a function at zero with a bare start of the very same command, and with a request to the function when its
// sandbox is there. They take turns in going first.
//
// The activator is not there meanwhile: it would start again what is stopped here to be cold. It is not in the path of a
// cold start.
func cold(rounds int, f function) (err error) {
	if err := systemctl("stop", "fnctl-activator.service"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, systemctl("start", "fnctl-activator.service")) }()
	bare, err := newBare(f)
	if err != nil {
		return err
	}
	for round := -1; round < rounds; round++ { // the first is to warm up
		times := map[string]float64{}
		sides := []func(map[string]float64) error{f.throughFnctl, bare.start, f.fromPoised}
		for i := range sides {
			if err := sides[(i+round+1)%len(sides)](times); err != nil {
				return err
			}
		}
		if round < 0 {
			continue
		}
		if err := report(times); err != nil {
			return err
		}
	}
	return nil
}

// throughFnctl makes the function cold, asks for it through the gateway, and says where the time went:
//
//	wake     from the request until PID 1 has forked the instance's process: gateway, connect, PID 1
//	sandbox  until that has executed the app: user, directories, mounts, system call filter
//	app      until the answer: the app and its server, and the way back through the gateway
func (f function) throughFnctl(times map[string]float64) error {
	// Its socket stays armed. It takes a rest.
	if err := systemctl("stop", f.unit()); err != nil {
		return err
	}
	began := monotonic()
	if err := f.ask(nil); err != nil {
		return err
	}
	ended := monotonic()
	points := []float64{began}
	for _, name := range []string{"ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"} {
		at, err := timestamp(f.unit(), name)
		if err != nil {
			return err
		}
		points = append(points, at)
	}
	points = append(points, ended)
	times["fnctl"] = ended - began
	for i, name := range []string{"wake", "sandbox", "app"} {
		if times[name] = points[i+1] - points[i]; times[name] < 0 {
			return fmt.Errorf("the service was running before it was asked for (%s took %f s)", name, times[name])
		}
	}
	return nil
}

// fromPoised has the function's instance wait in its sandbox, as the activator would, and asks for it through the gateway.
func (f function) fromPoised(times map[string]float64) (err error) {
	mark := "/run/fnctl/instances/" + f.name + "-00001@1.poised"
	if err := systemctl("stop", f.unit()); err != nil {
		return err
	}
	if err := os.WriteFile(mark, []byte("FNCTL_POISE=1\n"), 0o644); err != nil { //nolint:gosec // as the activator's
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(mark)) }()
	if err := systemctl("start", f.unit()); err != nil {
		return err
	}
	pid, err := show(f.unit(), "MainPID")
	if err != nil {
		return err
	}
	if program, err := os.Readlink(filepath.Join("/proc", pid, "exe")); err != nil || filepath.Base(program) != "poise" {
		return fmt.Errorf("%s does not wait: it is %s, %w", f.unit(), program, err)
	}
	time.Sleep(rest)
	began := monotonic()
	if err := f.ask(nil); err != nil {
		return err
	}
	times["poised"] = monotonic() - began
	return nil
}

// ask asks over a connection of its own.
func (f function) ask(dial func(ctx context.Context, network, address string) (net.Conn, error)) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}, Timeout: answerTimeout}
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+f.path, nil)
	if err != nil {
		return err
	}
	req.Host = f.name + ".localhost:8080"
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s: %s", resp.Status, body)
	}
	return err
}

// running finds the command line and the environment of the running instance. The command is that of the unit: a script may
// have become another program.
func (f function) running() (argv, env []string, err error) {
	command, err := show(f.unit(), "ExecStart")
	if err != nil {
		return nil, nil, err
	}
	_, command, _ = strings.Cut(command, "argv[]=")
	command, _, found := strings.Cut(command, " ; ")
	if !found {
		return nil, nil, fmt.Errorf("%s has no command", f.unit())
	}
	pid, err := show(f.unit(), "MainPID")
	if err != nil {
		return nil, nil, err
	}
	environ, err := os.ReadFile(filepath.Join("/proc", pid, "environ"))
	return strings.Fields(command), strings.Split(strings.TrimSuffix(string(environ), "\x00"), "\x00"), err
}
