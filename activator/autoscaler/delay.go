package autoscaler

import "time"

// delay remembers the largest number of instances of the last so many slots of time. The slots whose
// number can still become the largest form a queue of falling numbers, so that recording is O(1) on
// average and allocates nothing.
//
// Source: Knative Serving, pkg/autoscaler/aggregation/max.
type delay struct {
	grain  time.Duration
	queue  []slotMax // a ring: length entries from first on
	first  int
	length int
}

// slotMax is the largest number of one slot.
type slotMax struct {
	slot  int64
	count int
}

// maxDelaySlots bounds the memory of a delay; a longer one gets a coarser grain.
const maxDelaySlots = 64

// newDelay is nil if the configuration has no delay: one slot is not the same as none, for it would
// hold the largest of several numbers within a slot.
func newDelay(c *Config) *delay {
	if c.ScaleDownDelay == 0 {
		return nil
	}
	grain, extra := c.Tick, 0
	if !c.Reference {
		// The slot in progress comes on top, so that a number never lasts shorter than the delay.
		grain, extra = max(c.Tick, c.ScaleDownDelay/maxDelaySlots), 1
	}
	slots := int((c.ScaleDownDelay+grain-1)/grain) + extra
	return &delay{grain: grain, queue: make([]slotMax, slots)}
}

// record notes a number and returns the largest one still remembered.
func (d *delay) record(now time.Time, n int) int {
	slot := floorDiv(now.UnixNano(), int64(d.grain))
	if d.length > 0 {
		slot = max(slot, d.at(d.length-1).slot) // a clock that steps back
	}
	for d.length > 0 && d.at(d.length-1).count <= n {
		d.length--
	}
	for d.length > 0 && slot-d.at(0).slot >= int64(len(d.queue)) {
		d.first = (d.first + 1) % len(d.queue)
		d.length--
	}
	// A second, smaller number in one slot can't outlive the first.
	if d.length == 0 || d.at(d.length-1).slot != slot {
		d.length++
		*d.at(d.length - 1) = slotMax{slot, n}
	}
	return d.at(0).count
}

func (d *delay) reset() {
	if d != nil {
		d.length = 0
	}
}

func (d *delay) at(i int) *slotMax { return &d.queue[(d.first+i)%len(d.queue)] }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
