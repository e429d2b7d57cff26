package inspect

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

// Wakes are how often requests had an instance made ready, since the gateway started.
type Wakes []Wake

// Wake is how often that was from one state.
type Wake struct {
	From  platform.InstanceState `json:"from"` // standby, poised or armed
	Count uint64                 `json:"count"`
	// Mean is how long it took, in seconds.
	Mean float64 `json:"mean_seconds"`
}

// String says it in words.
func (w Wakes) String() string {
	if len(w) == 0 {
		return "none since the gateway started"
	}
	parts := make([]string, len(w))
	for n, one := range w {
		took := time.Duration(one.Mean * float64(time.Second))
		parts[n] = fmt.Sprintf("%d from %s (%s each)", one.Count, one.From, took.Round(max(100*time.Microsecond, took/1000)))
	}
	return strings.Join(parts, ", ")
}

// wakesLimit is the largest page of metrics that is read.
const wakesLimit = 256 << 20

// WakesOf asks the gateway. Without an answer it is a problem, and nothing is known.
func (in *Inspector) WakesOf(ctx context.Context, function string) *Wakes {
	resp, err := deploy.AskDaemon(ctx, in.Store.Paths.GatewaySocket(), "/metrics")
	if err != nil {
		return nil // All has told
	}
	defer resp.Body.Close()
	wakes, err := parseWakes(io.LimitReader(resp.Body, wakesLimit), function)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answered %s", resp.Status)
	}
	if err != nil {
		in.Problems = append(in.Problems, fmt.Errorf("read the gateway's metrics: %w", err))
		return nil
	}
	return &wakes
}

func parseWakes(page io.Reader, function string) (Wakes, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, err
	}
	wakes := Wakes{}
	for _, state := range []platform.InstanceState{platform.Standby, platform.Poised, platform.Armed} {
		for _, m := range families[platform.MetricWake].GetMetric() {
			labels := map[string]string{}
			for _, pair := range m.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			seen := m.GetHistogram()
			if labels["function"] == function && labels["from"] == string(state) && seen.GetSampleCount() > 0 {
				wakes = append(wakes, Wake{state, seen.GetSampleCount(), seen.GetSampleSum() / float64(seen.GetSampleCount())})
			}
		}
	}
	return wakes, nil
}
