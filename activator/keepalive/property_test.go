package keepalive_test

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
)

const naiveHalfLife = 30 * time.Second // less than a minute, so that uses do not always count

// naive is the same policy, from the definition: it keeps every use and computes everything anew. Times are multiples of the
// half-life, costs and sizes powers of two, so that all numbers are exact.
type naive struct {
	clock float64
	known map[string]*naiveEntry
}

type naiveEntry struct {
	uses         []int // in half-lives
	base         float64
	cost, size   int64
	kept, pinned bool
}

func (n *naive) at(key string) *naiveEntry {
	if n.known[key] == nil {
		n.known[key] = &naiveEntry{base: n.clock}
	}
	return n.known[key]
}

func (e *naiveEntry) frequency(now int) float64 {
	sum, counted := 0.0, -2
	for _, at := range e.uses {
		if at-counted >= 2 { // a minute
			counted = at
			v := 1.0
			for range now - at {
				v /= 2
			}
			sum += v
		}
	}
	return sum
}

func (n *naive) evict(need int64, now int) []string {
	victims := []string{}
	for need > 0 {
		var candidates []string
		for key, e := range n.known {
			if e.kept && !e.pinned && e.size > 0 {
				candidates = append(candidates, key)
			}
		}
		if len(candidates) == 0 {
			break
		}
		sort.Slice(candidates, func(i, j int) bool {
			a, b := n.known[candidates[i]], n.known[candidates[j]]
			if p, q := n.priority(a, now), n.priority(b, now); p != q {
				return p < q
			}
			if p, q := a.last(), b.last(); p != q {
				return p < q
			}
			return candidates[i] < candidates[j]
		})
		e := n.known[candidates[0]]
		victims = append(victims, candidates[0])
		need -= e.size
		n.clock = max(n.clock, n.priority(e, now))
		e.kept = false
	}
	for key, e := range n.known {
		if !e.kept && e.frequency(now) < 1.0/1024 {
			delete(n.known, key)
		}
	}
	return victims
}

func (n *naive) priority(e *naiveEntry, now int) float64 {
	return e.base + e.frequency(now)*float64(e.cost)/float64(max(1, e.size))
}

func (e *naiveEntry) last() int {
	if len(e.uses) == 0 {
		return -1
	}
	return e.uses[len(e.uses)-1]
}

func (n *naive) size() (sum int64) {
	for _, e := range n.known {
		if e.kept {
			sum += e.size
		}
	}
	return sum
}

func TestCacheIsTheNaiveOne(t *testing.T) {
	for seed := range int64(300) {
		compareWithNaive(t, rand.New(rand.NewSource(seed)))
	}
}

func compareWithNaive(t *testing.T, r *rand.Rand) {
	t.Helper()
	c, n := keepalive.New(naiveHalfLife), &naive{known: map[string]*naiveEntry{}}
	now := 0
	var done []string
	for range 400 {
		key := fmt.Sprintf("fn-%d@1", r.Intn(12))
		at := start.Add(time.Duration(now) * naiveHalfLife)
		switch op := r.Intn(20); {
		case op < 2 && now < 40: // more half-lives would not fit into a float64
			now++
			done = append(done, "tick")
		case op < 9:
			c.Use(key, at)
			e := n.at(key)
			e.uses, e.base = append(e.uses, now), n.clock
			done = append(done, "use "+key)
		case op < 14:
			cost, size := int64(1)<<r.Intn(3), int64(1)<<r.Intn(6)>>1
			c.Put(key, keepalive.Instance{Cost: time.Duration(cost) * time.Second, Size: size})
			e := n.at(key)
			if !e.kept {
				e.base, e.pinned = n.clock, false
			}
			e.cost, e.size, e.kept = cost, size, true
			done = append(done, fmt.Sprintf("put %s %d %d", key, cost, size))
		case op < 15:
			pinned := r.Intn(2) == 0
			c.Pin(key, pinned)
			if e := n.known[key]; e != nil {
				e.pinned = pinned && e.kept
			}
			done = append(done, fmt.Sprintf("pin %s %v", key, pinned))
		case op < 16:
			c.Drop(key)
			if e := n.known[key]; e != nil {
				e.kept = false
			}
			done = append(done, "drop "+key)
		case op < 17:
			c.Remove(key)
			delete(n.known, key)
			done = append(done, "remove "+key)
		case op < 18: // restart
			restored, err := keepalive.Restore(naiveHalfLife, c.State())
			if err != nil || !reflect.DeepEqual(restored, c) {
				t.Fatalf("restored %+v, %v, want %+v", restored, err, c)
			}
			c = restored
		default:
			need := int64(r.Intn(60))
			got, want := keys(c.Evict(need, at)), n.evict(need, now)
			done = append(done, fmt.Sprintf("evict %d: %v", need, want))
			if !slices.Equal(got, want) {
				t.Fatalf("evict %d: %v, want %v, after %q", need, got, want, done)
			}
		}
		if c.Size() != n.size() {
			t.Fatalf("size %d, want %d, after %q", c.Size(), n.size(), done)
		}
	}
}
