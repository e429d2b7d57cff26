package deploy

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// The probabilities are those of R's fisher.test(…, alternative = "greater").
func TestFisher(t *testing.T) {
	for _, test := range []struct {
		failed, requests, oldFailed, oldRequests, want float64
	}{
		{3, 4, 1, 4, 0.2428571}, // the lady tasting tea
		{4, 4, 0, 4, 0.01428571},
		{10, 100, 2, 100, 0.01652005},
		{3, 3, 0, 300, 2.178388e-07},
		{1, 1, 0, 100, 0.00990099},
		{30, 1000, 10, 1000, 0.001004167},
		{5, 5, 0, 0, 1}, // nothing to compare with
	} {
		got := fisher(outcomes{test.requests, test.failed}, outcomes{test.oldRequests, test.oldFailed})
		if math.Abs(got-test.want) > 1e-6*test.want {
			t.Errorf("%v of %v against %v of %v: got %v, want %v", test.failed, test.requests, test.oldFailed, test.oldRequests, got, test.want)
		}
	}
}

func TestFailsMore(t *testing.T) {
	risk := rolloutRisk / float64(rolloutLooks(time.Minute))
	for name, test := range map[string]struct {
		newer, older outcomes
		want         bool
	}{
		"nothing yet":                 {outcomes{}, outcomes{}, false},
		"no failure":                  {outcomes{1000, 0}, outcomes{1000, 0}, false},
		"one of many":                 {outcomes{100, 1}, outcomes{10000, 0}, false},
		"the first three":             {outcomes{3, 3}, outcomes{300, 0}, true},
		"nothing to compare with":     {outcomes{50, 50}, outcomes{}, false},
		"as bad as before":            {outcomes{100, 50}, outcomes{10000, 5000}, false},
		"better than a bad one":       {outcomes{1e6, 1e5}, outcomes{1e6, 9e5}, false},
		"a little worse, of millions": {outcomes{1e6, 2000}, outcomes{9e6, 9000}, true},
		"far worse, of millions":      {outcomes{1e6, 9e5}, outcomes{9e6, 9}, true},
	} {
		if got := failsMore(test.newer, test.older, risk); got != test.want {
			t.Errorf("%s: got %v (p = %v), want %v", name, got, fisher(test.newer, test.older), test.want)
		}
	}
}

// One percent first, then even steps; the old ones keep their proportions, all else stays.
func TestRolloutRoute(t *testing.T) {
	rev := platform.Revision{ID: platform.RevisionID{Function: "shop", Number: 9}, Config: platform.DefaultConfig()}
	old := platform.RouteTo(rev)
	old.Traffic, old.Hosts = nil, []string{"shop.example.com"}
	for i, percent := range []int{67, 33, 0} {
		share := platform.TrafficShare{Revision: platform.RevisionID{Function: "shop", Number: i + 1}, Percent: percent, Timeouts: platform.Timeouts{Timeout: platform.Seconds(7)}, Limits: platform.Limits{MaxQueue: 5}}
		old.Traffic = append(old.Traffic, share)
	}
	var steps []string
	for step := range rolloutSteps {
		route := rolloutRoute(old, rev, rolloutPercent(step))
		if err := route.Check(); err != nil {
			t.Error(err)
		}
		if last := route.Traffic[3]; last.Revision != rev.ID || route.Traffic[0].MaxQueue != 5 || route.Hosts[0] != "shop.example.com" {
			t.Errorf("got %+v", route)
		}
		var percents []int
		for _, share := range route.Traffic {
			percents = append(percents, share.Percent)
		}
		steps = append(steps, fmt.Sprint(percents))
	}
	const want = "[66 33 0 1] [60 29 0 11] [53 26 0 21] [46 23 0 31] [40 19 0 41] [33 16 0 51] [27 13 0 60] [20 10 0 70] [13 7 0 80] [7 3 0 90]"
	if got := strings.Join(steps, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if old.Traffic[0].Percent != 67 {
		t.Error("what there was before has changed")
	}
	if rolloutPercent(rolloutSteps) != 100 {
		t.Errorf("the steps end at %d %%", rolloutPercent(rolloutSteps))
	}
}

const outcomesPage = `
# TYPE process_start_time_seconds gauge
process_start_time_seconds %d
# TYPE fnctl_gateway_requests_total counter
fnctl_gateway_requests_total{function="shop",revision="shop-00001",code="200"} %d
fnctl_gateway_requests_total{function="shop",revision="shop-00001",code="404"} 5
fnctl_gateway_requests_total{function="shop",revision="shop-00001",code="499"} 1
fnctl_gateway_requests_total{function="shop",revision="shop-00001",code="500"} 2
fnctl_gateway_requests_total{function="shop",revision="shop-00001",code="503"} 1
fnctl_gateway_requests_total{function="shop",revision="shop-00002",code="502"} 4
# TYPE fnctl_gateway_aborted_total counter
fnctl_gateway_aborted_total{function="shop",revision="shop-00001",reason="client"} 9
fnctl_gateway_aborted_total{function="shop",revision="shop-00001",reason="upstream"} 3
fnctl_gateway_aborted_total{function="shop",revision="shop-00001",reason="timeout"} 1
fnctl_gateway_aborted_total{function="shop",revision="shop-00001",reason="shutdown"} 1
fnctl_gateway_aborted_total{function="shop",revision="shop-00002",reason="upstream"} 4
`

// 5xx, and what broke off though the client wanted it, are failures; what is asked later than before is what counts.
func TestOutcomes(t *testing.T) {
	page := func(started, good int) outcomePage {
		t.Helper()
		families, err := parseGateway(strings.NewReader(fmt.Sprintf(outcomesPage, started, good)))
		if err != nil {
			t.Fatal(err)
		}
		return outcomesOf(families)
	}
	first, second := platform.RevisionID{Function: "shop", Number: 1}, platform.RevisionID{Function: "shop", Number: 2}
	before := page(100, 91)
	if got, want := before.of[first], (outcomes{100, 7}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := before.of[second], (outcomes{4, 4}); got != want {
		t.Errorf("what breaks off after a 5xx counts once: got %v, want %v", got, want)
	}
	for name, test := range map[string]struct {
		now  outcomePage
		want outcomes
	}{
		"later":                {page(100, 141), outcomes{50, 0}},
		"another gateway":      {page(200, 141), outcomes{150, 7}},
		"counters that shrink": {page(100, 1), outcomes{10, 7}},
	} {
		if got := test.now.since(before, first); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	if _, err := parseGateway(strings.NewReader("{")); err == nil {
		t.Error("no metrics are accepted")
	}
}

func TestRate(t *testing.T) {
	for want, o := range map[string]outcomes{
		"no requests": {}, "0 %": {10, 0}, "< 0.1 %": {10000, 1}, "0.1 %": {1000, 1}, "33.3 %": {3, 1}, "100.0 %": {7, 7},
	} {
		if got := o.rate(); got != want {
			t.Errorf("%v: got %q, want %q", o, got, want)
		}
	}
}
