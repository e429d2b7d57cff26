//go:build e2e

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// The function that is started, and its parts as fnctl names them.
const (
	function = "cold"
	unit     = "fn-cold-00001@1"
	snapshot = "/var/lib/fnctl/functions/cold/revisions/00001/app"
	url      = "http://127.0.0.1:8080/ping"
)

// cold alternates between a request to a function at zero and a bare start of the very same command.
//
// The activator is not there meanwhile: it would start again what is stopped here to be cold. It is not in the path of a
// cold start.
func cold(rounds int) (err error) {
	if err := systemctl("stop", "fnctl-activator.service"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, systemctl("start", "fnctl-activator.service")) }()
	bare, err := newBare()
	if err != nil {
		return err
	}
	for round := -1; round < rounds; round++ { // the first is to warm up
		times, err := throughFnctl()
		if err != nil {
			return err
		}
		if times["bare"], err = bare.start(); err != nil {
			return err
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
//	sandbox  until that has executed Python: user, directories, mounts, system call filter
//	python   until the answer: Python, uvicorn, the app, and the way back through the gateway
func throughFnctl() (map[string]float64, error) {
	// Its socket stays armed.
	if err := systemctl("stop", unit+".service"); err != nil {
		return nil, err
	}
	began := monotonic()
	if err := ask(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}); err != nil {
		return nil, err
	}
	ended := monotonic()
	points := []float64{began}
	for _, name := range []string{"ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"} {
		at, err := property(name)
		if err != nil {
			return nil, err
		}
		points = append(points, at)
	}
	points = append(points, ended)
	times := map[string]float64{"fnctl": ended - began}
	for i, name := range []string{"wake", "sandbox", "python"} {
		if times[name] = points[i+1] - points[i]; times[name] < 0 {
			return nil, fmt.Errorf("the service was running before it was asked for (%s took %f s)", name, times[name])
		}
	}
	return times, nil
}

func ask(client *http.Client) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = function + ".localhost:8080"
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

// running finds the command line and the environment of the running instance.
func running() (argv, env []string, err error) {
	pid, err := show("MainPID")
	if err != nil {
		return nil, nil, err
	}
	for _, part := range []struct {
		file string
		into *[]string
	}{{"cmdline", &argv}, {"environ", &env}} {
		data, err := os.ReadFile(filepath.Join("/proc", pid, part.file))
		if err != nil {
			return nil, nil, err
		}
		*part.into = strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	}
	return argv, env, nil
}
