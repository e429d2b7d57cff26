package activator

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// world is what the activator knows: the instances by what systemd reports, the routes and scales by their files, the load
// by what the gateway reports. It reads, and changes nothing on the machine. All of it belongs to the loop's goroutine, and
// may be lost without harm: a restarted activator learns it again.
type world struct {
	store platform.Store
	log   *slog.Logger
	// busy has the instances with a change under way. It is the actor's; the world only reads it.
	busy map[platform.InstanceID]bool

	// The routes of all functions, the instances of all revisions, and the last load that was reported of each revision.
	routes    *routes
	instances map[platform.RevisionID]instances
	loads     map[platform.RevisionID]*Load
	// revisions has those that were adopted, awake those that the next tick updates, adopted or not.
	revisions map[platform.RevisionID]*revision
	awake     map[platform.RevisionID]bool
	// metricsLost is true while the source of the load doesn't answer.
	metricsLost bool
}

func newWorld(store platform.Store, busy map[platform.InstanceID]bool, log *slog.Logger) *world {
	return &world{
		store:     store,
		log:       log,
		busy:      busy,
		routes:    newRoutes(store, log),
		instances: map[platform.RevisionID]instances{},
		loads:     map[platform.RevisionID]*Load{},
		revisions: map[platform.RevisionID]*revision{},
		awake:     map[platform.RevisionID]bool{},
	}
}

// instance returns what is known of an instance, nil if there is none.
func (w *world) instance(id platform.InstanceID) *instance { return w.instances[id.Revision][id.Index] }

// replaceUnits takes over the list of all units, and looks for the files of the sockets that listen. It reports whether a
// request has started an instance.
func (w *world) replaceUnits(list []platform.UnitStatus) (started bool) {
	listed := make(map[string]bool, len(list))
	for _, unit := range list {
		listed[unit.Name] = true
		started = w.setUnit(unit) || started
	}
	for _, instances := range w.instances {
		for _, i := range instances {
			if !listed[i.id.Socket()] && i.socket.Name != "" {
				w.setUnit(platform.UnitStatus{Name: i.id.Socket(), Active: "inactive"})
			}
			if !listed[i.id.Service()] && i.service.Name != "" {
				w.setUnit(platform.UnitStatus{Name: i.id.Service(), Active: "inactive"})
			}
		}
	}
	for id, instances := range w.instances {
		if w.findLostSockets(instances) {
			w.awake[id] = true
		}
	}
	w.sweepMarks()
	w.sweepPoised()
	return started
}

// setUnit takes over the state of one unit and wakes its revision. It reports whether a request has started the instance:
// perhaps many more wait with it.
func (w *world) setUnit(unit platform.UnitStatus) (started bool) {
	id, kind, ok := platform.ParseUnit(unit.Name)
	if !ok {
		return false
	}
	siblings := w.instances[id.Revision]
	i := siblings[id.Index]
	if i == nil {
		if unit.Gone() && unit.Active != "failed" {
			return false // systemd has not unloaded it yet
		}
		i = &instance{id: id}
		if siblings == nil {
			siblings = instances{}
			w.instances[id.Revision] = siblings
		}
		siblings[id.Index] = i
	}
	before, now := i.state(), time.Now()
	wasPoised := i.poised
	if i.update(kind, unit, now) {
		w.awake[id.Revision] = true
	}
	if wasPoised && !i.poised {
		w.unmarkPoised(id)
	}
	started = before == platform.Armed && i.state() == platform.Starting && !w.busy[id]
	if i.forgettable(now) && !w.busy[id] {
		delete(siblings, id.Index)
	}
	return started
}

// findLostSockets marks the instances whose socket listens while its file was removed, so that no client can connect. It
// reports whether it found one.
func (w *world) findLostSockets(instances instances) (found bool) {
	for _, i := range instances {
		if i.socket.Active != "active" || w.busy[i.id] {
			continue
		}
		if _, err := os.Lstat(w.store.Paths.InstanceSocket(i.id)); os.IsNotExist(err) {
			i.socketLost = true
			found = true
		}
	}
	return found
}

// functionChange names functions whose files may have changed.
type functionChange struct {
	names []string
	all   bool
}

// functionsChanged reads the routes and scales again, and wakes the revisions that the routes reach or have reached.
func (w *world) functionsChanged(change functionChange) {
	names := make(map[string]bool, len(change.names))
	for _, name := range change.names {
		names[name] = true
	}
	if change.all {
		for name := range w.routes.good {
			names[name] = true
		}
	}
	for name := range names {
		w.functionChanged(name)
	}
}

func (w *world) functionChanged(name string) {
	_, had := w.routes.good[name]
	concerned, wasDamaged := w.routes.read(name)
	if wasDamaged {
		w.wakeFunction(name) // all its revisions were kept; a route that can be read reaches some of them only
	}
	for _, id := range concerned {
		w.awake[id] = true
	}
	scale, err := w.store.Scale(name)
	if err != nil {
		w.log.Error("read the scale: the last one stays", "function", name, "err", err)
		return
	}
	if had {
		route := w.routes.good[name]
		for _, share := range route.Traffic {
			if rev := w.revisions[share.Revision]; rev != nil {
				rev.setBounds(scale, route)
			}
		}
	}
}

func (w *world) wakeFunction(function string) {
	for id := range w.instances {
		if id.Function == function {
			w.awake[id] = true
		}
	}
}

// isGone reports whether nothing of an instance runs.
func (w *world) isGone(id platform.InstanceID) bool {
	i := w.instance(id)
	return i == nil || i.service.Gone()
}

func (w *world) wakeAll() {
	for id := range w.revisions {
		w.awake[id] = true
	}
}

