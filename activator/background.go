package activator

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// An instance without a request may still work: after a response, in a thread, on a queue. It is found by the processor time
// that it uses, or says so itself with a lock (platform.BusyFile).
const (
	// backgroundInterval is the least time between two looks at an instance.
	backgroundInterval = 500 * time.Millisecond
	// backgroundFloor is how much of one core an instance uses that works. Servers wake up several times a second while they have
	// nothing to do: uvicorn uses less than a hundredth of a core for that.
	backgroundFloor = 0.05
	// backgroundQuiet is for how long an instance must have used less than that.
	backgroundQuiet = 3 * backgroundInterval
)

// background is what is known of an instance's work without a request, since its service was started.
type background struct {
	// cpu is its processor time as of readAt, which is zero before the first reading.
	cpu    time.Duration
	readAt time.Time
	// since is when it was first seen without a request, zero while it has one; quietSince is since when it has used little
	// processor time then, and holds no lock.
	since, quietSince time.Time
	locked            bool
}

// look takes a reading of the instance, unless the last one is fresh. It holds the lock of a file at busyFile while it works. What
// it has not read is no request that it works on.
func (i *instance) look(group platform.Cgroup, busyFile string, now time.Time) {
	b := &i.background
	if i.inFlight() > 0 && !i.isLossless() {
		*b = background{}
		return
	}
	if !b.readAt.IsZero() && now.Sub(b.readAt) < backgroundInterval {
		return
	}
	cpu, err := group.CPUTime()
	if err != nil {
		cpu = b.cpu // it has ended meanwhile, or nobody can tell
	}
	b.note(cpu, isLocked(busyFile), now)
}

// request notes that there was a request lately, though it may be over.
func (b *background) request(now time.Time) { b.since = now }

// watchAgain has the instance be seen quiet from now on: its last request may have begun something since the last reading.
func (b *background) watchAgain(now time.Time) { b.quietSince = now }

// note takes over a reading.
func (b *background) note(cpu time.Duration, locked bool, now time.Time) {
	if b.readAt.IsZero() {
		b.since, b.quietSince = now, now
	}
	elapsed := now.Sub(b.readAt)
	// What an instance did long ago, while nobody looked, does not tell what it does now.
	unknown := elapsed > backgroundQuiet
	if locked || unknown || float64(cpu-b.cpu) > backgroundFloor*float64(elapsed) {
		b.quietSince = now
	}
	b.cpu, b.locked, b.readAt = cpu, locked, now
}

// works reports whether the instance works, or may, without a request, and is allowed to: for at most as long as limit.
func (b *background) works(limit time.Duration, now time.Time) bool {
	switch {
	case limit <= 0:
		return false
	case b.readAt.IsZero():
		return true // nothing was seen of it yet
	}
	return now.Sub(b.since) < limit && now.Sub(b.quietSince) < backgroundQuiet
}

// isLocked reports whether a process holds a lock of a file, of flock(2) or fcntl(2). The app owns the file: it may be anything,
// or not there, and is not waited for.
func isLocked(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	record := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &record); err == nil && record.Type != unix.F_UNLCK {
		return true
	}
	// The lock is let go with the descriptor.
	return errors.Is(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}
