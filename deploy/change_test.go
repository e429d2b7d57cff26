package deploy

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// undone is a change of the function shop that fails after three things were done, of which the second is for a revision. It
// returns what was taken back, in order.
func undone(t *testing.T, store platform.Store, before platform.Route, needed func(platform.Route) bool) (order []string, err error) {
	t.Helper()
	function := &Function{Engine: &Engine{Store: store}, Name: "shop"}
	ctx, cancel := context.WithCancel(t.Context())
	err = function.change(ctx, before, func(c *change) error {
		for _, name := range []string{"first", "second", "third"} {
			var needs func(platform.Route) bool
			if name == "second" {
				needs = needed
			}
			c.onFailure(needs, func(ctx context.Context) error {
				if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
					t.Errorf("%s is taken back with a context that has ended, or has no bound", name)
				}
				order = append(order, name)
				if name == "third" {
					return errors.New("the third stays")
				}
				return nil
			})
		}
		cancel() // by the user, for instance
		return errors.New("interrupted")
	})
	return order, err
}

func shopRoute(number int) platform.Route {
	return platform.RouteTo(platform.Revision{ID: platform.RevisionID{Function: "shop", Number: number}, Config: platform.DefaultConfig()})
}

// What was done is taken back from the last on, whatever fails meanwhile, unless the route that is there needs it.
func TestChangeUndo(t *testing.T) {
	second := platform.RevisionID{Function: "shop", Number: 2}
	all, kept := []string{"third", "second", "first"}, []string{"third", "first"}
	for name, test := range map[string]struct {
		route, before platform.Route
		damaged       bool
		needed        func(platform.Route) bool
		want          []string
	}{
		"no route":                         {needed: reaches(second), want: all},
		"the old route":                    {route: shopRoute(1), needed: reaches(second), want: all},
		"the new route":                    {route: shopRoute(2), needed: reaches(second), want: kept},
		"the new route needs it no more":   {route: shopRoute(2), want: all},
		"a damaged route":                  {damaged: true, needed: reaches(second), want: all},
		"a damaged route, and that before": {damaged: true, before: shopRoute(2), needed: reaches(second), want: kept},
		"a paused route reaches it":        {route: pausedRoute(2), needed: reaches(second), want: kept},
		"a paused route does not serve it": {route: pausedRoute(2), needed: serves(second), want: all},
	} {
		t.Run(name, func(t *testing.T) {
			store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
			if test.damaged || len(test.route.Traffic) > 0 {
				putRoute(t, store, test.route, test.damaged)
			}
			order, err := undone(t, store, test.before, test.needed)
			if !slices.Equal(order, test.want) {
				t.Errorf("taken back: %v, want %v", order, test.want)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "interrupted") || !strings.Contains(err.Error(), "the third stays") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func pausedRoute(number int) platform.Route {
	route := shopRoute(number)
	route.Paused = true
	return route
}

func putRoute(t *testing.T, store platform.Store, route platform.Route, damaged bool) {
	t.Helper()
	if err := os.MkdirAll(store.Paths.Function("shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	if damaged {
		if err := os.WriteFile(store.Paths.Route("shop"), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := store.PutRoute(route); err != nil {
		t.Fatal(err)
	}
}

func TestChangeThatSucceedsIsNotUndone(t *testing.T) {
	function := &Function{Engine: &Engine{}, Name: "shop"}
	err := function.change(t.Context(), platform.Route{}, func(c *change) error {
		c.onFailure(nil, func(context.Context) error {
			t.Error("it is taken back")
			return nil
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
