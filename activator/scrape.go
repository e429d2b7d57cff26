package activator

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// report is what came of asking for the load.
type report struct {
	// at is when it was asked: what had happened to the sockets by then, the gateway may have seen or not; what happened
	// later, it cannot have.
	at time.Time
	// seen is when what it says was so: at, or the last scrape of a Prometheus server. before is that of the report before.
	seen, before time.Time
	loads        map[platform.RevisionID]*Load
	err          error
}

// pokePause is how long after the last question a poke is answered at the earliest.
const pokePause = Tick / 10

// scrape asks for the load at every tick, and in between when it is poked, and gives the loop what came of it, also when
// nothing did.
func (a *Activator) scrape(ctx context.Context) error {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	before := time.Now()
	for {
		report := a.report(ctx)
		if report.seen.Before(before) {
			report.seen = before // after a time without sight; decisions never go back
		}
		report.before, before = before, report.seen
		send(ctx, a.reports, report)
		if !a.wait(ctx, ticker.C) {
			return nil
		}
	}
}

// wait waits for the next tick, or for a poke. It returns false when the context ends.
func (a *Activator) wait(ctx context.Context, tick <-chan time.Time) bool {
	pause(ctx, pokePause)
	select {
	case <-ctx.Done():
		return false
	case <-tick:
	case <-a.pokes:
	}
	return true
}

// poke asks for the load before the tick is over: Knative, too, doesn't let a function at zero wait for it.
func (a *Activator) poke() {
	select {
	case a.pokes <- struct{}{}:
	default: // it will be asked anyway
	}
}

func (a *Activator) report(ctx context.Context) report {
	r := report{at: time.Now()}
	r.seen = r.at
	dated, isDated := a.source.(DatedSource)
	if !isDated {
		r.loads, r.err = a.source.Load(ctx)
		return r
	}
	loads, seen, err := dated.LoadAt(ctx)
	if r.loads, r.err = loads, err; err == nil {
		r.seen = seen
	}
	return r
}

// sight logs once when the load is lost from sight and once when it is back.
func (a *Activator) sight(err error) {
	switch {
	case err != nil && !a.blind:
		a.log.Warn("no metrics: nothing is scaled down until they are back", "event", "blind", "err", err)
	case err == nil && a.blind:
		a.log.Info("metrics are back", "event", "sight")
	}
	if (err != nil) != a.blind {
		a.wakeAll() // each status must say so
	}
	a.blind = err != nil
	a.metrics.scrape(err)
}

func (a *Activator) wakeAll() {
	for id := range a.revisions {
		a.awake[id] = true
	}
}
