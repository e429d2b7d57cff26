package gateway

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// followRetry is the time between two attempts to watch a directory that does not exist.
	followRetry = time.Second
	// followResync bounds how long a lost notification can matter.
	followResync = time.Minute
)

// follower keeps up with a directory.
type follower interface {
	// watch adds everything that is to be watched. The error wraps fs.ErrNotExist if there is nothing yet.
	watch(*fsnotify.Watcher) error
	// resync reads everything.
	resync()
	// changed reads what an event is about. It reports false if the directory itself is gone.
	changed(*fsnotify.Watcher, fsnotify.Event) bool
}

// follow keeps up with a directory until the context ends. The directory need not exist.
func follow(ctx context.Context, f follower, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := followOnce(ctx, f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Error("watch a directory", "err", err)
		}
		sleep(ctx, followRetry)
		if ctx.Err() == nil {
			f.resync()
		}
	}
	return nil
}

func followOnce(ctx context.Context, f follower) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := f.watch(w); err != nil {
		return err
	}
	f.resync() // what happened before the watch
	tick := time.NewTicker(followResync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			if !f.changed(w, event) {
				return nil
			}
		case err := <-w.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return err
			}
			return nil // start again from what there is
		case <-tick.C:
			f.resync()
		}
	}
}
