package activator

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// report is the result of asking for the load.
type report struct {
	// at is when the source was asked. The gateway may have seen the changes of sockets until then, and none after it.
	at time.Time
	// asOf is when the load was so: at, or the last scrape of a Prometheus server. previous is that of the report before.
	asOf, previous time.Time
	loads          map[platform.RevisionID]*Load
	err            error
}

// pokePause is how long after the last question a poke is answered at the earliest.
const pokePause = Tick / 10

// scraper asks the source for the load at every tick, and in between when it is poked, and sends a report each time, also
// of a failure. poke may be called from any goroutine.
type scraper struct {
	source  Source
	pokes   chan struct{}
	reports chan report
}

func newScraper(source Source) *scraper {
	return &scraper{source: source, pokes: make(chan struct{}, 1), reports: make(chan report)}
}

// run asks until the context ends.
func (s *scraper) run(ctx context.Context) error {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	previous := time.Now()
	for {
		report := s.report(ctx)
		if report.asOf.Before(previous) {
			report.asOf = previous // after a time without metrics; decisions never go back
		}
		report.previous, previous = previous, report.asOf
		send(ctx, s.reports, report)
		if !s.wait(ctx, ticker.C) {
			return nil
		}
	}
}

// wait waits for the next tick, or for a poke. It returns false when the context ends.
func (s *scraper) wait(ctx context.Context, tick <-chan time.Time) bool {
	platform.Sleep(ctx, pokePause)
	select {
	case <-ctx.Done():
		return false
	case <-tick:
	case <-s.pokes:
	}
	return true
}

// poke asks for the load before the tick is over: Knative, too, doesn't let a function at zero wait for it.
func (s *scraper) poke() {
	select {
	case s.pokes <- struct{}{}:
	default: // one is pending
	}
}

func (s *scraper) report(ctx context.Context) report {
	r := report{at: time.Now()}
	r.asOf = r.at
	dated, isDated := s.source.(DatedSource)
	if !isDated {
		r.loads, r.err = s.source.Load(ctx)
		return r
	}
	loads, asOf, err := dated.LoadAt(ctx)
	if r.loads, r.err = loads, err; err == nil {
		r.asOf = asOf
	}
	return r
}
