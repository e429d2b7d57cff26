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
	at    time.Time
	loads map[platform.RevisionID]*Load
	err   error
}

// scrape asks for the load at every tick and gives the loop what came of it, also when nothing did.
func (a *Activator) scrape(ctx context.Context) error {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	for {
		report := report{at: time.Now()}
		report.loads, report.err = a.source.Load(ctx)
		send(ctx, a.reports, report)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
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
