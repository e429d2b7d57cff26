package gateway

import (
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
)

// socketFollower follows the directory of instance sockets.
type socketFollower struct {
	paths platform.Paths
	fleet *fleet
	log   *slog.Logger
}

// Dir implements platform.Follower.
func (s *socketFollower) Dir() string { return s.paths.Instances() }

// Watch implements platform.Follower.
func (s *socketFollower) Watch(w *fsnotify.Watcher) error { return w.Add(s.Dir()) }

// Resync implements platform.Follower.
func (s *socketFollower) Resync() {
	store := platform.Store{Paths: s.paths}
	ids, err := store.Instances()
	if err != nil {
		// What is known stays: an unreadable directory must not drain everything.
		s.log.Error("list instances", "err", err)
		return
	}
	s.fleet.reconcile(ids)
	marks, err := store.Marks(platform.MarkStandby)
	if err != nil {
		s.log.Error("list the marks of instances in standby", "err", err)
		return
	}
	marked := make(map[platform.InstanceID]bool, len(marks))
	for _, id := range marks {
		marked[id] = true
	}
	for _, id := range ids {
		s.fleet.mark(id, marked[id])
	}
}

// Changed implements platform.Follower.
func (s *socketFollower) Changed(_ *fsnotify.Watcher, events []fsnotify.Event) {
	for _, event := range events {
		if id, ok := platform.ParseInstanceSocket(filepath.Base(event.Name)); ok {
			s.apply(id, event)
		} else if id, mark, ok := platform.ParseMark(filepath.Base(event.Name)); ok && mark == platform.MarkStandby {
			s.fleet.mark(id, !platform.Removes(event))
		}
	}
}

func (s *socketFollower) apply(id platform.InstanceID, event fsnotify.Event) {
	log := s.log.With("function", id.Revision.Function, "revision", id.Revision.String(), "instance", id.String())
	switch {
	case platform.Removes(event):
		log.Debug("instance drains")
		s.fleet.vanish(id)
	case event.Has(fsnotify.Create):
		log.Debug("instance appears")
		s.fleet.appear(id)
		s.fleet.mark(id, platform.Exists(s.paths.Mark(id, platform.MarkStandby)))
	}
}
