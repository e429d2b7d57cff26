package activator

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

const page = `# TYPE fnctl_gateway_requests_started_total counter
fnctl_gateway_requests_started_total{function="ping",revision="ping-00001"} 12
# TYPE fnctl_gateway_in_flight gauge
fnctl_gateway_in_flight{function="ping",revision="ping-00001"} 3
# TYPE fnctl_gateway_in_flight_seconds_total counter
fnctl_gateway_in_flight_seconds_total{function="ping",revision="ping-00001"} 4.5
# TYPE fnctl_gateway_queued gauge
fnctl_gateway_queued{function="ping",revision="ping-00001"} 1
# TYPE fnctl_gateway_instance_in_flight gauge
fnctl_gateway_instance_in_flight{function="ping",revision="ping-00001",instance="1",state="ready"} 2
fnctl_gateway_instance_in_flight{function="ping",revision="ping-00001",instance="2",state="draining"} 0
# TYPE fnctl_gateway_instance_unread gauge
fnctl_gateway_instance_unread{function="ping",revision="ping-00001",instance="1"} 1
# TYPE other untyped
other 1
`

func TestParseLoad(t *testing.T) {
	loads, err := ParseLoad(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	load := loads[ping1.Revision]
	if len(loads) != 1 || load == nil {
		t.Fatalf("got %v", loads)
	}
	if load.Started != 12 || load.InFlight != 3 || load.InFlightSeconds != 4.5 || load.Queued != 1 {
		t.Errorf("got %+v", load)
	}
	if got, want := load.Instances[1], (InstanceLoad{InFlight: 2, Unread: 1, Ready: true}); got != want {
		t.Errorf("instance 1: got %+v, want %+v", got, want)
	}
	if got, want := load.Instances[2], (InstanceLoad{Draining: true}); got != want {
		t.Errorf("instance 2: got %+v, want %+v", got, want)
	}
}

func TestParseLoadRefuses(t *testing.T) {
	for _, text := range []string{
		"{", "fnctl_gateway_in_flight{revision=\"../x\"} 1\n", "fnctl_gateway_in_flight 1\n", "fnctl_gateway_in_flight{revision=\"ping-00001\"} x\n",
	} {
		if loads, err := ParseLoad(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read as %v", text, loads)
		}
	}
}

func FuzzParseLoad(f *testing.F) {
	f.Add(page)
	f.Fuzz(func(t *testing.T, text string) {
		loads, err := ParseLoad(strings.NewReader(text))
		if err != nil {
			return
		}
		for id := range loads {
			if back, err := platform.ParseRevisionID(id.String()); err != nil || back != id {
				t.Errorf("revision %v", id)
			}
		}
	})
}
