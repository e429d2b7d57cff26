//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// proxy is one of those that are compared: the unit whose CPU time and memory count, where it listens, and its port for HTTP/2
// without TLS, which is another one if it cannot tell the two apart, and that for TLS.
type proxy struct {
	name, unit string
	address    unix.Sockaddr
	h2c, https int
}

var proxies = []proxy{
	{"fnctl", "fnctl-gateway.service", loopback(8080), 8080, 443},
	{"nginx", "bench-nginx.service", loopback(8081), 8091, 8441},
	{"haproxy", "bench-haproxy.service", loopback(8082), 8082, 8442},
	{"caddy", "bench-caddy.service", loopback(8083), 8083, 8443},
}

// What all of them are a proxy of, and what is asked itself to see that it is not the bottleneck.
var (
	backend     = proxy{name: "backend", unit: "bench-backend.service", address: &unix.SockaddrUnix{Name: "/run/fnctl/instances/backend-00001@1.sock"}}
	echoBackend = proxy{name: "backend", unit: "bench-echo.service", address: &unix.SockaddrUnix{Name: "/run/fnctl/instances/echo-00001@1.sock"}}
)

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}
}

// proxyRounds compares the proxies, in rounds in which each has its turn at everything.
func proxyRounds(rounds int) error {
	if err := warmUp.compare(map[string]float64{}, proxies); err != nil {
		return err
	}
	for round := range rounds {
		found := map[string]float64{}
		if err := errors.Join(proxyRound(found, rotated(round)), report(found)); err != nil {
			return err
		}
	}
	return nil
}

// rotated lets another one be first in each round.
func rotated(by int) []proxy {
	by %= len(proxies)
	return append(proxies[by:len(proxies):len(proxies)], proxies[:by]...)
}

func proxyRound(found map[string]float64, turns []proxy) error {
	for _, r := range rows {
		if err := r.compare(found, turns); err != nil {
			return err
		}
	}
	if err := paced(found["nginx small 32 rate"]).compare(found, turns); err != nil {
		return err
	}
	return errors.Join(small32.compare(found, []proxy{backend}), echo500.compare(found, []proxy{echoBackend}))
}

// compare puts one proxy after the other under the load of a row.
func (r row) compare(found map[string]float64, turns []proxy) error {
	for _, p := range turns {
		got, err := r.through(p)
		if err != nil {
			return fmt.Errorf("%s %s: %w", p.name, r.name, err)
		}
		name := p.name + " " + r.name
		found[name+" rate"] = got.perSecond()
		found[name+" p50"] = got.quantile(0.5)
		found[name+" p99"] = got.quantile(0.99)
		found[name+" cpu"] = got.cpu / float64(got.answers)
	}
	return nil
}

// cpu is the CPU time that a proxy has used, in seconds, with all its processes.
func (p proxy) cpu() (float64, error) {
	stat, err := p.read("cpu.stat")
	if err != nil {
		return 0, err
	}
	usec, err := lineOf(stat, "usage_usec ")
	return usec / 1e6, err
}

// memory is what a proxy has in memory, in bytes, with all its processes and without counting a page twice that they share.
func (p proxy) memory() (total float64, err error) {
	pids, err := p.read("cgroup.procs")
	if err != nil {
		return 0, err
	}
	for _, pid := range strings.Fields(pids) {
		rollup, err := os.ReadFile(filepath.Join("/proc", pid, "smaps_rollup"))
		if err != nil {
			return 0, err
		}
		kb, err := lineOf(string(rollup), "Pss:")
		if err != nil {
			return 0, err
		}
		total += kb * 1024
	}
	return total, nil
}

// read reads a file of the proxy's control group.
func (p proxy) read(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/system.slice", p.unit, file))
	return string(text), err
}

// lineOf is the number of the line that begins with a name.
func lineOf(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("there is no line %q", name)
}
