package platform_test

import (
	"os"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func bounds(least, most int) platform.Autoscale { return platform.Autoscale{Min: least, Max: most} }

func scale(least, most *int) platform.Scale { return platform.Scale{Min: least, Max: most} }

func n(i int) *int { return &i }

func TestScaleApply(t *testing.T) {
	for _, c := range []struct {
		name string
		s    platform.Scale
		want platform.Autoscale
	}{
		{"nothing", scale(nil, nil), bounds(2, 5)},
		{"min", scale(n(0), nil), bounds(0, 5)},
		{"max", scale(nil, n(9)), bounds(2, 9)},
		{"both", scale(n(7), n(7)), bounds(7, 7)},
		{"min above the max of a later deploy", scale(n(6), nil), bounds(6, 6)},
		{"max below the min of a later deploy", scale(nil, n(1)), bounds(1, 1)},
	} {
		single := bounds(0, 1)
		single.Single = true
		if got := c.s.Apply(single); got.Max != 1 || got.Min > 1 {
			t.Errorf("%s: a single one has %d to %d", c.name, got.Min, got.Max)
		}
		if got := c.s.Apply(bounds(2, 5)); got.Min != c.want.Min || got.Max != c.want.Max {
			t.Errorf("%s: got %d to %d, want %d to %d", c.name, got.Min, got.Max, c.want.Min, c.want.Max)
		}
	}
}

func TestScaleCheckFor(t *testing.T) {
	config := platform.Config{Autoscale: bounds(2, 5), MinAvailable: 2}
	for _, c := range []struct {
		s    platform.Scale
		want string
	}{
		{scale(nil, nil), ""},
		{scale(n(0), nil), ""},
		{scale(n(5), nil), ""},
		{scale(n(6), n(6)), ""},
		{scale(nil, n(2)), ""},
		{scale(n(-1), nil), "min must be an integer of at least 0, got -1"},
		{scale(n(1<<40), nil), "min must be"},
		{scale(nil, n(0)), "max must be an integer of at least 1, got 0"},
		{scale(n(3), n(2)), "min must be at most max, which is 2, got 3"},
		{scale(n(6), nil), "min must be at most max, which is 5, got 6"},
		{scale(nil, n(1)), "max must be at least min, which is 2, got 1"},
		{scale(n(0), n(1)), "max must be at least minAvailable, which is 2, got 1"},
	} {
		if single := (platform.Config{Autoscale: platform.Autoscale{Max: 1, Single: true}}); c.s.Max != nil && *c.s.Max > 1 && c.s.CheckFor(single) == nil {
			t.Errorf("a single instance may be %d", *c.s.Max)
		}
		err := c.s.CheckFor(config)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestStoreScale(t *testing.T) {
	store := newStore(t)
	if err := os.MkdirAll(store.Paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Scale("ping"); err != nil || !got.Empty() {
		t.Errorf("without a file: got %+v, %v", got, err)
	}
	if err := store.PutScale("ping", scale(n(0), n(3))); err != nil {
		t.Fatal(err)
	}
	got, err := store.Scale("ping")
	if after := got.Apply(bounds(2, 5)); err != nil || after.Min != 0 || after.Max != 3 {
		t.Errorf("got %d to %d, %v, want 0 to 3", after.Min, after.Max, err)
	}
	if info, err := os.Stat(store.Paths.Scale("ping")); err != nil || info.Mode() != 0o644 {
		t.Errorf("got mode %v, %v, want 0644", info.Mode(), err)
	}
	if err := store.PutScale("ping", scale(n(4), n(3))); err == nil {
		t.Error("min above max was written")
	}
	for range 2 { // nothing to remove is no error
		if err := store.PutScale("ping", platform.Scale{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(store.Paths.Scale("ping")); !os.IsNotExist(err) {
		t.Errorf("an empty scale leaves its file: %v", err)
	}
}

func TestStoreScaleRefusesDamagedFiles(t *testing.T) {
	store := newStore(t)
	if err := os.MkdirAll(store.Paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"min":-1}`, `{"min":3,"max":2}`, `{"max":"3"}`} {
		if err := os.WriteFile(store.Paths.Scale("ping"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Scale("ping"); err == nil || !got.Empty() {
			t.Errorf("%q: got %+v, %v, want an error and nothing", text, got, err)
		}
	}
	if _, err := store.Scale("../x"); err == nil {
		t.Error("a name that leaves the directory was accepted")
	}
}
