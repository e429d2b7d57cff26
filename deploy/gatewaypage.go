package deploy

import (
	"context"
	"fmt"
	"io"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/fnctl/fnctl/platform"
)

// gatewayPage is the page of the gateway's metrics, by their names.
type gatewayPage map[string]*dto.MetricFamily

// gatewayPageLimit bounds the page, in bytes.
const gatewayPageLimit = 256 << 20

// readGateway asks the gateway for its metrics.
func readGateway(ctx context.Context, socket string) (gatewayPage, error) {
	resp, err := AskDaemon(ctx, socket, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the gateway's metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the gateway's metrics: it answers %s", resp.Status)
	}
	return parseGateway(io.LimitReader(resp.Body, gatewayPageLimit))
}

func parseGateway(r io.Reader) (gatewayPage, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's metrics: %w", err)
	}
	return families, nil
}

// inFlight is how many requests run on the instances of a function.
func (p gatewayPage) inFlight(function string) float64 {
	total := 0.0
	for _, m := range p[platform.MetricInstanceInFlight].GetMetric() {
		if labelOf(m, "function") == function {
			total += m.GetGauge().GetValue()
		}
	}
	return total
}

func labelOf(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
