package journal

import (
	"context"
	"io"
	"slices"
)

// History finds the events of a function in the journal.
type History struct {
	Function string
	Stderr   io.Writer // what journalctl has to say
}

// Past returns the last events since some time, oldest first; a limit of 0 means all. cursor is where the journal goes on.
func (h History) Past(ctx context.Context, since string, limit int) (list []Event, cursor string, err error) {
	args := []string{"--reverse"}
	if since != "" {
		args = append(args, "--since="+since)
	}
	// Only of this function, so that those of a thousand others need not be read.
	units, tooMany, err := unitsOf(ctx, h.Function)
	if err != nil {
		return nil, "", err
	}
	args = append(args, activatorMatches(h.Function)...)
	switch {
	case tooMany:
		args = append(append(args, "+"), systemdMatches(nil)...) // of all units
	case len(units) > 0:
		args = append(append(args, "+"), systemdMatches(units)...)
	}
	err = Read(ctx, h.Stderr, args, func(entry Entry) error {
		if cursor == "" {
			cursor = entry.Cursor
		}
		if e, ok := entry.event(h.Function); ok {
			list = append(list, e)
		}
		if limit > 0 && len(list) == limit {
			return ErrStop
		}
		return nil
	})
	slices.Reverse(list)
	starts := starts{}
	for i, e := range list {
		list[i] = starts.judge(e)
	}
	return list, cursor, err
}

// Follow hands on what comes after the cursor, until it is interrupted.
func (h History) Follow(ctx context.Context, cursor string, each func(Event) error) error {
	args := []string{"--follow", "--lines=0"}
	if cursor != "" {
		args = []string{"--follow", "--no-tail", "--after-cursor=" + cursor}
	}
	args = append(append(args, activatorMatches(h.Function)...), "+")
	args = append(args, systemdMatches(nil)...) // of all units: there may be new ones soon
	starts := starts{}
	err := Read(ctx, h.Stderr, args, func(entry Entry) error {
		if e, ok := entry.event(h.Function); ok {
			return each(starts.judge(e))
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil // following ends with an interrupt
	}
	return err
}

// starts are the instances that start, each with whether it was drained meanwhile, in the order of their events.
type starts map[string]bool

// judge returns an event as it is told: that an instance ends which was drained before it was ready is no failure, though it may take a
// SIGKILL. One that is replaced because it does not become ready has failed.
func (s starts) judge(e Event) Event {
	drained, starting := s[e.Instance]
	switch {
	case e.Event == "start":
		s[e.Instance] = false
	case e.Event == "ready" || e.Event == "replace":
		delete(s, e.Instance)
	case e.Event == "drain" && starting:
		s[e.Instance] = true
	case e.Event == "fail" && drained:
		e.Event = "stop"
	}
	return e
}
