package keepalive_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
)

var start = time.Unix(1_700_000_000, 0).UTC()

func keys(ranked []keepalive.Ranked) []string {
	keys := []string{}
	for _, r := range ranked {
		keys = append(keys, r.Key)
	}
	return keys
}

// full is a cache of instances that cost a second and have a size of 100, each used once in the order of their keys, a second apart.
func full(halfLife time.Duration, keys ...string) *keepalive.Cache {
	c := keepalive.New(halfLife)
	for i, key := range keys {
		c.Put(key, keepalive.Instance{Cost: time.Second, Size: 100})
		c.Use(key, start.Add(time.Duration(i)*time.Second))
	}
	return c
}

func TestRank(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *keepalive.Cache)
		want   []string
	}{
		{"of equal ones the one used longest ago", func(*keepalive.Cache) {}, []string{"b", "a", "c"}},
		{"of equal ones used at once the order of the keys", func(c *keepalive.Cache) {
			for _, key := range []string{"c", "b", "a"} {
				c.Remove(key)
				c.Put(key, keepalive.Instance{Cost: time.Second, Size: 100})
				c.Use(key, start)
			}
		}, []string{"a", "b", "c"}},
		{"who costs more stays", func(c *keepalive.Cache) {
			c.Put("b", keepalive.Instance{Cost: 2 * time.Second, Size: 100})
		}, []string{"a", "c", "b"}},
		{"who is larger goes", func(c *keepalive.Cache) {
			c.Put("c", keepalive.Instance{Cost: time.Second, Size: 101})
		}, []string{"c", "b", "a"}},
		{"who is used more stays", func(c *keepalive.Cache) { c.Use("b", start.Add(2*time.Minute)) }, []string{"a", "c", "b"}},
		{"a burst is one use", func(c *keepalive.Cache) {
			for i := range 1000 {
				c.Use("b", start.Add(time.Duration(i)*59*time.Millisecond))
			}
		}, []string{"a", "c", "b"}},
		{"who is gone is not ranked", func(c *keepalive.Cache) { c.Drop("a"); c.Remove("b"); c.Use("d", start) }, []string{"c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := full(0, "b", "a", "c")
			test.change(c)
			if got := keys(c.Rank(start.Add(time.Hour))); !slices.Equal(got, test.want) {
				t.Errorf("rank %v, want %v", got, test.want)
			}
		})
	}
}

func TestBurstCountsOnce(t *testing.T) {
	c := keepalive.New(0)
	c.Put("a", keepalive.Instance{Cost: time.Second, Size: 1})
	for _, step := range []struct {
		at   time.Duration
		want float64
	}{{0, 1}, {time.Second, 1}, {59 * time.Second, 1}, {time.Minute, 2}, {119 * time.Second, 2}, {3 * time.Minute, 3}} {
		c.Use("a", start.Add(step.at))
		got := c.Rank(start)[0]
		if got.Frequency != step.want || got.LastUse != start.Add(step.at) {
			t.Errorf("used after %v: frequency %v, last use %v, want frequency %v", step.at, got.Frequency, got.LastUse, step.want)
		}
	}
}

