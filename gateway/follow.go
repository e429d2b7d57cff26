package gateway

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// followCheck is how often a follower looks whether the directory that it watches is still there, or there at last.
	followCheck = time.Second
	// followResync bounds how long a lost notification can matter, in checks.
	followResync = 60
)

// errReplaced says that a directory is not the one that is watched. The kernel does not always tell: as long as a socket
// in it is open, a directory that was removed lives on.
var errReplaced = errors.New("the directory was replaced")

// follower keeps up with a directory.
type follower interface {
	// dir is the directory.
	dir() string
	// watch adds everything that is to be watched. The error wraps fs.ErrNotExist if there is nothing yet.
	watch(*fsnotify.Watcher) error
	// resync reads everything.
	resync()
	// changed reads what some events are about.
	changed(*fsnotify.Watcher, []fsnotify.Event)
}

// follow keeps up with a directory until the context ends. The directory need not exist.
func follow(ctx context.Context, f follower, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := followOnce(ctx, f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("watch a directory again", "dir", f.dir(), "err", err)
		}
		if ctx.Err() == nil {
			f.resync()
			sleep(ctx, followCheck)
		}
	}
	return nil
}

// followOnce keeps up with a directory as long as it can, or the context lasts.
func followOnce(ctx context.Context, f follower) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	watched, err := os.Stat(f.dir())
	if err != nil {
		return err
	}
	if err := f.watch(w); err != nil {
		return err
	}
	f.resync() // what happened before the watch
	check := time.NewTicker(followCheck)
	defer check.Stop()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			events := allOf(w, event)
			if slices.ContainsFunc(events, func(e fsnotify.Event) bool { return e.Name == f.dir() && isGone(e) }) {
				return errReplaced
			}
			f.changed(w, events)
		case err := <-w.Errors:
			return err // events were lost: start again from what there is
		case <-check.C:
			if now, err := os.Stat(f.dir()); err != nil || !os.SameFile(now, watched) {
				return errReplaced
			}
			if n++; n%followResync == 0 {
				f.resync()
			}
		}
	}
}

// allOf takes all events that are there already, so that many changes are one.
func allOf(w *fsnotify.Watcher, first fsnotify.Event) []fsnotify.Event {
	events := []fsnotify.Event{first}
	for {
		select {
		case next := <-w.Events:
			events = append(events, next)
		default:
			return events
		}
	}
}

func isGone(e fsnotify.Event) bool { return e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) }
