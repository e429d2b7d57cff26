package keepalive_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
)

// A restarted activator goes on as if nothing had happened, through JSON too.
func TestRestore(t *testing.T) {
	c := full(time.Hour, "a", "b", "c", "d", "e")
	c.Use("a", start.Add(5*time.Minute))
	c.Pin("b", true)
	c.Evict(100, start.Add(10*time.Minute))
	c.Use("later", start.Add(11*time.Minute))
	text, err := json.Marshal(c.State())
	if err != nil {
		t.Fatal(err)
	}
	var state keepalive.State
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	restored, err := keepalive.Restore(time.Hour, state)
	if err != nil {
		t.Fatal(err)
	}
	now := start.Add(time.Hour)
	if got, want := restored.State(), c.State(); !reflect.DeepEqual(got, want) {
		t.Errorf("state\n%+v, want\n%+v", got, want)
	}
	if restored.Size() != 400 {
		t.Errorf("size %d, want 400", restored.Size())
	}
	got, want := restored.Evict(1000, now), c.Evict(1000, now)
	if !reflect.DeepEqual(got, want) || !slices.Equal(keys(got), []string{"d", "e", "a"}) {
		t.Errorf("victims\n%+v, want\n%+v", got, want)
	}
}

func TestRestoreRefuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(s *keepalive.State)
	}{
		{"another format", "format 2", func(s *keepalive.State) { s.Format++ }},
		{"no format", "format 0", func(s *keepalive.State) { s.Format = 0 }},
		{"a key twice", `"a" is there twice`, func(s *keepalive.State) { s.Entries[1].Key = "a" }},
		{"a negative size", `"b" makes no sense`, func(s *keepalive.State) { s.Entries[1].Size = -1 }},
		{"a negative cost", `"b" makes no sense`, func(s *keepalive.State) { s.Entries[1].Cost = -1 }},
		{"a negative frequency", `"b" makes no sense`, func(s *keepalive.State) { s.Entries[1].Frequency = -1 }},
		{"no number", `"b" makes no sense`, func(s *keepalive.State) { s.Entries[1].Base = math.NaN() }},
		{"pinned but not kept", `"b" makes no sense`, func(s *keepalive.State) { s.Entries[1].Pinned, s.Entries[1].Kept = true, false }},
		{"an infinite clock", "clock is +Inf", func(s *keepalive.State) { s.Clock = math.Inf(1) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := full(0, "a", "b").State()
			test.change(&s)
			if _, err := keepalive.Restore(0, s); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
