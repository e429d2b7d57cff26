package activator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// queryInterval is how often a query is evaluated: Prometheus rarely scrapes more often.
	queryInterval = time.Second
	// queryTimeout bounds one evaluation.
	queryTimeout = 2 * time.Second
)

var errNoPrometheus = errors.New("no Prometheus is set up: metrics.url in fnctl.yml")

// Querier evaluates a PromQL expression that yields one number.
type Querier interface {
	Query(ctx context.Context, query string) (float64, error)
}

// queries feeds the gauges of metric: prometheus. Each query is evaluated in a goroutine beside the loop, at most once at a
// time; its answer comes to the loop.
type queries struct {
	querier Querier // nil if there is no Prometheus
	running *sync.WaitGroup
	log     *slog.Logger
	answers chan answer
}

func newQueries(querier Querier, running *sync.WaitGroup, log *slog.Logger) *queries {
	return &queries{querier: querier, running: running, log: log, answers: make(chan answer)}
}

// answer is the result of a query.
type answer struct {
	revision platform.RevisionID
	gauge    *gauge
	at       time.Time
	value    float64
	err      error
}

// ask begins the queries of a revision that are due.
func (q *queries) ask(ctx context.Context, rev *revision, now time.Time) {
	for _, g := range rev.gauges {
		if g.target.Metric != platform.MetricPrometheus || g.asking || now.Before(g.askedAt.Add(queryInterval)) {
			continue
		}
		g.asking, g.askedAt = true, now
		q.running.Go(func() {
			answer := answer{revision: rev.id, gauge: g, at: now, err: errNoPrometheus}
			if q.querier != nil {
				ctx, cancel := context.WithTimeout(ctx, queryTimeout)
				answer.value, answer.err = q.querier.Query(ctx, g.target.Query)
				cancel()
			}
			send(ctx, q.answers, answer)
		})
	}
}

// answered takes over the answer to a query.
func (q *queries) answered(answer answer) {
	g := answer.gauge
	g.asking = false
	if (answer.err == nil) != (g.failure == nil) {
		log := q.log.With("function", answer.revision.Function, "revision", answer.revision.String())
		if answer.err != nil {
			log.Warn("query without an answer: nothing is scaled down", "event", "blind", "err", answer.err)
		} else {
			log.Info("query answered again", "event", "sight")
		}
	}
	if g.failure = answer.err; answer.err == nil && !g.asleep() {
		g.level(answer.at, answer.value)
	}
}
