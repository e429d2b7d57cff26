package activator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Units is what the activator asks of systemd.
type Units interface {
	// List returns the loaded units whose names match one of the shell patterns.
	List(ctx context.Context, patterns ...string) ([]platform.UnitStatus, error)
	// Watch sends the state of every unit that changes, until the context ends, or returns an error when it may have
	// missed some. It calls watching once it misses none.
	Watch(ctx context.Context, changes chan<- platform.UnitStatus, watching func()) error
	// Start and Stop return when systemd has started or stopped the unit.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
	// Kill ends all processes of a unit at once.
	Kill(ctx context.Context, unit string) error
	// Service returns the state of a service, and how its last run ended.
	Service(ctx context.Context, unit string) (platform.ServiceStatus, error)
	// SocketResult returns "success", or how a socket unit has failed.
	SocketResult(ctx context.Context, unit string) (string, error)
	// InactiveSince returns when a unit last became inactive.
	InactiveSince(ctx context.Context, unit string) (time.Time, error)
}

// unitPatterns match the units of all instances.
var unitPatterns = []string{"fn-*@*.socket", "fn-*@*.service"}

// resync is how often all units are listed, in case that a change was missed.
const resync = 30 * time.Second

// unitWatcher observes the units of all instances. It sends changes one by one, and a list of all units after each time in
// which it may have missed changes, and every resync.
type unitWatcher struct {
	units   Units
	log     *slog.Logger
	running *sync.WaitGroup
	changes chan platform.UnitStatus
	lists   chan []platform.UnitStatus
}

func newUnitWatcher(units Units, running *sync.WaitGroup, log *slog.Logger) *unitWatcher {
	return &unitWatcher{
		units: units, log: log, running: running,
		changes: make(chan platform.UnitStatus, 1024),
		lists:   make(chan []platform.UnitStatus),
	}
}

// run observes until the context ends.
func (w *unitWatcher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		watch, cancel := context.WithCancel(ctx)
		err := w.units.Watch(watch, w.changes, func() {
			w.running.Go(func() { w.list(watch) })
		})
		cancel()
		if ctx.Err() == nil {
			w.log.Warn("watch the units again", "err", err)
			platform.Sleep(ctx, time.Second)
		}
	}
	return nil
}

func (w *unitWatcher) list(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := w.units.List(ctx, unitPatterns...)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				w.log.Error("list the units", "err", err)
			}
			platform.Sleep(ctx, time.Second)
			continue
		}
		send(ctx, w.lists, list)
		platform.Sleep(ctx, resync)
	}
}
