package activator

import (
	"context"
	"log/slog"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// failureNotices keeps a file for each revision of which no instance can start. The gateway refuses requests with it, and
// people read it, until one of the instances is ready. A file may be older than the activator.
type failureNotices struct {
	world     *world
	diagnoser *diagnoser
	log       *slog.Logger
}

func newFailureNotices(world *world, diagnoser *diagnoser, log *slog.Logger) *failureNotices {
	return &failureNotices{world: world, diagnoser: diagnoser, log: log}
}

// diagnose finds out whether a revision can start. If not, it asks for a diagnosis of the last instance that came to
// nothing, once for each of its failures; diagnosed gets the result.
func (n *failureNotices) diagnose(ctx context.Context, id platform.RevisionID) {
	rev := n.world.revisions[id]
	if rev == nil {
		return
	}
	if !n.world.routes.reach(id) || rev.instances.count(platform.Ready) > 0 || rev.noSocket && rev.instances.listens() {
		rev.soundAt = time.Now()
		n.clear(rev)
		return
	}
	last := rev.instances.stuck()
	switch {
	case n.world.held(id.Function): // a command has stopped what ran, and starts what comes: requests wait for that
	case last == nil || last.failedAt.Equal(rev.diagnosedAt):
	case !last.listens() && (n.world.busy[last.id] || rev.arming.failures == 1): // the next attempt follows at once
	default:
		rev.diagnosedAt = last.failedAt
		n.diagnoser.diagnose(ctx, last, rev.arming)
	}
}

// diagnosed publishes a failure, unless it was overcome meanwhile. An instance whose copy of the app is damaged is replaced
// instead: another copy may do.
func (n *failureNotices) diagnosed(d diagnosis) {
	id := d.id.Revision
	rev := n.world.revisions[id]
	switch {
	case rev == nil || !n.world.routes.reach(id) || d.askedAt.Before(rev.soundAt):
		return
	case n.world.held(id.Function):
		rev.diagnosedAt = time.Time{} // it is looked at again when the command is done
		return
	case d.damaged:
		if i := rev.instances[d.id.Index]; i != nil && i.replaceReason == "" {
			i.markForReplacement("its copy of the app is damaged", n.log)
			n.world.awake[id] = true
		}
		return
	case rev.instances.stuck() == nil || d.explanation == "" && rev.failure != nil:
		return
	}
	n.publish(rev, platform.Failure{Revision: id, Since: time.Now().UTC(), Explanation: d.text(), Late: d.late}, d.noSocket)
}

func (n *failureNotices) publish(rev *revision, failure platform.Failure, noSocket bool) {
	function, revision := rev.id.Function, rev.id.String()
	if rev.failure != nil {
		failure.Since = rev.failure.Since
	}
	if rev.failure == nil || rev.noSocket != noSocket {
		n.log.Warn("the revision cannot start", "event", "fail", "function", function, "revision", revision, "err", "cannot start: "+failure.Explanation)
	}
	rev.failure, rev.noSocket = &failure, noSocket
	n.world.awake[rev.id] = true
	if err := n.world.store.PutFailure(failure); err != nil {
		n.log.Error("tell the gateway that a revision cannot start", "function", function, "revision", revision, "err", err)
	}
}

// clear takes back the notice of a revision, if there is one.
func (n *failureNotices) clear(rev *revision) {
	if rev.failure == nil {
		return
	}
	n.log.Info("the revision can start again", "event", "recover", "function", rev.id.Function, "revision", rev.id.String(),
		"why", "after "+time.Since(rev.failure.Since).Round(time.Second).String())
	rev.failure, rev.noSocket = nil, false
	n.remove(rev.id)
}

// settled takes back the notice that a revision takes too long to start, when nobody asks for it any more: the next request finds
// an instance that has all of its time before it.
func (n *failureNotices) settled(rev *revision) {
	if rev.failure != nil && rev.failure.Late {
		n.clear(rev)
	}
}

func (n *failureNotices) remove(id platform.RevisionID) {
	if err := n.world.store.RemoveFailure(id); err != nil {
		n.log.Error("tell the gateway that a revision can start", "function", id.Function, "revision", id.String(), "err", err)
	}
}

// sweep removes the notices that an earlier activator has left of revisions which no route reaches any more.
func (n *failureNotices) sweep() {
	ids, err := n.world.store.Failures()
	if err != nil {
		n.log.Error("list the failures", "err", err)
	}
	for _, id := range ids {
		if !n.world.routes.reach(id) {
			n.remove(id)
		}
	}
}
