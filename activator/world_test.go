package activator

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

func (w *world) deploy(t *testing.T, revision platform.Revision) {
	t.Helper()
	dir := w.store.Paths.Revision(revision.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.store.PutRevision(dir, revision), w.store.PutRoute(platform.RouteTo(revision))); err != nil {
		t.Fatal(err)
	}
}

func (w *world) functionFile(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(w.store.Paths.Route("ping"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w.functionsChanged(functionChange{names: []string{"ping"}})
}

// A route that is damaged keeps every revision reachable; one that is removed ends them.
func TestWorldRoutes(t *testing.T) {
	w := newTestWorld(t)
	other := platform.RevisionID{Function: "ping", Number: 2}
	w.deploy(t, pingRevision())
	w.functionsChanged(functionChange{names: []string{"ping"}})
	if !w.routes.reach(ping1.Revision) || w.routes.reach(other) || !w.awake[ping1.Revision] {
		t.Error("the route is not known")
	}
	w.functionFile(t, "{")
	if !w.routes.reach(ping1.Revision) || !w.routes.reach(other) {
		t.Error("a damaged route ends a revision")
	}
	if err := os.RemoveAll(w.store.Paths.Function("ping")); err != nil {
		t.Fatal(err)
	}
	delete(w.awake, ping1.Revision)
	w.functionsChanged(functionChange{all: true})
	if w.routes.reach(ping1.Revision) || !w.awake[ping1.Revision] {
		t.Error("a route that was removed still counts, or its revision sleeps")
	}
}

// Units wake their revision, and are gone when systemd does not list them any more.
func TestWorldUnits(t *testing.T) {
	w := newTestWorld(t)
	socket := platform.UnitStatus{Name: ping1.Socket(), Active: "active", Sub: "listening"}
	service := platform.UnitStatus{Name: ping1.Service(), Active: "active", Sub: "running"}
	if w.replaceUnits([]platform.UnitStatus{socket, {Name: "other.service", Active: "active"}}) {
		t.Error("a socket alone counts as a start")
	}
	if i := w.instance(ping1); i == nil || i.state() != platform.Armed || !i.socketLost || !w.awake[ping1.Revision] {
		t.Errorf("got %+v, want an armed instance without a socket file", i)
	}
	if !w.setUnit(service) {
		t.Error("the start by a request is not reported")
	}
	w.replaceUnits(nil)
	if i := w.instance(ping1); i != nil {
		t.Errorf("it is still known as %s", i.state())
	}
	w.busy[ping1] = true
	w.setUnit(socket)
	if w.setUnit(service) {
		t.Error("the activator's own start is taken for that of a request")
	}
}

// A revision is adopted with what runs; one that a command is making is left to it.
func TestWorldAdopts(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	unlock, err := w.store.TryLock("ping")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ping1.Socket(), ping1.Service()} {
		w.setUnit(platform.UnitStatus{Name: name, Active: "active"})
	}
	if w.revision(ping1.Revision, epoch) != nil || !w.awake[ping1.Revision] {
		t.Error("it is adopted before it has a route, or not looked at again")
	}
	unlock()
	rev := w.revision(ping1.Revision, epoch)
	if rev == nil || rev.loggedDesired != 1 || !w.instance(ping1).wasReady {
		t.Fatalf("got %+v, want a revision with an instance that may have been ready", rev)
	}
	w.forget(ping1.Revision)
	if len(w.revisions)+len(w.instances)+len(w.awake) != 0 {
		t.Error("it was not forgotten")
	}
}

// The end of an action changes what is known of its instance, unless the activator's own end has cancelled it.
func TestWorldNotesActions(t *testing.T) {
	w := newTestWorld(t)
	w.deploy(t, pingRevision())
	w.functionsChanged(functionChange{names: []string{"ping"}})
	rev := w.revision(ping1.Revision, epoch)
	now := time.Now()
	w.noteAction(action{verb: actionArm, id: ping1, err: context.Canceled}, now)
	if w.instance(ping1) != nil || rev.arming.failures != 0 {
		t.Error("an action that was cancelled counts as failed")
	}
	w.noteAction(action{verb: actionArm, id: ping1, err: errors.New("job failed.")}, now)
	if i := w.instance(ping1); i == nil || i.problem != "job failed" || i.failures != 1 || rev.arming.failures != 1 {
		t.Errorf("got %+v after an action that has failed", i)
	}
	w.setUnit(platform.UnitStatus{Name: ping1.Socket(), Active: "active"})
	w.noteAction(action{verb: actionArm, id: ping1}, now)
	if i := w.instance(ping1); i.problem != "" || rev.arming.failures != 0 {
		t.Errorf("got %+v after the next has succeeded", i)
	}
	w.setUnit(platform.UnitStatus{Name: ping1.Service(), Active: "active"})
	w.noteAction(action{verb: actionProbe, id: ping1}, now)
	if i := w.instance(ping1); i.state() != platform.Ready {
		t.Errorf("got %s after a probe, want ready", i.state())
	}
}
