package activator

import (
	"context"
	"errors"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// queryInterval is how often a query is asked: Prometheus rarely scrapes more often.
	queryInterval = time.Second
	// queryTimeout bounds one question.
	queryTimeout = 2 * time.Second
)

var errNoPrometheus = errors.New("no Prometheus is set up: metrics.url in fnctl.yml")

// answer is what came of a query.
type answer struct {
	revision platform.RevisionID
	gauge    *gauge
	at       time.Time
	value    float64
	err      error
}

// ask asks the queries of a revision again. The answers come to the loop.
func (a *Activator) ask(ctx context.Context, rev *revision, now time.Time) {
	for _, g := range rev.gauges {
		if g.target.Metric != platform.MetricPrometheus || g.asking || now.Before(g.asked.Add(queryInterval)) {
			continue
		}
		g.asking, g.asked = true, now
		a.running.Go(func() {
			answer := answer{revision: rev.id, gauge: g, at: now, err: errNoPrometheus}
			if a.querier != nil {
				ctx, cancel := context.WithTimeout(ctx, queryTimeout)
				answer.value, answer.err = a.querier.Query(ctx, g.target.Query)
				cancel()
			}
			send(ctx, a.answers, answer)
		})
	}
}

// answered takes over the answer to a query.
func (a *Activator) answered(answer answer) {
	g := answer.gauge
	g.asking = false
	if (answer.err == nil) != (g.failure == nil) {
		log := a.log.With("function", answer.revision.Function, "revision", answer.revision.String())
		if answer.err != nil {
			log.Warn("query without an answer: nothing is scaled down", "event", "blind", "err", answer.err)
		} else {
			log.Info("query answered again", "event", "sight")
		}
	}
	if g.failure = answer.err; answer.err == nil && g.meter != nil { // else it rests
		g.level(answer.at, answer.value)
	}
}
