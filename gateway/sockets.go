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
	listed := make(map[platform.InstanceID][]platform.Mark, len(ids))
	for _, id := range ids {
		listed[id] = nil
	}
	for _, m := range platform.Marks {
		marked, err := store.Marks(m)
		if err != nil {
			s.log.Error("list the marks of instances", "mark", m, "err", err)
			return
		}
		for _, id := range marked {
			if marks, there := listed[id]; there {
				listed[id] = append(marks, m)
			}
		}
	}
	s.fleet.reconcile(listed)
}

// Changed implements platform.Follower.
func (s *socketFollower) Changed(_ *fsnotify.Watcher, events []fsnotify.Event) {
	for _, event := range events {
		if id, ok := platform.ParseInstanceSocket(filepath.Base(event.Name)); ok {
			s.apply(id, event)
		} else if id, m, ok := platform.ParseMark(filepath.Base(event.Name)); ok {
			s.fleet.mark(id, m, !platform.Removes(event))
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
		s.fleet.appear(id, s.marksOf(id)...)
	}
}

func (s *socketFollower) marksOf(id platform.InstanceID) (marks []platform.Mark) {
	for _, m := range platform.Marks {
		if platform.Exists(s.paths.Mark(id, m)) {
			marks = append(marks, m)
		}
	}
	return marks
}
