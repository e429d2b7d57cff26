//go:build e2e

package main

import (
	"fmt"
	"strings"
	"time"
)

// row is a load that each proxy has its turn at, and its name, which begins those of its numbers.
type row struct {
	name string
	traffic
}

// traffic is what clients do, for a while, through a proxy or straight with its backend.
type traffic interface {
	through(p proxy) (outcome, error)
}

// Of one measurement. Large answers are few, and of the open loop the tail is what counts.
const (
	smallTime = time.Second
	largeTime = 1500 * time.Millisecond
	paceTime  = 2 * time.Second
)

// contentSize is that of requests with content, which fits any proxy's buffers.
const contentSize = 4 << 10

// rows in the order in which they are measured.
var rows = []row{
	{"small 1", load{request: get("small"), connections: 1, duration: smallTime}},
	{"large 1", load{request: get("large"), connections: 1, duration: largeTime}},
	small32,
	{"large 32", load{request: get("large"), connections: 32, duration: largeTime}},
	{"small 512", load{request: get("small"), connections: 512, duration: smallTime}},
	{"large 512", load{request: get("large"), connections: 512, duration: largeTime}},
	{"new 32", load{request: get("small", "Connection: close"), connections: 32, once: true, duration: smallTime}},
	{"post 32", load{request: post("small", contentSize), connections: 32, duration: smallTime}},
	echo500,
	{"h2c 1", h2load{path: "small", connections: 1, streams: 32, duration: smallTime}},
	{"h2c 8", h2load{path: "small", connections: 8, streams: 32, duration: smallTime}},
	{"tls 32", h2load{path: "small", connections: 32, duration: smallTime, tls: true, http1: true}},
	{"tls 512", h2load{path: "small", connections: 512, duration: smallTime, tls: true, http1: true}},
	{"tls h2 32", h2load{path: "small", connections: 32, streams: 1, duration: smallTime, tls: true}},
	{"tls large", h2load{path: "large", connections: 32, duration: largeTime, tls: true, http1: true}},
	{"tls new", h2load{path: "small", handshakes: 500, tls: true, http1: true}},
}

// Rows that are needed by themselves: what backends are asked, and what warms up.
var (
	small32 = row{"small 32", load{request: get("small"), connections: 32, duration: smallTime}}
	warmUp  = row{"to warm up", small32.traffic}
	echo500 = row{"echo 500", load{opening: openWebSocket, request: maskedMessage(), echo: echoedSize, connections: 500, duration: smallTime}}
)

// paceClients are the connections of the open loop: more than are busy at once, so that a request never waits for one
// unless the proxy is behind.
const paceClients = 128

// pace is the share of nginx's throughput at which the open loop goes.
const pace = 0.7

// paced is the open loop, by what nginx has just reached.
func paced(nginx float64) row {
	return row{"paced", load{request: get("small"), connections: paceClients, duration: paceTime, rate: pace * nginx}}
}

// backendHost is the host of the function that the backend is an instance of.
const backendHost = "backend.localhost:8080"

// secureHost is the same, over TLS.
const secureHost = "backend.localhost"

func get(path string, fields ...string) []byte { return request("GET", path, backendHost, fields...) }

func post(path string, size int) []byte {
	head := request("POST", path, backendHost, "Content-Type: application/octet-stream", fmt.Sprintf("Content-Length: %d", size))
	return append(head, strings.Repeat("x", size)...)
}

// request is the head of a request.
func request(method, path, host string, fields ...string) []byte {
	lines := append([]string{method + " /" + path + " HTTP/1.1", "Host: " + host, "User-Agent: driver", "Accept: */*"}, fields...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}
