package inspect

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// recent is how far "fnctl status" looks back for failures; recentEvents bounds what it reads of them.
const (
	recent        = time.Hour
	recentEvents  = 1000
	recentTimeout = 5 * time.Second
	// lateLines is how long after the end of a process the journal may still get what it wrote: a service begins anew no sooner.
	lateLines = time.Second
)

// RecentFailures are the ends of instances that failed: what runs now says nothing of those that came back.
type RecentFailures struct {
	// Count is how many there are among the last events of an hour, 1,000 at most.
	Count int           `json:"count"`
	Last  journal.Event `json:"last"`
	// Reason is why the last instance failed, as far as what it printed says so, and Hint what to do.
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
	// ended is the last end of an instance, which began at started: the last failure may be that of its revision.
	ended   journal.Event
	started time.Time
}

// FailuresOf finds the recent failures of a function; nil means that there are none, or that the journal is not for us to see.
func (in *Inspector) FailuresOf(ctx context.Context, function Function) *RecentFailures {
	ctx, cancel := context.WithTimeout(ctx, recentTimeout)
	defer cancel()
	since := time.Now().Add(-recent)
	j := journal.History{Function: function.Name, Stderr: io.Discard}
	list, _, err := j.Past(ctx, fmt.Sprintf("@%d", since.Unix()), recentEvents)
	if err != nil {
		if os.Geteuid() == 0 {
			in.Problems = append(in.Problems, fmt.Errorf("recent failures: %w", err))
		}
		return nil
	}
	var serving []string
	for _, r := range function.Revisions {
		if r.Traffic > 0 {
			serving = append(serving, r.Name)
		}
	}
	failures := failuresAmong(list, serving, function.Created)
	if failures != nil {
		in.explain(ctx, failures)
	}
	return failures
}

// explain says why the last instance failed, if that is known.
func (in *Inspector) explain(ctx context.Context, failures *RecentFailures) {
	id, err := platform.ParseInstanceID(failures.ended.Instance)
	if err != nil {
		return // a revision, of which no instance was made
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	engine := deploy.Engine{Store: in.Store, Units: manager}
	since, until := failures.started, failures.ended.Time.Add(lateLines)
	if since.IsZero() {
		since = until.Add(-recent)
	}
	failures.Reason, failures.Hint = engine.WhyFailed(ctx, id, since, until)
}

// failuresAmong sums up the failures of revisions among events, oldest first. Those of before the newest was made are history,
// or of another function of the same name. What is said of an instance until it starts again is one failure: the last says most.
func failuresAmong(list []journal.Event, revisions []string, created time.Time) *RecentFailures {
	var failures RecentFailures
	failed, started := map[string]bool{}, map[string]time.Time{}
	for _, e := range list {
		switch {
		case !e.Time.After(created) || !slices.Contains(revisions, e.Revision):
		case e.Event == "start":
			delete(failed, e.Subject())
			started[e.Subject()] = e.Time
		case e.Event == "fail":
			if !failed[e.Subject()] {
				failures.Count++
			}
			failed[e.Subject()] = true
			failures.Last = e
			if e.Instance != "" {
				failures.ended, failures.started = e, started[e.Subject()]
			}
		}
	}
	if failures.Count == 0 {
		return nil
	}
	return &failures
}

// String is for people.
func (f *RecentFailures) String() string {
	why := f.Last.Why
	if f.Reason != "" {
		why += ": " + f.Reason + "; " + f.Hint
	}
	return fmt.Sprintf("%d within an hour, the last at %s: %s: %s; see fnctl events %s",
		f.Count, f.Last.Time.Local().Format(time.TimeOnly), f.Last.Subject(), why, f.Last.Function)
}
