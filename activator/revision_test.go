package activator

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// A revision that only a tag leads to has no least number of instances, whatever its configuration and its scale.
func TestTagAloneHasNoMin(t *testing.T) {
	revision := func(n int) platform.Revision {
		config := platform.DefaultConfig()
		config.Autoscale.Min, config.Autoscale.Max = 3, 5
		return platform.Revision{ID: platform.RevisionID{Function: "ping", Number: n}, Config: config}
	}
	rev := newRevision(revision(2), instances{}, time.Now())
	two := 2
	for _, test := range []struct {
		name     string
		route    platform.Route
		scale    platform.Scale
		min, max int
	}{
		{"traffic", platform.RouteTo(revision(2)), platform.Scale{}, 3, 5},
		{"a tag", platform.RouteTo(revision(1)).WithTag("canary", revision(2)), platform.Scale{}, 0, 5},
		{"a tag, scaled", platform.RouteTo(revision(1)).WithTag("canary", revision(2)), platform.Scale{Min: &two, Max: &two}, 0, 2},
		{"both", platform.RouteTo(revision(2)).WithTag("canary", revision(2)), platform.Scale{Min: &two}, 2, 5},
		{"neither, or its route is damaged", platform.Route{}, platform.Scale{}, 3, 5},
	} {
		rev.setBounds(test.scale, test.route)
		if got := rev.gauges[0].config; got.Min != test.min || got.Max != test.max {
			t.Errorf("%s: got %d to %d, want %d to %d", test.name, got.Min, got.Max, test.min, test.max)
		}
	}
}
