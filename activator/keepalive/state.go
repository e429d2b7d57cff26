package keepalive

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// StateFormat is the number of the format of State.
const StateFormat = 1

// State is what a cache knows, for the one that continues it. It says nothing of the half-life, which is a setting.
type State struct {
	Format  int          `json:"format"`
	Clock   float64      `json:"clock"`
	Entries []EntryState `json:"entries"` // by key
}

// EntryState is what a cache knows of one key.
type EntryState struct {
	Key       string        `json:"key"`
	Cost      time.Duration `json:"cost"`
	Size      int64         `json:"size"`
	Kept      bool          `json:"kept,omitempty"`
	Pinned    bool          `json:"pinned,omitempty"`
	Base      float64       `json:"base"`
	Frequency float64       `json:"frequency"` // as of Counted
	Counted   time.Time     `json:"counted,omitzero"`
	LastUse   time.Time     `json:"last_use,omitzero"`
}

// State is what the cache knows.
func (c *Cache) State() State {
	s := State{Format: StateFormat, Clock: c.clock, Entries: make([]EntryState, 0, len(c.entries))}
	for key, e := range c.entries {
		s.Entries = append(s.Entries, EntryState{
			Key: key, Cost: e.Cost, Size: e.Size, Kept: e.kept, Pinned: e.pinned,
			Base: e.base, Frequency: e.frequency, Counted: e.counted, LastUse: e.lastUse,
		})
	}
	slices.SortFunc(s.Entries, func(a, b EntryState) int { return cmp.Compare(a.Key, b.Key) })
	return s
}

// Restore makes a cache that continues with what another one knew. The caller drops what is no longer in memory, and puts what
// is there by now. A state in another format, or one that no cache has made, is refused.
func Restore(halfLife time.Duration, s State) (*Cache, error) {
	if s.Format != StateFormat {
		return nil, fmt.Errorf("restore keep-alive state: format %d, want %d: another version has written it", s.Format, StateFormat)
	}
	c := New(halfLife)
	if !sane(s.Clock) {
		return nil, fmt.Errorf("restore keep-alive state: clock is %v", s.Clock)
	}
	c.clock = s.Clock
	for _, e := range s.Entries {
		switch {
		case c.entries[e.Key] != nil:
			return nil, fmt.Errorf("restore keep-alive state: %q is there twice", e.Key)
		case !sane(e.Base) || !sane(e.Frequency) || e.Cost < 0 || e.Size < 0 || (e.Pinned && !e.Kept):
			return nil, fmt.Errorf("restore keep-alive state: %q makes no sense: %+v", e.Key, e)
		}
		c.entries[e.Key] = &entry{
			Instance: Instance{Cost: e.Cost, Size: e.Size}, kept: e.Kept, pinned: e.Pinned,
			base: e.Base, frequency: e.Frequency, counted: e.Counted, lastUse: e.LastUse,
		}
		if e.Kept {
			c.size += e.Size
		}
	}
	return c, nil
}

func sane(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }
