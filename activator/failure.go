package activator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// A revision of which no instance can start is a failure that the gateway and people are told of, in a file, until one of
// its instances is ready. What the file says may be older than the activator.

const (
	// explainTimeout bounds the questions to systemd about a failure.
	explainTimeout = 5 * time.Second
	// explainTries and explainPause are how often, and after what time, a service that systemd starts again is asked how it
	// ended. One that can be run at all pauses before that.
	explainTries = 100
	explainPause = 5 * time.Millisecond
)

// explanation is why an instance came to nothing.
type explanation struct {
	id platform.InstanceID
	// row is how many starts in a row came to nothing.
	row int
	// unarmed tells that the socket could not be made, so that nothing was started.
	unarmed bool
	// damaged tells that the copy of the app is to blame.
	damaged bool
	reason  string
}

// stuck is the instance that came to nothing last, if no other is ready or has its first chance still.
func (f fleet) stuck() *instance {
	var last *instance
	for _, i := range f {
		switch state := i.state(); {
		case state == platform.Draining || state == platform.Deaf:
		case state == platform.Ready || i.failures == 0:
			return nil
		case last == nil || i.failedAt.After(last.failedAt):
			last = i
		}
	}
	return last
}

// judge finds out whether a revision can start.
func (a *Activator) judge(ctx context.Context, id platform.RevisionID) {
	rev := a.revisions[id]
	if rev == nil {
		return
	}
	if !a.routed(id) || rev.fleet.count(platform.Ready) > 0 || rev.unarmed && rev.fleet.listens() {
		a.acquit(rev)
		return
	}
	last := rev.fleet.stuck()
	switch {
	case last == nil || last.failedAt.Equal(rev.judged):
	case !last.listens() && (a.busy[last.id] || rev.arming.failures == 1): // there is another try at once
	default:
		rev.judged = last.failedAt
		a.explain(ctx, rev, last)
	}
}

// explain asks systemd why an instance came to nothing.
func (a *Activator) explain(ctx context.Context, rev *revision, i *instance) {
	why := explanation{id: i.id, row: i.row, unarmed: !i.listens() && rev.arming.failures > 0}
	listens, problem := i.listens(), i.problem
	a.running.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, explainTimeout)
		defer cancel()
		why.damaged = !why.unarmed && a.paths.WorkDamaged(why.id)
		if listens {
			why.reason = cmp.Or(a.whyService(bounded, why.id), problem)
		} else {
			why.reason = a.whySocket(bounded, why, problem)
		}
		send(ctx, a.explanations, why)
	})
}

// whyService puts into words why a service that systemd started came to nothing. They are empty if nobody knows any more.
func (a *Activator) whyService(ctx context.Context, id platform.InstanceID) string {
	service, err := a.ended(ctx, id.Service())
	switch {
	case err != nil:
		return "systemd does not say why"
	case service.Load != "loaded":
		return fmt.Sprintf("the unit %s is %s", id.Service(), service.Load)
	case !service.Ended:
		return "" // it was replaced, and systemd has forgotten it
	}
	return service.Ending()
}

// whySocket puts into words why a socket doesn't listen. problem is what the last action on it said.
func (a *Activator) whySocket(ctx context.Context, why explanation, problem string) string {
	service, err := a.units.Service(ctx, why.id.Service())
	if err == nil && service.Load != "loaded" {
		return fmt.Sprintf("the unit %s is %s", why.id.Service(), service.Load)
	}
	socket := why.id.Socket()
	result, err := a.units.SocketResult(ctx, socket)
	switch {
	case err == nil && result == "trigger-limit-hit":
		return a.whyService(ctx, why.id)
	case err == nil && result != "success" && why.unarmed:
		return fmt.Sprintf("the socket cannot be made (%s): see journalctl -u %s", result, socket)
	case err == nil && result != "success":
		return fmt.Sprintf("systemd cannot start it (%s): see journalctl -u %s", result, socket)
	case problem != "":
		return problem
	}
	return "there is no socket: see journalctl -u " + socket
}

// ended asks how a service ended. One that systemd starts again already doesn't tell, so it may take some questions.
func (a *Activator) ended(ctx context.Context, unit string) (service platform.ServiceStatus, err error) {
	for range explainTries {
		service, err = a.units.Service(ctx, unit)
		if err != nil || service.Load != "loaded" || service.Ended && !service.Running() {
			break
		}
		pause(ctx, explainPause)
	}
	return service, err
}

// explained makes a failure known, unless it was overcome meanwhile.
func (a *Activator) explained(why explanation) {
	id := why.id.Revision
	rev := a.revisions[id]
	switch {
	case rev == nil || !a.routed(id):
		return
	case why.damaged: // another copy may do
		if i := rev.fleet[why.id.Index]; i != nil && i.hopeless == "" {
			a.giveUp(i, "its copy of the app is damaged")
			a.awake[id] = true
		}
		return
	case rev.fleet.stuck() == nil || why.reason == "" && rev.failure != nil:
		return
	}
	failure := platform.Failure{Revision: id, Since: time.Now().UTC(), Reason: why.text()}
	if rev.failure != nil {
		failure.Since = rev.failure.Since
	}
	if rev.failure == nil || rev.unarmed != why.unarmed {
		a.log.Warn("the revision cannot start", "event", "fail", "function", id.Function, "revision", id.String(), "err", "cannot start: "+failure.Reason)
	}
	rev.failure, rev.unarmed = &failure, why.unarmed
	a.awake[id] = true
	if err := a.store.PutFailure(failure); err != nil {
		a.log.Error("tell the gateway that a revision cannot start", "function", id.Function, "revision", id.String(), "err", err)
	}
}

func (e explanation) text() string {
	reason := cmp.Or(e.reason, "it ended at once")
	if e.row > 1 {
		return fmt.Sprintf("%s, %d times in a row", reason, e.row)
	}
	return reason
}

// acquit takes a failure back.
func (a *Activator) acquit(rev *revision) {
	if rev.failure == nil {
		return
	}
	a.log.Info("the revision can start again", "event", "recover", "function", rev.id.Function, "revision", rev.id.String(),
		"why", "after "+time.Since(rev.failure.Since).Round(time.Second).String())
	rev.failure, rev.unarmed = nil, false
	a.removeFailure(rev.id)
}

func (a *Activator) removeFailure(id platform.RevisionID) {
	if err := a.store.RemoveFailure(id); err != nil {
		a.log.Error("tell the gateway that a revision can start", "function", id.Function, "revision", id.String(), "err", err)
	}
}

// sweepFailures removes what an activator before this one has said of revisions that no route reaches any more.
func (a *Activator) sweepFailures() {
	ids, err := a.paths.ListFailures()
	if err != nil {
		a.log.Error("list the failures", "err", err)
	}
	for _, id := range ids {
		if !a.routed(id) {
			a.removeFailure(id)
		}
	}
}
