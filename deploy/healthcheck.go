package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/visitor"
)

const (
	// healthPoll is how often an instance is asked at first that is not healthy yet. Later it is a tenth of the time that
	// it has taken already, so that the questions don't fill its log: there are less than maxAsked in an hour.
	healthPoll = 250 * time.Millisecond
	maxAsked   = 100
	// healthClip is how much of an unhealthy answer an error shows, in bytes.
	healthClip = 200
)

// errLate ends the wait for an instance.
var errLate = errors.New("healthcheck.timeout is over")

// healthcheck asks one instance whether it may get traffic.
type healthcheck struct {
	platform.Healthcheck
	socket   string
	protocol platform.Protocol
	visitor  visitor.Visitor
	version  string // of the program that asks
}

func (s starter) healthcheckOf(rev platform.Revision, id platform.InstanceID) healthcheck {
	return healthcheck{
		Healthcheck: rev.Config.Healthcheck, socket: s.Store.Paths.InstanceSocket(id), protocol: rev.Config.Protocol,
		visitor: s.visitorOf(rev), version: s.Version,
	}
}

// visitorOf is one who visits the function. Settings that cannot be read are another command's to refuse.
func (s starter) visitorOf(rev platform.Revision) visitor.Visitor {
	settings, err := platform.LoadSettings(s.Store.Paths)
	if err == nil {
		var v visitor.Visitor
		if v, err = visitor.Of(settings, rev.ID.Function, rev.Config.Hosts); err == nil {
			return v
		}
	}
	return visitor.Visitor{Host: "localhost", Scheme: "http"}
}

// pass waits until the instance is healthy, and returns the status of its answer. The error is the last thing that spoke
// against it.
func (h healthcheck) pass(ctx context.Context) (status int, err error) {
	var last error
	for started := time.Now(); ; {
		status, err := h.ask(ctx)
		if impassable := (impassableError{}); err == nil || h.Path == "" || errors.As(err, &impassable) {
			return status, err
		}
		if ctx.Err() == nil || last == nil {
			last = err // a question that was cut short says nothing new
		}
		select {
		case <-ctx.Done():
			return 0, last
		case <-time.After(max(healthPoll, time.Since(started)/10)):
		}
	}
}

// limitStart cancels if the instance does not read a connection within its limit, which is that of its later starts.
func (h healthcheck) limitStart(ctx context.Context, limit platform.Duration, cancel context.CancelCauseFunc) {
	within, done := context.WithTimeout(ctx, time.Duration(limit))
	defer done()
	for within.Err() == nil {
		if conn, err := platform.Probe(within, h.socket, 'G'); err == nil {
			conn.Close()
			return
		}
		platform.Sleep(within, healthPoll)
	}
	if ctx.Err() == nil {
		cancel(fmt.Errorf("it read no request within %s (start_timeout)", limit))
	}
}

// ask sends one request. Without a path any answer is a good one: that it comes is the proof.
func (h healthcheck) ask(ctx context.Context) (status int, err error) {
	transport := visitor.Transport(h.socket, h.protocol)
	var answer answerKeeper
	answer.keep(transport)
	defer transport.CloseIdleConnections()
	path := h.Path
	if path == "" {
		path = "/"
	}
	req, err := h.visitor.Request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", "fnctl/"+h.version)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if err := answer.check(h.protocol); err != nil {
		return resp.StatusCode, err
	}
	if h.Path == "" || resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp.StatusCode, nil
	}
	unhealthy := unhealthyError{resp.Status, clipBody(resp.Body)}
	if to := resp.Header.Get("Location"); to != "" {
		unhealthy = unhealthyError{status: resp.Status + ", to " + platform.Clip(to)}
	}
	return resp.StatusCode, unhealthy
}

// tells reports whether a line that an app has printed is news, and not its access log of a question.
func (h healthcheck) tells(line string) bool {
	return h.Path == "" || !strings.Contains(line, "GET "+h.Path)
}

// late says what was missing when the time was over.
func (h healthcheck) late(last error) error {
	var answered unhealthyError
	switch {
	case h.Path == "":
		return fmt.Errorf("it did not answer a request within %s (healthcheck.timeout)", h.Timeout)
	case errors.As(last, &answered):
		return fmt.Errorf("it was not healthy within %s (healthcheck.timeout): %s answers %w", h.Timeout, h.Path, answered)
	}
	return fmt.Errorf("it did not answer %s within %s (healthcheck.timeout)", h.Path, h.Timeout)
}

// unhealthyError is an answer that is none of a healthy instance.
type unhealthyError struct{ status, body string }

func (e unhealthyError) Error() string {
	if e.body == "" {
		return e.status
	}
	return e.status + ": " + e.body
}

// clipBody is the beginning of an answer, on one line.
func clipBody(body io.Reader) string {
	data, _ := io.ReadAll(io.LimitReader(body, healthClip+1))
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(data[:min(len(data), healthClip)]), ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(data) > healthClip {
		text += "…"
	}
	return text
}
