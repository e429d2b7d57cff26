//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// h2load is the load that nghttp2's program of that name makes: each connection asks again in each of its streams as soon as
// that has its answer, over HTTP/2 with prior knowledge, or over TLS 1.3 in either version of HTTP.
type h2load struct {
	path                 string
	connections, streams int
	duration             time.Duration
	tls, http1           bool
	// handshakes has each connection ask once: it is the number of connections, of which so many are made at once.
	handshakes int
}

// through implements traffic.
func (l h2load) through(p proxy) (outcome, error) {
	log, err := os.CreateTemp("", "h2load-")
	if err != nil {
		return outcome{}, err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	before, err := p.cpu()
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	if err := l.run(p, log.Name()); err != nil {
		return outcome{}, err
	}
	seconds := l.duration.Seconds()
	if l.handshakes > 0 {
		seconds = time.Since(began).Seconds()
	}
	after, err := p.cpu()
	if err != nil {
		return outcome{}, err
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return outcome{}, err
	}
	got := outcome{seconds: seconds, cpu: after - before}
	err = got.takeLog(string(text))
	return got, err
}

func (l h2load) run(p proxy, log string) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.duration+answerTimeout)
	defer cancel()
	args := []string{"--log-file=" + log}
	if l.handshakes > 0 {
		args = append(args, "--clients="+strconv.Itoa(l.handshakes), "--requests="+strconv.Itoa(l.handshakes))
	} else {
		args = append(args, "--clients="+strconv.Itoa(l.connections), "--max-concurrent-streams="+strconv.Itoa(max(l.streams, 1)),
			fmt.Sprintf("--duration=%dms", l.duration.Milliseconds()))
	}
	if l.http1 {
		args = append(args, "--h1")
	}
	if l.tls {
		args = append(args, fmt.Sprintf("--connect-to=127.0.0.1:%d", p.https), "https://"+secureHost+"/"+l.path)
	} else {
		args = append(args, "--header=:authority: "+backendHost, fmt.Sprintf("http://127.0.0.1:%d/%s", p.h2c, l.path))
	}
	out, err := exec.CommandContext(ctx, "h2load", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("h2load: %w\n%s", err, out)
	}
	return nil
}

// takeLog counts the answers of h2load's log: of each when it was asked for, its status, and how many microseconds it took.
func (o *outcome) takeLog(text string) error {
	for line := range strings.Lines(text) {
		var began, status, took int64
		if _, err := fmt.Sscan(line, &began, &status, &took); err != nil {
			return fmt.Errorf("read h2load's log: %w: %q", err, line)
		}
		if status != 200 {
			return fmt.Errorf("got an answer that is not good: %d", status)
		}
		o.latencies = append(o.latencies, time.Duration(took)*time.Microsecond)
	}
	if o.answers = len(o.latencies); o.answers == 0 {
		return errNoAnswer
	}
	return nil
}
