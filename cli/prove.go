package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// watchInterval is how often a starting instance is looked at, to notice at once that it has ended.
const watchInterval = 50 * time.Millisecond

// appLines is how many of an app's last lines an error shows.
const appLines = 15

// startInstance arms and starts one instance and waits until it answers HTTP. The error has the app's last lines.
func (l launcher) startInstance(ctx context.Context, rev platform.Revision, id platform.InstanceID) error {
	since := time.Now()
	if err := l.units.Start(ctx, id.Socket()); err != nil {
		return withHint(err, "journalctl -u %s", id.Socket())
	}
	return l.prove(ctx, rev, id, since, func(ctx context.Context) error {
		return l.units.Start(ctx, id.Service())
	})
}

// prove wakes an instance that is armed and waits until it answers HTTP. The error has what the app has printed since.
func (l launcher) prove(ctx context.Context, rev platform.Revision, id platform.InstanceID, since time.Time, wake func(context.Context) error) error {
	// Whatever ends the wait cancels the rest with its reason.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := rev.Config.Timeout
	timer := time.AfterFunc(timeout, func() {
		cancel(fmt.Errorf("it did not answer a request within %s (timeout)", timeout))
	})
	defer timer.Stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(ctx, id, cancel)
	}()
	err := wake(ctx)
	if err == nil {
		err = answers(ctx, l.paths.InstanceSocket(id), rev.Config.Protocol)
	}
	reason := err
	if cause := context.Cause(ctx); cause != nil {
		reason = cause
	}
	cancel(nil)
	<-watched
	if err == nil {
		return nil
	}
	return l.explain(id, since, reason)
}

// watch cancels when the instance's process ends by itself.
func (l launcher) watch(ctx context.Context, id platform.InstanceID, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	ran := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		status, err := l.units.Service(ctx, id.Service())
		if err != nil {
			continue
		}
		ran = ran || status.Running()
		if ended := status.Sub == "stop-post" || status.Active == "failed" || ran && status.Active == "inactive"; ended {
			cancel(endedError(status))
			return
		}
	}
}

func endedError(status platform.ServiceStatus) error {
	switch {
	case status.Result == "success" || status.Result == "":
		return fmt.Errorf("it ended at once with exit status %d", status.ExitStatus)
	case status.Result == "exit-code":
		return fmt.Errorf("it ended with exit status %d%s", status.ExitStatus, exitMeaning(status.ExitStatus))
	case status.Result == "signal" || status.Result == "core-dump":
		return fmt.Errorf("it was ended by signal %d", status.ExitStatus)
	}
	return fmt.Errorf("it ended: %s", status.Result)
}

// exitMeaning explains the exit statuses that systemd gives to a process it could not start (systemd.exec(5), "Process
// exit codes").
func exitMeaning(status int) string {
	switch status {
	case 200:
		return " (systemd could not enter its directory)"
	case 203:
		return " (systemd could not execute it: is the interpreter there, and the file a program for this machine?)"
	case 217:
		return " (systemd could not make its user)"
	case 243:
		return " (systemd could not decrypt its secrets, or not read them: set them again with --secret)"
	case 226:
		return " (systemd could not set up its sandbox)"
	}
	return ""
}

// answers waits for an HTTP answer, whatever its status: that it comes is the proof.
func answers(ctx context.Context, socket string, protocol platform.Protocol) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       platform.DialUnix(socket),
		Protocols:         protocolsOf(protocol),
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "fnctl/"+Version())
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// protocolsOf is what an HTTP client speaks with an instance.
func protocolsOf(protocol platform.Protocol) *http.Protocols {
	spoken := new(http.Protocols)
	spoken.SetHTTP1(protocol != platform.H2C)
	spoken.SetUnencryptedHTTP2(protocol == platform.H2C)
	return spoken
}

// explain says why an instance did not start, with what the app printed last.
func (l launcher) explain(id platform.InstanceID, since time.Time, reason error) error {
	err := fmt.Errorf("start %s: %w", id.Revision, reason)
	if errors.Is(reason, context.Canceled) {
		return fmt.Errorf("start %s: interrupted", id.Revision)
	}
	lines := journalLines(id.Service(), since, appLines)
	if len(lines) == 0 {
		return withHint(err, "the app printed nothing; journalctl -u %s has what systemd says", id.Service())
	}
	l.progress.note("the app's last lines:")
	for _, line := range lines {
		l.progress.note("  %s", strings.ToValidUTF8(line, "�"))
	}
	return err
}
