package inspect

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/fnctl/fnctl/journal"
)

// recent is how far "fnctl status" looks back for failures; recentEvents bounds what it reads of them.
const (
	recent        = time.Hour
	recentEvents  = 1000
	recentTimeout = 5 * time.Second
)

// RecentFailures are the ends of instances that failed: what runs now says nothing of those that came back.
type RecentFailures struct {
	// Count is how many there are among the last events of an hour, 1,000 at most.
	Count int           `json:"count"`
	Last  journal.Event `json:"last"`
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
	return failuresAmong(list, serving, function.Created)
}

// failuresAmong sums up the failures of revisions among events, oldest first. Those of before the newest was made are history,
// or of another function of the same name. What is said of an instance until it starts again is one failure: the last says most.
func failuresAmong(list []journal.Event, revisions []string, created time.Time) *RecentFailures {
	var failures RecentFailures
	failed := map[string]bool{}
	for _, e := range list {
		switch {
		case !e.Time.After(created) || !slices.Contains(revisions, e.Revision):
		case e.Event == "start":
			delete(failed, e.Subject())
		case e.Event == "fail":
			if !failed[e.Subject()] {
				failures.Count++
			}
			failed[e.Subject()] = true
			failures.Last = e
		}
	}
	if failures.Count == 0 {
		return nil
	}
	return &failures
}

// String is for people.
func (f *RecentFailures) String() string {
	return fmt.Sprintf("%d within an hour, the last at %s: %s: %s; see fnctl events %s",
		f.Count, f.Last.Time.Local().Format(time.TimeOnly), f.Last.Subject(), f.Last.Why, f.Last.Function)
}