func TestEvict(t *testing.T) {
	for _, test := range []struct {
		name   string
		need   int64
		change func(c *keepalive.Cache)
		want   []string
		size   int64
	}{
		{"nothing is needed", 0, nil, []string{}, 300},
		{"less than nothing is needed", -5, nil, []string{}, 300},
		{"a byte", 1, nil, []string{"a"}, 200},
		{"just one", 100, nil, []string{"a"}, 200},
		{"more than one", 101, nil, []string{"a", "b"}, 100},
		{"more than there is", 1000, nil, []string{"a", "b", "c"}, 0},
		{"pinned ones stay", 1000, func(c *keepalive.Cache) { c.Pin("b", true) }, []string{"a", "c"}, 100},
		{"and go when they are pinned no more", 1000, func(c *keepalive.Cache) {
			c.Pin("b", true)
			c.Pin("b", false)
		}, []string{"a", "b", "c"}, 0},
		{"one that came again is not pinned", 1000, func(c *keepalive.Cache) {
			c.Pin("a", true)
			c.Drop("a")
			c.Put("a", keepalive.Instance{Cost: time.Second, Size: 100})
		}, []string{"a", "b", "c"}, 0},
		{"an instance that is gone is not pinned", 1000, func(c *keepalive.Cache) {
			c.Drop("a")
			c.Pin("a", true)
			c.Put("a", keepalive.Instance{Cost: time.Second, Size: 100})
		}, []string{"a", "b", "c"}, 0},
		{"who has no size that is known frees nothing", 250, func(c *keepalive.Cache) {
			c.Put("a", keepalive.Instance{})
		}, []string{"b", "c"}, 0},
		{"size may change", 100, func(c *keepalive.Cache) { c.Put("a", keepalive.Instance{Size: 50}) }, []string{"a", "b"}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := full(0, "a", "b", "c")
			if test.change != nil {
				test.change(c)
			}
			if got := keys(c.Evict(test.need, start.Add(time.Hour))); !slices.Equal(got, test.want) {
				t.Errorf("victims %v, want %v", got, test.want)
			}
			if c.Size() != test.size {
				t.Errorf("size %d, want %d", c.Size(), test.size)
			}
		})
	}
}

// Without ageing, what was busy once would stay for as long as nobody else has been used as often.
func TestAgeing(t *testing.T) {
	busyOnce := func(halfLife time.Duration) []string {
		c := full(halfLife, "busy", "idle")
		for i := range 1000 {
			c.Use("busy", start.Add(time.Duration(i)*time.Minute))
		}
		month := start.Add(30 * 24 * time.Hour)
		c.Use("idle", month)
		return keys(c.Evict(100, month.Add(time.Hour)))
	}
	if got := busyOnce(0); got[0] != "idle" {
		t.Errorf("without ageing %v goes first", got)
	}
	if got := busyOnce(2 * time.Hour); got[0] != "busy" {
		t.Errorf("with ageing %v goes first", got)
	}
}

// What was not used while others were evicted is worth less than what is new at some time, whatever a start of it costs.
func TestClock(t *testing.T) {
	c := full(0, "old")
	c.Put("old", keepalive.Instance{Cost: 2500 * time.Millisecond, Size: 100})
	for i, want := range []string{"new", "new", "old"} {
		now := start.Add(time.Duration(i+2) * time.Minute)
		c.Remove("new")
		c.Put("new", keepalive.Instance{Cost: time.Second, Size: 100})
		c.Use("new", now)
		if got := keys(c.Evict(100, now)); !slices.Equal(got, []string{want}) {
			t.Errorf("round %d: %v goes, want %s", i, got, want)
		}
	}
}

func TestEvictedIsKnownAgain(t *testing.T) {
	c := full(time.Hour, "a")
	c.Use("a", start.Add(time.Hour))
	c.Evict(100, start.Add(time.Hour))
	c.Put("a", keepalive.Instance{Cost: time.Second, Size: 100})
	if got := c.Rank(start.Add(time.Hour))[0].Frequency; got != 1.5 {
		t.Errorf("frequency after an eviction %v, want 1.5", got)
	}
	c.Evict(100, start.Add(time.Hour))
	c.Evict(0, start.Add(20*time.Hour))
	if got := c.State().Entries; len(got) != 0 {
		t.Errorf("not forgotten after a day: %+v", got)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	c := full(time.Hour, "a")
	c.Use("a", start.Add(-24*time.Hour))
	got := c.Rank(start.Add(-24 * time.Hour))[0]
	if got.Frequency != 1 || got.LastUse != start {
		t.Errorf("%+v, want one use at %v", got, start)
	}
}
