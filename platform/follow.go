package platform

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
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

// errReplaced is returned when a directory is no longer the one that is watched. The kernel has no event for that in all
// cases: as long as a socket in it is open, a directory that was removed lives on.
var errReplaced = errors.New("the directory was replaced")

// Follower keeps up with a directory.
type Follower interface {
	// Dir is the directory.
	Dir() string
	// Watch adds everything that is to be watched. The error wraps fs.ErrNotExist if there is nothing yet.
	Watch(*fsnotify.Watcher) error
	// Resync reads everything.
	Resync()
	// Changed reads what some events are about.
	Changed(*fsnotify.Watcher, []fsnotify.Event)
}

// Follow keeps up with a directory until the context ends. The directory need not exist.
func Follow(ctx context.Context, f Follower, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := followOnce(ctx, f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("watch a directory again", "dir", f.Dir(), "err", err)
		}
		if ctx.Err() != nil {
			break
		}
		f.Resync()
		select {
		case <-ctx.Done():
		case <-time.After(followCheck):
		}
	}
	return nil
}

// followOnce keeps up with a directory as long as it can, or the context lasts.
func followOnce(ctx context.Context, f Follower) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	watched, err := os.Stat(f.Dir())
	if err != nil {
		return err
	}
	if err := f.Watch(w); err != nil {
		return err
	}
	f.Resync() // what happened before the watch
	check := time.NewTicker(followCheck)
	defer check.Stop()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			events := allOf(w, event)
			// One that is made anew may get the same inode: only the event tells.
			if slices.ContainsFunc(events, func(e fsnotify.Event) bool { return e.Name == f.Dir() && Removes(e) }) {
				return errReplaced
			}
			f.Changed(w, events)
		case err := <-w.Errors:
			return err // events were lost: start again from what there is
		case <-check.C:
			if now, err := os.Stat(f.Dir()); err != nil || !os.SameFile(now, watched) {
				return errReplaced
			}
			if n++; n%followResync == 0 {
				f.Resync()
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

// Removes reports whether a file is no more where it was.
func Removes(e fsnotify.Event) bool { return e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) }

// FunctionsFollower is a Follower that notices which functions may have changed. Set the fields, then Follow it.
type FunctionsFollower struct {
	Paths Paths
	// Changes is called with the names of functions of which a file was written, made or removed. all reports whether the
	// names are those of all functions that there are. It is not called at the same time as itself.
	Changes func(names []string, all bool)
	Log     *slog.Logger
}

// Dir implements Follower.
func (f *FunctionsFollower) Dir() string { return f.Paths.Functions() }

// Watch implements Follower.
func (f *FunctionsFollower) Watch(w *fsnotify.Watcher) error {
	if err := w.Add(f.Dir()); err != nil {
		return err
	}
	names, err := f.list()
	for _, name := range names {
		if err := f.watch(w, name); err != nil {
			return err
		}
	}
	return err
}

// watch watches the directory of a function. One that vanishes meanwhile is not missed, and one that is closed keeps nobody from
// the others: what is read of it says so.
func (f *FunctionsFollower) watch(w *fsnotify.Watcher, name string) error {
	err := w.Add(f.Paths.Function(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// list names the directories of functions, also those without a route yet.
func (f *FunctionsFollower) list() ([]string, error) {
	entries, err := os.ReadDir(f.Dir())
	var names []string
	for _, entry := range entries {
		if CheckName(entry.Name()) == nil {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// Resync implements Follower.
func (f *FunctionsFollower) Resync() {
	names, err := f.list()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Log.Error("list functions", "err", err)
		return
	}
	f.Changes(names, true)
}

// Changed implements Follower.
func (f *FunctionsFollower) Changed(w *fsnotify.Watcher, events []fsnotify.Event) {
	changed := make(map[string]bool)
	for _, event := range events {
		f.note(w, event, changed)
	}
	if len(changed) == 0 {
		return
	}
	f.Changes(slices.Collect(maps.Keys(changed)), false)
}

// note finds out which function an event is about.
func (f *FunctionsFollower) note(w *fsnotify.Watcher, event fsnotify.Event, changed map[string]bool) {
	dir, base := filepath.Dir(event.Name), filepath.Base(event.Name)
	switch {
	case dir != f.Dir():
		// Temporary files are on their way to another name.
		if name := filepath.Base(dir); base[0] != '.' && CheckName(name) == nil {
			changed[name] = true
		}
	case CheckName(base) == nil:
		changed[base] = true
		if !event.Has(fsnotify.Create) && !event.Has(fsnotify.Chmod) { // which may open one that was closed
			return
		}
		// It is watched before the route is read, so that none is missed in between.
		if err := f.watch(w, base); err != nil {
			f.Log.Error("watch a function", "function", base, "err", err)
		}
	}
}
