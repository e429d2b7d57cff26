package activator

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// actionTimeout bounds one action; it is longer than TimeoutStopSec= and ExecStopPost= of an instance together.
const actionTimeout = 60 * time.Second

// What the activator does to an instance. The words are those of log, metrics and events.
const (
	actionArm    = "arm"
	actionStart  = "start"
	actionProve  = "ready"
	actionDrain  = "drain"
	actionStop   = "stop"
	actionRepair = "repair"
)

// action is something done to one instance that has ended.
type action struct {
	verb string
	id   platform.InstanceID
	took time.Duration
	err  error
}

// act runs a change of an instance beside the loop, which hears of its end. There is at most one per instance.
func (a *Activator) act(ctx context.Context, verb string, id platform.InstanceID, change func(context.Context) error) {
	a.busy[id] = true
	a.run(ctx, verb, id, change)
}

func (a *Activator) run(ctx context.Context, verb string, id platform.InstanceID, change func(context.Context) error) {
	started := time.Now()
	a.running.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, actionTimeout)
		defer cancel()
		err := change(bounded)
		send(ctx, a.done, action{verb: verb, id: id, took: time.Since(started), err: err})
	})
}

// arm makes an instance available: from then on a connection starts it.
func (a *Activator) arm(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionArm, id, func(ctx context.Context) error {
		return a.units.Start(ctx, id.Socket())
	})
}

// start makes an instance run ahead of need.
func (a *Activator) start(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionStart, id, func(ctx context.Context) error {
		if err := a.units.Start(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Service())
	})
}

// prove waits until a started instance accepts. It changes nothing, so the instance may be drained meanwhile.
func (a *Activator) prove(ctx context.Context, id platform.InstanceID) {
	a.proving[id] = true
	a.run(ctx, actionProve, id, func(ctx context.Context) error {
		conn, err := platform.Probe(ctx, a.paths.InstanceSocket(id), 'G')
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// drain takes an instance out of use; the gateway sees its socket go. One that was only armed is gone with that.
func (a *Activator) drain(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionDrain, id, func(ctx context.Context) error {
		if err := a.units.Stop(ctx, id.Socket()); err != nil {
			return err
		}
		// A socket that has failed would stay so.
		if err := a.units.ResetFailed(ctx, id.Socket()); err != nil {
			return err
		}
		services, err := a.units.List(ctx, id.Service())
		if err != nil {
			return err
		}
		for _, service := range services {
			if !service.Gone() {
				return nil
			}
		}
		return a.paths.RemoveWork(id)
	})
}

// stop ends a drained instance and removes its copy of the app.
func (a *Activator) stop(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionStop, id, func(ctx context.Context) error {
		if err := a.units.Stop(ctx, id.Service()); err != nil {
			return err
		}
		return a.paths.RemoveWork(id)
	})
}

// kill is stop for an instance that reads nothing: what was sent to it is known at once to have come to nothing, and can
// be sent to another one.
func (a *Activator) kill(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionStop, id, func(ctx context.Context) error {
		if err := a.units.Kill(ctx, id.Service()); err != nil {
			return err
		}
		if err := a.units.Stop(ctx, id.Service()); err != nil {
			return err
		}
		if err := a.units.ResetFailed(ctx, id.Service()); err != nil {
			return err
		}
		return a.paths.RemoveWork(id)
	})
}

// repair makes a socket listen that systemd has given up.
func (a *Activator) repair(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, actionRepair, id, func(ctx context.Context) error {
		if err := a.units.ResetFailed(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Socket())
	})
}

// finished takes note of an action that has ended.
func (a *Activator) finished(done action) {
	if done.verb == actionProve {
		delete(a.proving, done.id)
	} else {
		delete(a.busy, done.id)
	}
	a.awake[done.id.Revision] = true
	a.metrics.action(done)
	log := a.log.With("function", done.id.Revision.Function, "revision", done.id.Revision.String(), "instance", done.id.String())
	switch {
	case done.err == nil:
		log.Info("instance: "+done.verb, "event", done.verb, "duration", done.took.Round(time.Millisecond))
		a.succeeded(done)
	case errors.Is(done.err, context.Canceled):
	case done.verb == actionProve && errors.Is(done.err, fs.ErrNotExist):
		// It was drained before it accepted. A socket that was lost is found, and told of, by itself.
		a.failed(done, time.Now())
	default:
		log.Warn("instance: "+done.verb, "event", "fail", "err", done.err)
		a.failed(done, time.Now())
	}
	i := a.fleets[done.id.Revision][done.id.Index]
	if i != nil && i.state() == "" && !a.busy[done.id] && done.err == nil && (done.verb == actionDrain || done.verb == actionStop) {
		delete(a.fleets[done.id.Revision], done.id.Index)
	}
	if i == nil || i.state() != platform.Starting && !a.busy[done.id] {
		a.host.settle(done.id)
	}
}

func (a *Activator) succeeded(done action) {
	i, rev := a.fleets[done.id.Revision][done.id.Index], a.revisions[done.id.Revision]
	switch {
	case done.verb == actionProve && i != nil:
		i.accepted()
	case makesSocket(done.verb) && rev != nil:
		rev.arming.succeeded()
		if i != nil {
			i.problem = ""
		}
	}
}

// failed takes note of an action that has failed. An instance of which nothing came is remembered for a while, so that the
// next try is with another index.
func (a *Activator) failed(done action, now time.Time) {
	i, rev := a.fleets[done.id.Revision][done.id.Index], a.revisions[done.id.Revision]
	if i == nil && rev != nil {
		i = &instance{id: done.id}
		rev.fleet[done.id.Index] = i
	}
	switch {
	case i == nil:
	case done.verb == actionProve:
		i.refused(done.err, now)
		return
	default:
		i.failed(now)
		i.problem = strings.TrimSuffix(done.err.Error(), ".")
	}
	if makesSocket(done.verb) && rev != nil && !i.listens() {
		rev.arming.failed(now)
	}
}

// makesSocket tells whether an action begins with a socket.
func makesSocket(verb string) bool {
	return verb == actionArm || verb == actionStart || verb == actionRepair
}
