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
// that has its answer, over HTTP/2 with prior knowledge.
type h2load struct {
	path                 string
	connections, streams int
	duration             time.Duration
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
	if err := l.run(p.h2c, log.Name()); err != nil {
		return outcome{}, err
	}
	after, err := p.cpu()
	if err != nil {
		return outcome{}, err
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return outcome{}, err
	}
	got := outcome{seconds: l.duration.Seconds(), cpu: after - before}
	err = got.takeLog(string(text))
	return got, err
}

func (l h2load) run(port int, log string) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.duration+answerTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "h2load", "--clients="+strconv.Itoa(l.connections),
		"--max-concurrent-streams="+strconv.Itoa(l.streams), fmt.Sprintf("--duration=%dms", l.duration.Milliseconds()),
		"--log-file="+log, "--header=:authority: "+backendHost, fmt.Sprintf("http://127.0.0.1:%d/%s", port, l.path)).CombinedOutput()
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
