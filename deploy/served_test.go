package deploy

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestGatewayServes(t *testing.T) {
	const text = `# TYPE fnctl_gateway_in_flight gauge
fnctl_gateway_in_flight{function="ping",revision="ping-00001"} 0
fnctl_gateway_in_flight{function="ping",revision="ping-00003"} 2
fnctl_gateway_in_flight{function="other",revision="other-00002"} 0
`
	page, err := parseGateway(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	share := func(number, percent int) platform.TrafficShare {
		return platform.TrafficShare{Revision: platform.RevisionID{Function: "ping", Number: number}, Percent: percent}
	}
	for name, c := range map[string]struct {
		shares []platform.TrafficShare
		want   bool
	}{
		"one":               {[]platform.TrafficShare{share(1, 100)}, true},
		"two":               {[]platform.TrafficShare{share(1, 50), share(3, 50)}, true},
		"one is missing":    {[]platform.TrafficShare{share(1, 50), share(2, 50)}, false},
		"none has traffic":  {[]platform.TrafficShare{share(2, 0)}, true},
		"of another's name": {[]platform.TrafficShare{share(2, 100)}, false},
	} {
		if got := page.serves(platform.Route{Function: "ping", Traffic: c.shares}); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
