package activator

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// actionTimeout bounds one action; it is longer than TimeoutStopSec= and ExecStopPost= of an instance together.
const actionTimeout = 60 * time.Second

// action is something done to one instance that has ended.
type action struct {
	verb string
	id   platform.InstanceID
	err  error
}

// act runs a change of an instance beside the loop, which hears of its end. There is at most one per instance.
func (a *Activator) act(ctx context.Context, verb string, id platform.InstanceID, change func(context.Context) error) {
	a.busy[id] = true
	a.run(ctx, verb, id, change)
}

func (a *Activator) run(ctx context.Context, verb string, id platform.InstanceID, change func(context.Context) error) {
	a.actions.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, actionTimeout)
		defer cancel()
		done := action{verb: verb, id: id, err: change(ctx)}
		select {
		case a.done <- done:
		case <-ctx.Done():
		}
	})
}

// arm makes an instance available: from then on a connection starts it.
func (a *Activator) arm(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, "arm", id, func(ctx context.Context) error {
		return a.units.Start(ctx, id.Socket())
	})
}

// start makes an instance run ahead of need.
func (a *Activator) start(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, "start", id, func(ctx context.Context) error {
		if err := a.units.Start(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Service())
	})
}

// prove waits until a started instance accepts. It changes nothing, so the instance may be drained meanwhile.
func (a *Activator) prove(ctx context.Context, id platform.InstanceID) {
	a.proving[id] = true
	a.run(ctx, "prove", id, func(ctx context.Context) error {
		conn, err := platform.Probe(ctx, a.paths.InstanceSocket(id), 'G')
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// drain takes an instance out of use; the gateway sees its socket go. One that was only armed is gone with that.
func (a *Activator) drain(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, "drain", id, func(ctx context.Context) error {
		if err := a.units.Stop(ctx, id.Socket()); err != nil {
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
	a.act(ctx, "stop", id, func(ctx context.Context) error {
		if err := a.units.Stop(ctx, id.Service()); err != nil {
			return err
		}
		return a.paths.RemoveWork(id)
	})
}

// repair makes a socket listen that systemd has given up.
func (a *Activator) repair(ctx context.Context, id platform.InstanceID) {
	a.act(ctx, "repair", id, func(ctx context.Context) error {
		if err := a.units.ResetFailed(ctx, id.Socket()); err != nil {
			return err
		}
		return a.units.Start(ctx, id.Socket())
	})
}
