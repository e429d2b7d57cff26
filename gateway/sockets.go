package gateway

import (
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
)

// sockets follows the directory of instance sockets.
type sockets struct {
	paths platform.Paths
	fleet *fleet
	log   *slog.Logger
}

func (s *sockets) watch(w *fsnotify.Watcher) error { return w.Add(s.paths.Instances()) }

func (s *sockets) resync() {
	ids, err := s.paths.ListInstances()
	if err != nil {
		// Whatever is known stays: an unreadable directory must not drain everything.
		s.log.Error("list instances", "err", err)
		return
	}
	s.fleet.reconcile(ids)
}

func (s *sockets) changed(_ *fsnotify.Watcher, event fsnotify.Event) bool {
	gone := event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename)
	if gone && event.Name == s.paths.Instances() {
		return false
	}
	id, ok := platform.ParseInstanceSocket(filepath.Base(event.Name))
	switch {
	case !ok:
	case gone:
		s.log.Debug("instance drains", "function", id.Revision.Function, "revision", id.Revision, "instance", id)
		s.fleet.vanish(id)
	case event.Has(fsnotify.Create):
		s.log.Debug("instance appears", "function", id.Revision.Function, "revision", id.Revision, "instance", id)
		s.fleet.appear(id)
	}
	return true
}
