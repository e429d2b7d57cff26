package activator

import (
	"context"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// actionTimeout bounds one action, besides the time that an instance has to end, and that the copy of its app takes.
const actionTimeout = 60 * time.Second

// The verbs of actions. The words are those of the log, the metrics and the events.
const (
	actionArm     = "arm"
	actionPoise   = "poise"
	actionDismiss = "dismiss"
	actionStart   = "start"
	actionProbe   = "ready"
	actionMark    = "mark"
	actionStandby = "standby"
	actionWake    = "wake"
	actionSwap    = "swap"
	actionDrain   = "drain"
	actionStop    = "stop"
	actionRepair  = "repair"
)

// action is something done to one instance that has ended.
type action struct {
	verb string
	id   platform.InstanceID
	took time.Duration
	err  error
}

// touchesSocket reports whether the action begins with making a socket listen.
func (a action) touchesSocket() bool {
	return a.verb == actionArm || a.verb == actionPoise || a.verb == actionStart || a.verb == actionRepair
}

// concernsRest reports whether the action is a step to standby or back.
func (a action) concernsRest() bool {
	return a.verb == actionMark || a.verb == actionStandby || a.verb == actionWake
}

// actor changes and probes instances, each in a goroutine beside the loop, and sends the action when it has ended. There is
// at most one change of an instance at a time, and at most one probe beside it; the caller asks isBusy and isProbing first.
type actor struct {
	units   Units
	store   platform.Store
	running *sync.WaitGroup
	ended   chan action

	// busy and probing have the instances whose action has not been cleared yet. The world reads busy.
	busy    map[platform.InstanceID]bool
	probing map[platform.InstanceID]bool
	// swapping is true while the memory of an instance is being moved to swap.
	swapping bool
}

func newActor(units Units, store platform.Store, running *sync.WaitGroup) *actor {
	return &actor{
		units: units, store: store, running: running,
		ended:   make(chan action),
		busy:    map[platform.InstanceID]bool{},
		probing: map[platform.InstanceID]bool{},
	}
}

// isBusy reports whether a change of the instance is under way.
func (a *actor) isBusy(id platform.InstanceID) bool { return a.busy[id] }

// isProbing reports whether a probe of the instance is under way.
func (a *actor) isProbing(id platform.InstanceID) bool { return a.probing[id] }

// clear makes room for the next action on the instance, when the loop has received the end of this one.
func (a *actor) clear(done action) {
	switch done.verb {
	case actionProbe:
		delete(a.probing, done.id)
	case actionSwap:
		a.swapping = false
	default:
		delete(a.busy, done.id)
	}
}

// arm makes the instance's socket listen: from then on a connection starts it.
func (a *actor) arm(ctx context.Context, id platform.InstanceID) {
	a.changeWithin(ctx, actionArm, id, platform.CopyTimeout+actionTimeout, func(ctx context.Context) error {
		return a.units.Start(ctx, id.Socket())
	})
}

// start makes an instance run ahead of need.
func (a *actor) start(ctx context.Context, id platform.InstanceID) {
	a.changeWithin(ctx, actionStart, id, platform.CopyTimeout+actionTimeout, func(ctx context.Context) error {
		if err := a.store.Unmark(id, platform.MarkPoised); err != nil {
			return err
		}
		if err := a.units.Start(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Service())
	})
}

// probe waits until a started instance accepts. It changes nothing, so the instance may be drained meanwhile.
func (a *actor) probe(ctx context.Context, id platform.InstanceID) {
	a.probing[id] = true
	a.run(ctx, actionProbe, id, actionTimeout, func(ctx context.Context) error {
		conn, err := platform.Probe(ctx, a.store.Paths.InstanceSocket(id), 'G')
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// drain takes an instance out of use: its socket goes, which the gateway sees. Nothing is left of an instance that was only
// armed.
func (a *actor) drain(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionDrain, id, func(ctx context.Context) error {
		if err := a.rouse(id); err != nil {
			return err
		}
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
		return a.store.RemoveWorkdir(id)
	})
}

// stop ends a drained instance, which has patience for that, and removes its copy of the app.
func (a *actor) stop(ctx context.Context, id platform.InstanceID, patience time.Duration) {
	a.changeWithin(ctx, actionStop, id, actionTimeout+patience, func(ctx context.Context) error {
		if err := a.units.Stop(ctx, id.Service()); err != nil {
			return err
		}
		return a.store.RemoveWorkdir(id)
	})
}

// kill is stop for an instance that reads nothing. The senders of the requests that it has not read learn of its end at
// once, and can send them to another one.
func (a *actor) kill(ctx context.Context, id platform.InstanceID) {
	a.change(ctx, actionStop, id, func(ctx context.Context) error {
		if err := a.units.Kill(ctx, id.Service()); err != nil {
			return err
		}
		if err := a.units.Stop(ctx, id.Service()); err != nil {
			return err
		}
		if err := a.units.ResetFailed(ctx, id.Service()); err != nil {
			return err
		}
		return a.store.RemoveWorkdir(id)
	})
}

// repair makes a socket that has failed listen again.
func (a *actor) repair(ctx context.Context, id platform.InstanceID) {
	a.changeWithin(ctx, actionRepair, id, platform.CopyTimeout+actionTimeout, func(ctx context.Context) error {
		if err := a.units.ResetFailed(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Socket())
	})
}

func (a *actor) change(ctx context.Context, verb string, id platform.InstanceID, change func(context.Context) error) {
	a.changeWithin(ctx, verb, id, actionTimeout, change)
}

func (a *actor) changeWithin(ctx context.Context, verb string, id platform.InstanceID, within time.Duration, change func(context.Context) error) {
	a.busy[id] = true
	a.run(ctx, verb, id, within, change)
}

func (a *actor) run(ctx context.Context, verb string, id platform.InstanceID, within time.Duration, act func(context.Context) error) {
	started := time.Now()
	a.running.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		err := act(bounded)
		send(ctx, a.ended, action{verb: verb, id: id, took: time.Since(started), err: err})
	})
}