// locked reports whether a command is changing the function right now.
func (w *world) locked(function string) bool {
	unlock, err := w.store.TryLock(function)
	if err != nil {
		return true
	}
	unlock()
	return false
}

// held reports whether a command wants no instance of the function but those that it starts itself.
func (w *world) held(function string) bool {
	return platform.Exists(w.store.Paths.Held(function)) && w.locked(function)
}

// isEmpty reports whether nothing of a function listens or runs, of any of its revisions.
func (w *world) isEmpty(function string) bool {
	for id, instances := range w.instances {
		if id.Function != function {
			continue
		}
		for _, i := range instances {
			if i.state() != "" || w.busy[i.id] {
				return false
			}
		}
	}
	return true
}

// setLoads takes over the loads of a report and wakes the revisions that have some.
func (w *world) setLoads(loads map[platform.RevisionID]*Load) {
	for id, load := range loads {
		w.loads[id] = load
		if rev := w.revisions[id]; rev != nil && rev.setLoad(load) {
			w.awake[id] = true
		}
	}
}

// revision returns a revision that is awake. It adopts one that the activator meets for the first time, except that a
// revision which a deploy is making is left to the deploy until it has a route: its instances are about to be started. It
// returns nil for one that cannot be adopted; without instances that sleeps until its units or its route change.
func (w *world) revision(id platform.RevisionID, now time.Time) *revision {
	rev := w.revisions[id]
	if rev == nil && (w.routes.serve(id) || !w.locked(id.Function)) {
		rev = w.adopt(id, now)
	}
	if rev == nil && len(w.instances[id]) == 0 {
		delete(w.instances, id)
		delete(w.awake, id)
	}
	return rev
}

// adopt takes over a revision with the instances that it already has.
func (w *world) adopt(id platform.RevisionID, now time.Time) *revision {
	described, err := w.store.Revision(id)
	if errors.Is(err, fs.ErrNotExist) && !w.routes.serve(id) {
		delete(w.awake, id) // a deploy that failed has taken it back, while its instances end
		return nil
	}
	if err != nil {
		w.log.Error("read the revision", "function", id.Function, "revision", id.String(), "err", err)
		delete(w.awake, id)
		return nil
	}
	if w.instances[id] == nil {
		w.instances[id] = instances{}
	}
	for _, i := range w.instances[id] {
		if i.poised && platform.InstanceCgroup(w.store.Paths, platform.SliceName(id.Function), i.id).Waiting(w.store.Paths) == 0 {
			i.begin(now) // a request has come since it was found waiting
			w.unmarkPoised(i.id)
		}
		i.inherit(now)
		i.inheritRest(platform.InstanceCgroup(w.store.Paths, platform.SliceName(id.Function), i.id))
	}
	rev := newRevision(described, w.instances[id], now)
	rev.load = w.loads[id]
	if failure, err := w.store.Failure(id); err == nil {
		rev.failure = &failure
	}
	scale, err := w.store.Scale(id.Function)
	if err != nil {
		scale = platform.Scale{}
	}
	rev.setBounds(scale, w.routes.good[id.Function])
	w.revisions[id] = rev
	w.log.Info("revision taken over", "event", "adopt", "function", id.Function, "revision", id.String(), "instances", rev.loggedDesired)
	return rev
}

// prune drops the instances of a revision that have no unit and no history any more.
func (w *world) prune(rev *revision, now time.Time) { rev.instances.prune(w.busy, now) }

// forget drops all that is known of a revision.
func (w *world) forget(id platform.RevisionID) {
	delete(w.revisions, id)
	delete(w.instances, id)
	delete(w.loads, id)
	delete(w.awake, id)
}

// noteAction takes over the result of an action that the actor has cleared, and wakes its revision.
func (w *world) noteAction(done action, now time.Time) {
	w.awake[done.id.Revision] = true
	switch {
	case done.verb == actionSwap:
		w.noteSwap(done)
	case done.err == nil:
		w.noteSuccess(done, now)
	case errors.Is(done.err, context.Canceled):
	default:
		w.noteFailure(done, now)
	}
	i := w.instance(done.id)
	if i != nil && i.state() == "" && !w.busy[done.id] && done.err == nil && (done.verb == actionDrain || done.verb == actionStop) {
		delete(w.instances[done.id.Revision], done.id.Index)
	}
}

func (w *world) noteSuccess(done action, now time.Time) {
	i, rev := w.instance(done.id), w.revisions[done.id.Revision]
	switch {
	case done.verb == actionProbe && i != nil:
		if rev != nil && !i.wasReady {
			rev.started(now.Sub(i.startingSince))
		}
		i.accepted()
	case done.concernsRest() && i != nil:
		i.noteRest(done, now)
	case done.touchesSocket() && rev != nil:
		rev.arming.succeeded()
		if i != nil {
			i.problem = ""
		}
	}
}

// noteFailure takes note of an action that has failed. An instance that could not even be made is remembered for a while, so
// that the next attempt is with another index.
func (w *world) noteFailure(done action, now time.Time) {
	i, rev := w.instance(done.id), w.revisions[done.id.Revision]
	if i == nil && rev != nil {
		i = &instance{id: done.id}
		rev.instances[done.id.Index] = i
	}
	switch {
	case i == nil:
	case done.verb == actionProbe:
		i.refused(done.err, now)
		return
	case done.verb == actionDismiss:
		return // it goes on waiting, and is asked again
	case done.concernsRest():
		i.noteRest(done, now)
		return
	default:
		i.poised = false
		i.failed(now)
		i.problem = strings.TrimSuffix(done.err.Error(), ".")
	}
	if done.touchesSocket() && rev != nil && !i.listens() {
		rev.arming.failed(now)
	}
}
