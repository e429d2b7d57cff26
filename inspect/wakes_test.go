package inspect

import (
	"strings"
	"testing"
)

func TestParseWakes(t *testing.T) {
	const page = `# TYPE fnctl_gateway_wake_seconds histogram
fnctl_gateway_wake_seconds_bucket{function="ping",from="armed",le="+Inf"} 2
fnctl_gateway_wake_seconds_sum{function="ping",from="armed"} 0.39
fnctl_gateway_wake_seconds_count{function="ping",from="armed"} 2
fnctl_gateway_wake_seconds_bucket{function="ping",from="standby",le="+Inf"} 120
fnctl_gateway_wake_seconds_sum{function="ping",from="standby"} 0.252
fnctl_gateway_wake_seconds_count{function="ping",from="standby"} 120
fnctl_gateway_wake_seconds_bucket{function="ping",from="poised",le="+Inf"} 0
fnctl_gateway_wake_seconds_sum{function="ping",from="poised"} 0
fnctl_gateway_wake_seconds_count{function="ping",from="poised"} 0
fnctl_gateway_wake_seconds_bucket{function="other",from="standby",le="+Inf"} 7
fnctl_gateway_wake_seconds_sum{function="other",from="standby"} 7
fnctl_gateway_wake_seconds_count{function="other",from="standby"} 7
`
	for function, want := range map[string]string{
		"ping":   "120 from standby (2.1ms each), 2 from armed (195ms each)",
		"other":  "7 from standby (1s each)",
		"nobody": "none since the gateway started",
	} {
		got, err := parseWakes(strings.NewReader(page), function)
		if err != nil || got.String() != want {
			t.Errorf("%s: got %q, %v, want %q", function, got, err, want)
		}
	}
	if _, err := parseWakes(strings.NewReader("<html>"), "ping"); err == nil {
		t.Error("no error for a page that is none")
	}
}
