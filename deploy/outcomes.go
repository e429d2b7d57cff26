package deploy

import (
	"context"
	"strconv"

	dto "github.com/prometheus/client_model/go"

	"github.com/fnctl/fnctl/platform"
)

// outcomes is what came of requests.
type outcomes struct {
	requests float64 // that ended
	// failed are those that ended with 5xx, the gateway's own included, or broke off and the client was not the reason.
	failed float64
}

func (o outcomes) plus(other outcomes) outcomes {
	return outcomes{o.requests + other.requests, o.failed + other.failed}
}

// rate is the part of the requests that failed, in words.
func (o outcomes) rate() string {
	percent := 100 * o.failed / o.requests
	switch {
	case o.requests == 0:
		return "no requests"
	case o.failed == 0:
		return "0 %"
	case percent < 0.1:
		return "< 0.1 %"
	}
	return strconv.FormatFloat(percent, 'f', 1, 64) + " %"
}

// outcomePage has the outcomes of all requests since a gateway was started.
type outcomePage struct {
	started float64
	of      map[platform.RevisionID]outcomes
}

// since is what came of a revision's requests since an earlier page. Another gateway has begun to count at nothing.
func (p outcomePage) since(before outcomePage, id platform.RevisionID) outcomes {
	now, then := p.of[id], before.of[id]
	if p.started != before.started || now.requests < then.requests {
		return now
	}
	return outcomes{now.requests - then.requests, max(0, now.failed-then.failed)}
}

// readOutcomes asks the gateway.
func readOutcomes(ctx context.Context, socket string) (outcomePage, error) {
	families, err := readGateway(ctx, socket)
	if err != nil {
		return outcomePage{}, err
	}
	return outcomesOf(families), nil
}

// outcomesOf reads what came of all requests from the gateway's metrics.
func outcomesOf(families gatewayPage) outcomePage {
	page := outcomePage{of: map[platform.RevisionID]outcomes{}}
	for _, m := range families["process_start_time_seconds"].GetMetric() {
		page.started = m.GetGauge().GetValue()
	}
	for _, m := range families[platform.MetricRequests].GetMetric() {
		n := m.GetCounter().GetValue()
		found := outcomes{requests: n}
		if code, err := strconv.Atoi(labelOf(m, "code")); err == nil && code >= 500 {
			found.failed = n
		}
		page.add(m, found)
	}
	for _, m := range families[platform.MetricAborted].GetMetric() {
		if reason := labelOf(m, "reason"); reason == "upstream" || reason == "timeout" {
			page.add(m, outcomes{failed: m.GetCounter().GetValue()})
		}
	}
	for id, o := range page.of {
		o.failed = min(o.failed, o.requests) // a 5xx that breaks off is one failure
		page.of[id] = o
	}
	return page
}

func (p outcomePage) add(m *dto.Metric, found outcomes) {
	if id, err := platform.ParseRevisionID(labelOf(m, "revision")); err == nil {
		p.of[id] = p.of[id].plus(found)
	}
}
