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

// scrape asks for the load at every tick and gives the loop what came of it, also when nothing did.
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
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
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
