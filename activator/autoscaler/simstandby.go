package autoscaler

import "time"

// origin is what an instance was before it was on its way to be ready.
type origin int

const (
	fromStandby origin = iota
	fromPoised
	fromArmed
	origins
)

// of are how many instances came from an origin, and the time that requests waited for them.
func (p *Point) of(from origin) (starts *int, queueSeconds *float64) {
	switch from {
	case fromStandby:
		return &p.Wakes, &p.WakeQueueSeconds
	case fromPoised:
		return &p.PoisedStarts, &p.PoisedQueueSeconds
	default:
		return &p.ArmedStarts, &p.ArmedQueueSeconds
	}
}

// nextReady is the next instance to be ready, of those that are on the way.
func (s *simulator) nextReady() (at time.Duration, from origin, ok bool) {
	for o, due := range s.coming {
		if len(due) > 0 && (!ok || due[0] < at) {
			at, from, ok = due[0], origin(o), true
		}
	}
	return at, from, ok
}

// onTheWay is how many instances start or are being woken.
func (s *simulator) onTheWay() (n int) {
	for _, due := range s.coming {
		n += len(due)
	}
	return n
}

// running is how many instances are ready, draining or on the way.
func (s *simulator) running() int { return max(s.ready, s.busy()) + s.onTheWay() }

// busy is how many instances the requests that are served take at least.
func (s *simulator) busy() int { return (len(s.serving) + s.Slots - 1) / s.Slots }

// begin has an instance be ready as soon as its origin allows.
func (s *simulator) begin(from origin, after time.Duration) {
	s.coming[from] = append(s.coming[from], s.now+after)
	starts, _ := s.current.of(from)
	*starts++
	s.evict()
}

func (s *simulator) start() {
	if s.Poised && s.poisedAt <= s.now {
		s.poisedAt = s.now + s.SandboxTime
		s.begin(fromPoised, s.ColdStart-s.SandboxTime)
		return
	}
	s.begin(fromArmed, s.ColdStart)
}

func (s *simulator) wake() {
	s.standby--
	s.begin(fromStandby, s.WakeTime)
}

// rouse is the gateway's part: requests that find no room wake an instance, one after the other. Without a limit an instance that
// is ready has room.
func (s *simulator) rouse() {
	if s.queued > 0 && s.standby > 0 && len(s.coming[fromStandby]) == 0 && (s.limited || s.ready == 0) {
		s.wake()
	}
}

// evict stops what is in standby beyond the budget.
func (s *simulator) evict() {
	for s.Budget > 0 && s.standby > 0 && s.running()+s.standby > s.Budget {
		s.standby--
		s.current.Evictions++
	}
	s.current.Resident = max(s.current.Resident, s.running()+s.standby)
}

// resize wakes or starts missing instances, and retires those that are too many: first the ones that are not ready yet.
func (s *simulator) resize(desired int) {
	if s.queued > 0 {
		desired = max(1, desired)
	}
	for s.ready+s.onTheWay() < desired {
		if s.standby > 0 {
			s.wake()
		} else {
			s.start()
		}
	}
	surplus := s.ready + s.onTheWay() - desired
	for from := origins - 1; from > fromStandby; from-- {
		cancelled := min(surplus, len(s.coming[from]))
		s.coming[from] = s.coming[from][:len(s.coming[from])-cancelled]
		surplus -= cancelled
	}
	s.retire(min(surplus, s.ready))
}

// retire puts instances into standby as far as they are idle and there is room for them, and stops those for which there is none.
func (s *simulator) retire(surplus int) {
	room := max(0, min(surplus, s.Standby-s.standby))
	idle := max(0, s.ready-s.busy())
	s.ready -= surplus - room
	s.ready -= min(room, idle)
	s.standby += min(room, idle)
	s.evict()
}
