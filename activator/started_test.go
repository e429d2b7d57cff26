package activator

import "testing"

func TestStartedSince(t *testing.T) {
	for _, c := range []struct {
		name        string
		before, now float64
		want        bool
	}{
		{"nothing", 7, 7, false},
		{"a request", 7, 8, true},
		{"another gateway", 7, 0, false},
		{"another gateway, and a request", 7, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (&Load{Started: c.now}).startedSince(&Load{Started: c.before}); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if !(&Load{Started: 1}).startedSince(nil) || (&Load{}).startedSince(nil) {
		t.Error("the first report tells of all requests so far")
	}
}
