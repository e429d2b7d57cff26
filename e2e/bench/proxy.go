//go:build e2e

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The load on a proxy: as many clients on kept connections for so long.
const (
	proxyClients = 32
	proxySeconds = 3
)

// An instance large enough that the backend is never what is slow, and always there.
const backendConfig = `command: [./hello]
instance: C4
autoscale: {min: 1, max: 1, metric: rps, target: 1000000}
`

const backend = "#!/bin/sh\nexec /usr/local/bin/hello-go\n"

// nginx as a careful administrator would set it up for the same job: one worker, kept connections on both sides, the
// headers that the gateway sets, no access log.
const nginxConfig = `user root;
worker_processes 1;
pid /run/bench-nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 100000000;
	upstream backend {
		server unix:/run/fnctl/instances/backend-00001@1.sock;
		keepalive 64;
		keepalive_requests 100000000;
	}
	server {
		listen 127.0.0.1:8081;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Request-ID $request_id;
			add_header X-Request-ID $request_id;
		}
	}
}
`

// proxy is what is measured: the unit whose CPU time counts, and its port.
type proxy struct {
	name, unit string
	port       int
}

// benchProxy compares the CPU time that a request costs in the gateway and in nginx, before the same instance.
func benchProxy(ctx context.Context, l *lab) ([]result, error) {
	if err := l.prepareProxy(ctx); err != nil {
		return nil, err
	}
	gateway := proxy{"gateway", "fnctl-gateway.service", 8080}
	nginx := proxy{"nginx", "bench-nginx.service", 8081}
	costs := map[proxy][]float64{}
	for round := -1; round < l.rounds; round++ { // the first is to warm up
		for _, p := range []proxy{gateway, nginx} {
			cost, rate, err := l.cost(ctx, p)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				costs[p] = append(costs[p], cost)
				l.step("proxy: %s %.1f µs of CPU per request, at %.0f requests/s", p.name, cost, rate)
			}
		}
	}
	return []result{
		result{Benchmark: "proxy", Measure: "CPU time per proxied request", Unit: "µs", Ours: spreadOf(costs[gateway], 1)}.
			against("nginx", spreadOf(costs[nginx], 1)),
	}, nil
}

func (l *lab) prepareProxy(ctx context.Context) error {
	for path, text := range map[string]string{
		"/srv/backend/hello": backend, "/srv/backend/jcloud.yml": backendConfig, "/etc/bench-nginx.conf": nginxConfig,
	} {
		if err := l.machine.WriteFile(ctx, path, []byte(text), 0o755); err != nil {
			return err
		}
	}
	if _, err := l.machine.RunIn(ctx, "/srv/backend", "fnctl", "deploy"); err != nil {
		return err
	}
	return l.startNginx(ctx)
}

// startNginx runs nginx as a unit, so that its processes can be told from others.
func (l *lab) startNginx(ctx context.Context) error {
	_, err := l.run(ctx, "systemd-run", "--quiet", "--unit=bench-nginx", "nginx", "-c", "/etc/bench-nginx.conf", "-g", "daemon off;")
	return err
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

// cost puts a proxy under load and returns its CPU time per request in microseconds, and the requests per second.
func (l *lab) cost(ctx context.Context, p proxy) (usec, rate float64, err error) {
	before, err := l.cpu(ctx, p.unit)
	if err != nil {
		return 0, 0, err
	}
	out, err := l.run(ctx, "wrk", "--threads=1", fmt.Sprintf("--connections=%d", proxyClients), fmt.Sprintf("--duration=%ds", proxySeconds),
		"--header=Host: backend.localhost:8080", fmt.Sprintf("http://127.0.0.1:%d/", p.port))
	if err != nil {
		return 0, 0, err
	}
	after, err := l.cpu(ctx, p.unit)
	if err != nil {
		return 0, 0, err
	}
	found := wrkRequests.FindStringSubmatch(out)
	if found == nil || strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		return 0, 0, fmt.Errorf("wrk against %s:\n%s", p.name, out)
	}
	requests, err := strconv.ParseFloat(found[1], 64)
	return (after - before) / requests, requests / proxySeconds, err
}

// cpu is the CPU time that a unit has used, in microseconds.
func (l *lab) cpu(ctx context.Context, unit string) (float64, error) {
	return l.number(ctx, "awk", "/^usage_usec/ { print $2 }", "/sys/fs/cgroup/system.slice/"+unit+"/cpu.stat")
}
