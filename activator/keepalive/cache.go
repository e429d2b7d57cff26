// Package keepalive decides which idle instances are kept in memory, and which go when it is needed. It is arithmetic only: no
// clock, now is always a parameter, and no I/O but that ReadTrace takes a reader.
//
// The policy is greedy-dual size frequency, as in FaasCache (A. Fuerst, P. Sharma, ASPLOS 2021): the priority of an instance
// is clock + frequency × cost / size, where the clock is the priority of what was evicted last. What differs: frequencies age and
// outlive an eviction, and a burst counts as one use.
package keepalive

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	// DefaultHalfLife is the age at which a use counts half: of several the best for azure2019-d01-400 in testdata/traces.
	DefaultHalfLife = 2 * time.Hour

	// burst is the time in which all uses count as one: thousands at once say no more about the next one than a few.
	burst = time.Minute

	// forgotten is the frequency below which what is not kept is forgotten: one use, ten half-lives ago.
	forgotten = 1.0 / 1024
)

// Instance is what makes an instance worth its memory.
type Instance struct {
	Cost time.Duration // of a cold start, as measured
	Size int64         // in bytes, as measured; 0 if that is not known yet
}

// Ranked is an instance that is kept, with its value at one time.
type Ranked struct {
	Key string
	Instance
	Pinned    bool
	Frequency float64   // uses, each of which counts the less the older it is
	Priority  float64   // in seconds per byte, and relative to those of others only
	LastUse   time.Time // zero if it was never used
}

// Cache has the instances that are in memory, and how often each was used. It is not safe for concurrent use.
type Cache struct {
	halfLife time.Duration
	clock    float64
	entries  map[string]*entry
	size     int64
}

// entry is what is known of one key. It outlives the instance, until its frequency has aged away.
type entry struct {
	Instance
	kept, pinned bool
	base         float64   // the clock at the last use, or when the instance came
	frequency    float64   // as of counted
	counted      time.Time // the last use that counted
	lastUse      time.Time
}

// New makes an empty cache in which a use counts half after each half-life. With 0 or less uses do not age.
func New(halfLife time.Duration) *Cache {
	return &Cache{halfLife: max(0, halfLife), entries: map[string]*entry{}}
}

// Use notes that an instance was used, whether it is kept or about to be started. It counts once a minute at most.
func (c *Cache) Use(key string, now time.Time) {
	e := c.entry(key)
	e.base = c.clock
	if now.After(e.lastUse) {
		e.lastUse = now
	}
	if e.counted.IsZero() || now.Sub(e.counted) >= burst {
		e.frequency = c.frequency(e, now) + 1
		e.counted = now
	}
}

// Put says that an instance is in memory, and what it is like now. It is no use.
func (c *Cache) Put(key string, in Instance) {
	e := c.entry(key)
	if e.kept {
		c.size -= e.Size
	} else {
		e.base = c.clock
	}
	e.Instance = Instance{Cost: max(0, in.Cost), Size: max(0, in.Size)}
	e.kept = true
	c.size += e.Size
}

// Pin says whether an instance that is kept must not be a victim, until it says otherwise or the instance is gone.
func (c *Cache) Pin(key string, pinned bool) {
	if e := c.entries[key]; e != nil && e.kept {
		e.pinned = pinned
	}
}

// Drop says that an instance is in memory no longer, for whatever reason. How often it was used is still known.
func (c *Cache) Drop(key string) {
	if e := c.entries[key]; e != nil && e.kept {
		c.size -= e.Size
		e.kept, e.pinned = false, false
	}
}

// Remove forgets all about a key.
func (c *Cache) Remove(key string) {
	c.Drop(key)
	delete(c.entries, key)
}

// Size is the memory of all instances that are kept, in bytes, pinned ones too.
func (c *Cache) Size() int64 { return c.size }

// Evict drops the instances of the lowest priority until need bytes are free, and returns them in the order in which they should
// go. If that cannot be reached it drops all that are victims: those that are not pinned and whose size is known.
func (c *Cache) Evict(need int64, now time.Time) []Ranked {
	var victims []Ranked
	for _, r := range c.Rank(now) {
		if need <= 0 {
			break
		}
		if r.Pinned || r.Size == 0 {
			continue
		}
		need -= r.Size
		victims = append(victims, r)
		c.clock = max(c.clock, r.Priority)
		c.Drop(r.Key)
	}
	c.forget(now)
	return victims
}

// Rank has all instances that are kept, the one of the lowest priority first. Of equal priorities the one that was used longer ago
// is the first, and then the order is that of the keys.
func (c *Cache) Rank(now time.Time) []Ranked {
	var all []Ranked
	for key, e := range c.entries {
		if !e.kept {
			continue
		}
		f := c.frequency(e, now)
		all = append(all, Ranked{
			Key: key, Instance: e.Instance, Pinned: e.pinned, Frequency: f, LastUse: e.lastUse,
			Priority: e.base + f*e.Cost.Seconds()/float64(max(1, e.Size)),
		})
	}
	slices.SortFunc(all, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.LastUse.Compare(b.LastUse), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// frequency is an entry's at now. A clock that went back makes nothing younger.
func (c *Cache) frequency(e *entry, now time.Time) float64 {
	age := now.Sub(e.counted)
	if c.halfLife == 0 || age <= 0 {
		return e.frequency
	}
	return e.frequency * math.Exp2(-age.Seconds()/c.halfLife.Seconds())
}

func (c *Cache) entry(key string) *entry {
	e := c.entries[key]
	if e == nil {
		e = &entry{base: c.clock}
		c.entries[key] = e
	}
	return e
}

func (c *Cache) forget(now time.Time) {
	for key, e := range c.entries {
		if !e.kept && c.frequency(e, now) < forgotten {
			delete(c.entries, key)
		}
	}
}
