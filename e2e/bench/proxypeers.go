//go:build e2e

package main

import (
	"context"
	"encoding/json"

	"github.com/fnctl/fnctl/platform"
)

// What all proxies stand before: an instance that is nginx itself, the leanest that there is, so that it is never what is
// slow; and one that is the driver, which sends the messages of WebSockets back.
var (
	backendRevision = platform.RevisionID{Function: "backend", Number: 1}
	echoRevision    = platform.RevisionID{Function: "echo", Number: 1}
)

// backendConfig answers without a file, or with one that the kernel has in memory.
const backendConfig = `user root;
worker_processes auto;
pid /run/bench-backend.pid;
error_log stderr;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	open_file_cache max=10;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	server {
		listen unix:/run/fnctl/instances/backend-00001@1.sock backlog=4096;
		root /srv/bench;
		location = /small { return 200 "Hello from the backend\n"; }
	}
}
`

// The peers as a careful administrator would set them up for the same job on the same cores: kept connections on both
// sides, buffers for large answers, the headers that the gateway sets, no access log. HAProxy wants two files for each
// connection that it may have, and starts where it may have fewer.
const (
	nginxConfig = `user root;
worker_processes auto;
pid /run/bench-nginx.pid;
error_log stderr;
events { worker_connections 8192; }
http {
	access_log off;
	keepalive_requests 1000000000;
	upstream backend {
		server unix:/run/fnctl/instances/backend-00001@1.sock;
		keepalive 1024;
		keepalive_requests 1000000000;
	}
	server {
		listen 127.0.0.1:8081 reuseport backlog=4096;
		listen 127.0.0.1:8091 http2 reuseport backlog=4096;
		listen 127.0.0.1:8441 ssl http2 reuseport backlog=4096;
		ssl_certificate /etc/bench/cert.pem;
		ssl_certificate_key /etc/bench/key.pem;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_cache shared:tls:10m;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_buffers 16 32k;
			proxy_busy_buffers_size 64k;
			proxy_max_temp_file_size 0;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Request-ID $request_id;
			add_header X-Request-ID $request_id;
		}
		location = /echo {
			proxy_pass http://unix:/run/fnctl/instances/echo-00001@1.sock;
			proxy_http_version 1.1;
			proxy_set_header Connection Upgrade;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Host $http_host;
		}
	}
}
`
	haproxyConfig = `global
	nbthread 2
	maxconn 12288
	no strict-limits
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	option http-keep-alive
	http-reuse always
	unique-id-format %[uuid()]
frontend front
	bind 127.0.0.1:8082 backlog 4096
	bind 127.0.0.1:8442 ssl crt /etc/bench/both.pem alpn h2,http/1.1 backlog 4096
	unique-id-header X-Request-ID
	http-request set-header X-Forwarded-For %[src]
	http-request set-header X-Forwarded-Host %[req.hdr(Host)]
	http-request set-header X-Forwarded-Proto http
	http-response set-header X-Request-ID %[unique-id]
	use_backend echo if { path /echo }
	default_backend back
backend back
	server instance unix@/run/fnctl/instances/backend-00001@1.sock pool-max-conn 1024
backend echo
	server instance unix@/run/fnctl/instances/echo-00001@1.sock
`
	caddyConfig = `{
	admin off
	auto_https off
	servers {
		protocols h1 h2 h2c
	}
}
(proxy) {
	header X-Request-ID {http.request.uuid}
	reverse_proxy /echo unix//run/fnctl/instances/echo-00001@1.sock
	reverse_proxy unix//run/fnctl/instances/backend-00001@1.sock {
		header_up X-Request-ID {http.request.uuid}
		transport http {
			keepalive_idle_conns 1024
			keepalive_idle_conns_per_host 1024
		}
	}
}
https://backend.localhost:8443 {
	bind 127.0.0.1
	tls /etc/bench/cert.pem /etc/bench/key.pem
	import proxy
}
http://:8083 {
	bind 127.0.0.1
	import proxy
}
`
)

// prepareProxies starts the backends, the peers before them, and routes the gateway to them. The activator is not there: it
// would put instances of its own in the place of the backends.
func (l *lab) prepareProxies(ctx context.Context) error {
	for _, rev := range []platform.RevisionID{backendRevision, echoRevision} {
		if err := l.route(ctx, rev); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		"/etc/bench-backend.conf": backendConfig,
		"/etc/bench-nginx.conf":   nginxConfig,
		"/etc/bench-haproxy.conf": haproxyConfig,
		"/etc/bench-caddy.conf":   caddyConfig,
	} {
		if err := l.machine.WriteFile(ctx, path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	_, err := l.machine.Shell(ctx, `systemctl stop fnctl-activator
mkdir /etc/bench && cd /etc/bench
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=bench -addext subjectAltName=DNS:backend.localhost \
	-keyout key.pem -out cert.pem 2>/dev/null
cat cert.pem key.pem >both.pem
{ echo 'fnctl certificate, format 1'; cat key.pem cert.pem; } >/var/lib/fnctl/certificates/backend.localhost.pem
chgrp fnctl-gateway /var/lib/fnctl/certificates/backend.localhost.pem
systemctl enable --quiet fnctl-gateway-https.socket
systemctl restart fnctl-gateway
mkdir /srv/bench && head --bytes=1M /dev/zero >/srv/bench/large
for name in backend nginx; do
	systemd-run --quiet --unit=bench-"$name" --property=LimitNOFILE=65536 nginx -c /etc/bench-"$name".conf -g 'daemon off;'
done
systemd-run --quiet --unit=bench-echo --setenv=GOMAXPROCS=1 driver echo /run/fnctl/instances/echo-00001@1.sock
systemd-run --quiet --unit=bench-haproxy --property=LimitNOFILE=65536 haproxy -db -f /etc/bench-haproxy.conf
systemd-run --quiet --unit=bench-caddy --property=LimitNOFILE=65536 --setenv=HOME=/var/tmp caddy run --adapter caddyfile --config /etc/bench-caddy.conf
for port in 8080 8081 8082 8083; do
	curl --silent --show-error --fail --retry 10 --retry-all-errors --retry-delay 1 --max-time 10 --output /dev/null \
		--header 'Host: backend.localhost:8080' http://127.0.0.1:"$port"/small
done`)
	return err
}

// route routes the gateway to a revision.
func (l *lab) route(ctx context.Context, rev platform.RevisionID) error {
	text, err := json.Marshal(platform.Route{Function: rev.Function, Traffic: []platform.TrafficShare{
		{Revision: rev, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(60)}},
	}})
	if err != nil {
		return err
	}
	return l.machine.WriteFile(ctx, platform.DefaultPaths().Route(rev.Function), text, 0o644)
}

// startNginx runs nginx as a unit, so that its processes can be told from others.
func (l *lab) startNginx(ctx context.Context) error {
	_, err := l.run(ctx, "systemd-run", "--quiet", "--unit=bench-nginx", "nginx", "-c", "/etc/bench-nginx.conf", "-g", "daemon off;")
	return err
}

// cpu is the CPU time that a unit has used, in microseconds.
func (l *lab) cpu(ctx context.Context, unit string) (float64, error) {
	return l.number(ctx, "awk", "/^usage_usec/ { print $2 }", "/sys/fs/cgroup/system.slice/"+unit+"/cpu.stat")
}
