//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// proxy is one of those that are compared: the unit whose CPU time counts, and its port.
type proxy struct {
	name, unit string
	port       int
}

var proxies = []proxy{
	{"fnctl", "fnctl-gateway.service", 8080},
	{"nginx", "bench-nginx.service", 8081},
	{"haproxy", "bench-haproxy.service", 8082},
	{"caddy", "bench-caddy.service", 8083},
}

// backendSocket is what all of them are a proxy of.
const backendSocket = "/run/fnctl/instances/backend-00001@1.sock"

// Of one measurement. Large answers are few, and of the open loop the tail is what counts.
const (
	smallTime = time.Second
	largeTime = 1500 * time.Millisecond
	paceTime  = 2 * time.Second
)

// paceClients are the connections of the open loop: more than are busy at once, so that a request never waits for one
// unless the proxy is behind.
const paceClients = 128

// pace is the share of nginx's throughput at which the open loop goes.
const pace = 0.7

// proxyRounds compares the proxies, in rounds in which each has its turn at everything.
func proxyRounds(rounds int) error {
	warmUp := load{request: get("small"), connections: 32, duration: smallTime}
	if err := warmUp.compare(map[string]float64{}, proxies, "to warm up"); err != nil {
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
	for _, connections := range []int{1, 32, 512} {
		small := load{request: get("small"), connections: connections, duration: smallTime}
		large := load{request: get("large"), connections: connections, duration: largeTime}
		if err := errors.Join(small.compare(found, turns, fmt.Sprintf("small %d", connections)),
			large.compare(found, turns, fmt.Sprintf("large %d", connections))); err != nil {
			return err
		}
	}
	l := load{request: get("small"), connections: paceClients, duration: paceTime, rate: pace * found["nginx small 32 rate"]}
	if err := l.compare(found, turns, "paced"); err != nil {
		return err
	}
	l = load{address: &unix.SockaddrUnix{Name: backendSocket}, request: get("small"), connections: 32, duration: smallTime}
	alone, err := l.run()
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	found["backend rate"] = alone.perSecond()
	return nil
}

func get(path string) []byte {
	return []byte("GET /" + path + " HTTP/1.1\r\nHost: backend.localhost:8080\r\nUser-Agent: driver\r\nAccept: */*\r\n\r\n")
}

// compare puts one proxy after the other under a load.
func (l load) compare(found map[string]float64, turns []proxy, what string) error {
	for _, p := range turns {
		if err := l.through(p, found, p.name+" "+what); err != nil {
			return fmt.Errorf("%s %s: %w", p.name, what, err)
		}
	}
	return nil
}

func (l load) through(p proxy, found map[string]float64, name string) error {
	l.address = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: p.port}
	before, err := p.cpu()
	if err != nil {
		return err
	}
	got, err := l.run()
	if err != nil {
		return err
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	found[name+" rate"] = got.perSecond()
	found[name+" p50"] = got.quantile(0.5)
	found[name+" p99"] = got.quantile(0.99)
	found[name+" cpu"] = (after - before) / float64(got.answers)
	return nil
}

// cpu is the CPU time that a proxy has used, in seconds, with all its processes.
func (p proxy) cpu() (float64, error) {
	stat, err := os.ReadFile("/sys/fs/cgroup/system.slice/" + p.unit + "/cpu.stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(stat)) {
		if usec, ok := strings.CutPrefix(line, "usage_usec "); ok {
			used, err := strconv.ParseFloat(strings.TrimSpace(usec), 64)
			return used / 1e6, err
		}
	}
	return 0, errors.New("read CPU time: there is no usage_usec")
}
