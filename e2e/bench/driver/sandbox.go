//go:build e2e

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// sandbox takes the times from a connection to the first answer of services that differ in their sandbox only. They take
// turns, and another one begins in each round, so that whatever else the host does hits all of them.
func sandbox(rounds int, names []string) error {
	for round := -1; round < rounds; round++ { // the first is to warm up
		times := map[string]float64{}
		for i := range names {
			name := names[(i+round+len(names))%len(names)]
			took, cpu, err := wake(name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			times[name], times[name+" cpu"] = took, cpu
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

// wake returns the seconds until a service that its socket starts has answered, and the processor time that this took: that
// of PID 1 and of the service. It stops the service again.
func wake(name string) (took, cpu float64, err error) {
	before, err := cpuOfPID1()
	if err != nil {
		return 0, 0, err
	}
	began := monotonic()
	if err := askService(name); err != nil {
		return 0, 0, err
	}
	took = monotonic() - began
	after, err := cpuOfPID1()
	if err != nil {
		return 0, 0, err
	}
	service, err := cpuOfService(name)
	if err != nil {
		return 0, 0, err
	}
	return took, after - before + service, systemctl("stop", name+".service")
}

func askService(name string) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       platform.DialUnix("/run/" + name + ".sock"),
	}}
	resp, err := client.Get("http://sandbox/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// cpuOfPID1 is the processor time of PID 1 so far, in seconds.
func cpuOfPID1() (float64, error) {
	text, err := os.ReadFile("/proc/1/schedstat")
	if err != nil {
		return 0, err
	}
	running, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseFloat(running, 64)
	return ns / 1e9, err
}

// cpuOfService is the processor time of a running service so far, in seconds: its sandbox is made by a process of its own.
func cpuOfService(name string) (float64, error) {
	text, err := os.ReadFile("/sys/fs/cgroup/system.slice/" + name + ".service/cpu.stat")
	if err != nil {
		return 0, err
	}
	var usec float64
	_, err = fmt.Sscanf(string(text), "usage_usec %f", &usec)
	return usec / 1e6, err
}
