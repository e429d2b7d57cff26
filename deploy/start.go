package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

// watchInterval is how often a starting instance is looked at, to notice at once that it has ended.
const watchInterval = 50 * time.Millisecond

const (
	// appLines is how many of an app's last lines an error shows.
	appLines = 15
	// reasonLines is in how many of them a reason is looked for: Node begins with it, and then shows what it was about.
	reasonLines = 40
)

// startInstance arms and starts one instance and waits until it is healthy. status is that of the answer which proves it. The error
// has the app's last lines.
func (s starter) startInstance(ctx context.Context, rev platform.Revision, id platform.InstanceID) (status int, err error) {
	since := time.Now()
	if err := s.Units.Start(ctx, id.Socket()); err != nil {
		// The copy of the app is made then: the disk may be full.
		s.quote("what was said while its socket was made:", journal.Lines(id.Socket(), since, appLines))
		return 0, platform.WithHint(err, "journalctl -u %s", id.Socket())
	}
	return s.prove(ctx, rev, id, since, func(ctx context.Context) error {
		return s.Units.Start(ctx, id.Service())
	})
}

// prove wakes an instance that is armed and waits until it is healthy. status is that of its answer. The error has what the app has
// printed since.
func (s starter) prove(
	ctx context.Context, rev platform.Revision, id platform.InstanceID, since time.Time, wake func(context.Context) error,
) (status int, err error) {
	// Whatever ends the wait cancels the rest with its reason.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	check := s.healthcheckOf(rev, id)
	timer := time.AfterFunc(time.Duration(check.Timeout), func() { cancel(errLate) })
	defer timer.Stop()
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, id, cancel) })
	if !rev.Runtime.IsServer() {
		watching.Go(func() { s.watchPorts(ctx, rev, id, cancel) })
	}
	if limit := rev.Config.StartTimeout; limit < check.Timeout {
		watching.Go(func() { check.limitStart(ctx, limit, cancel) })
	}
	if err = wake(ctx); err == nil {
		status, err = check.pass(ctx)
		err = brokenOff(ctx, err)
	}
	if err == nil && status == http.StatusInternalServerError && rev.Runtime.IsServer() {
		err = s.checkInterface(ctx, check, id, rev.Runtime, since)
	}
	reason := err
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errLate):
		reason = check.late(err)
	case cause != nil:
		reason = cause
	}
	cancel(nil)
	watching.Wait()
	if err == nil {
		return status, nil
	}
	return 0, s.explain(context.WithoutCancel(ctx), id, rev.Runtime, since, check, reason)
}

// endNotice is how long after a connection broke off the end of a process may become known.
const endNotice = 2 * time.Second

// brokenOff waits, if an instance has closed the connection instead of an answer, for what most often is the reason: its process ends.
func brokenOff(ctx context.Context, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		return err
	}
	platform.Sleep(ctx, endNotice)
	return fmt.Errorf("it closed the connection without an answer (%w)", err)
}

// watch cancels when the instance's process ends by itself.
func (s starter) watch(ctx context.Context, id platform.InstanceID, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	ran := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		status, err := s.Units.Service(ctx, id.Service())
		if err != nil {
			continue
		}
		ran = ran || status.Running()
		if ended := status.Sub == "stop-post" || status.Active == "failed" || ran && status.Active == "inactive"; ended {
			cancel(errors.New(status.StartEnding()))
			return
		}
	}
}

// startError is why an instance of a revision did not become healthy.
type startError struct {
	revision platform.RevisionID
	reason   error
}

func (e startError) Error() string { return fmt.Sprintf("start %s: %v", e.revision, e.reason) }

func (e startError) Unwrap() error { return e.reason }

// explain says why an instance did not start, with what the app printed last.
func (s starter) explain(ctx context.Context, id platform.InstanceID, runtime platform.Runtime, since time.Time, check healthcheck, reason error) error {
	err := error(startError{id.Revision, reason})
	if errors.Is(reason, context.Canceled) {
		return fmt.Errorf("start %s: interrupted", id.Revision)
	}
	lines := journal.Lines(id.Service(), since, appLines+maxAsked)
	lines = slices.DeleteFunc(lines, func(line string) bool { return !check.tells(line) })
	lines = lines[max(0, len(lines)-reasonLines):]
	if len(lines) == 0 && platform.HintOf(err) != "" {
		return err
	}
	if len(lines) == 0 {
		return platform.WithHint(err, "the app printed nothing; journalctl -u %s has what systemd says", id.Service())
	}
	s.quote("the app's last lines:", lines[max(0, len(lines)-appLines):])
	if reason, hint := s.whyFailed(ctx, id, runtime, lines); reason != "" {
		return platform.WithHint(fmt.Errorf("%w: %s", err, reason), "%s", hint)
	}
	return err
}

// quote shows lines that others have written, if there are any.
func (s starter) quote(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.Progress.Note("%s", title)
	for _, line := range lines {
		s.Progress.Note("  %s", line)
	}
}
