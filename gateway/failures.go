package gateway

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
)

// failureSink gets the revisions whose instances cannot start, and those whose instances can again. It may get the same again.
type failureSink interface {
	failed(id platform.RevisionID, reason string)
	recovered(id platform.RevisionID)
}

// failureFollower follows the directory in which the activator writes which revisions cannot start.
type failureFollower struct {
	store platform.Store
	sink  failureSink
	log   *slog.Logger
	known map[platform.RevisionID]bool
}

func newFailureFollower(cfg Config, sink failureSink) *failureFollower {
	return &failureFollower{store: platform.Store{Paths: cfg.Paths}, sink: sink, log: cfg.Logger, known: make(map[platform.RevisionID]bool)}
}

// Dir implements platform.Follower.
func (f *failureFollower) Dir() string { return f.store.Paths.Failures() }

// Watch implements platform.Follower.
func (f *failureFollower) Watch(w *fsnotify.Watcher) error { return w.Add(f.Dir()) }

// Resync implements platform.Follower.
func (f *failureFollower) Resync() {
	ids, err := f.store.Failures()
	if err != nil {
		// What is known stays; the first proof of an instance takes it back anyway.
		f.log.Error("list the failures", "err", err)
		return
	}
	gone := f.known
	f.known = make(map[platform.RevisionID]bool, len(ids))
	for _, id := range ids {
		delete(gone, id)
		f.read(id)
	}
	for id := range gone {
		f.sink.recovered(id)
	}
}

// Changed implements platform.Follower.
func (f *failureFollower) Changed(_ *fsnotify.Watcher, events []fsnotify.Event) {
	changed := make(map[platform.RevisionID]bool)
	for _, event := range events {
		if id, ok := platform.ParseFailureFile(filepath.Base(event.Name)); ok {
			changed[id] = true
		}
	}
	for id := range changed {
		f.read(id)
	}
}

// read gives the sink what the file of a revision says now. A file that cannot be read says nothing: then requests wait, as
// they do for a revision that starts.
func (f *failureFollower) read(id platform.RevisionID) {
	failure, err := f.store.Failure(id)
	if err == nil {
		f.known[id] = true
		f.sink.failed(id, failure.Explanation)
		return
	}
	if !errors.Is(err, fs.ErrNotExist) {
		f.log.Error("read a failure", "function", id.Function, "revision", id.String(), "err", err)
	}
	delete(f.known, id)
	f.sink.recovered(id)
}
