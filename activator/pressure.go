package activator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// pressureTriggers have the kernel tell when processes have waited for memory for a tenth of the time within a window (psi_trigger_create in
// Linux). A tenth is what systemd takes for pressure, too (DefaultMemoryPressureThresholdSec=). The kernel looks ten times in the first
// window, twice as often as a tick does; that takes CAP_SYS_RESOURCE. The second takes none from Linux 6.5 on, for containers, and is
// looked at every two seconds. It tells once in each window at most.
var pressureTriggers = []string{"some 100000 1000000", "some 200000 2000000"}

// pressureWindow is the longer one.
const pressureWindow = 2 * time.Second

// pressureWatcher waits for the kernel to tell of memory pressure, and passes that on.
type pressureWatcher struct {
	file     string
	triggers []string // the first that the kernel takes
	log      *slog.Logger
	stalls   chan struct{} // one that is pending is enough
}

func newPressureWatcher(paths platform.Paths, log *slog.Logger) *pressureWatcher {
	return &pressureWatcher{file: platform.MemoryPressureFile(paths), triggers: pressureTriggers, log: log, stalls: make(chan struct{}, 1)}
}

// run waits until the context ends, or returns at once where the kernel tells nothing: then what is free at each tick has to do.
func (w *pressureWatcher) run(ctx context.Context) error {
	trigger, err := w.open()
	if err != nil {
		w.log.Info("the kernel does not tell of memory pressure; free memory is looked at in each tick", "err", err)
		return nil
	}
	defer unix.Close(trigger)
	end, ending, err := os.Pipe()
	if err != nil {
		return err
	}
	defer end.Close()
	defer ending.Close()
	defer context.AfterFunc(ctx, func() { ending.Close() })()
	w.wait(trigger, int(end.Fd()))
	return nil
}

// open returns the descriptor that has POLLPRI at each stall. Go's poller knows no POLLPRI.
func (w *pressureWatcher) open() (fd int, err error) {
	fd, err = unix.Open(w.file, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", w.file, err)
	}
	for _, trigger := range w.triggers {
		if _, err = unix.Write(fd, append([]byte(trigger), 0)); err == nil {
			return fd, nil
		}
	}
	unix.Close(fd)
	return -1, fmt.Errorf("write to %s: %w", w.file, err)
}

// wait passes on each stall until the other descriptor hangs up.
func (w *pressureWatcher) wait(trigger, end int) {
	for {
		fds := []unix.PollFd{{Fd: int32(trigger), Events: unix.POLLPRI}, {Fd: int32(end)}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || fds[0].Revents&unix.POLLERR != 0:
			w.log.Warn("the kernel tells no more of memory pressure", "err", err)
			return
		case fds[1].Revents != 0:
			return
		case fds[0].Revents&unix.POLLPRI == 0:
			continue
		}
		select {
		case w.stalls <- struct{}{}:
		default:
		}
	}
}

const (
	// reclaimMemory is for how long a pressure is explained by what memory was taken.
	reclaimMemory = pressureWindow + Tick
	// burstPause ends a burst of pressure: what comes later is another one.
	burstPause = 10 * time.Second
	// victimsPause is the time that what was evicted has to end, before more of the same burst is.
	victimsPause = 2 * time.Second
)

// pressure is what the loop knows of memory pressure: whether the machine has any, and how far what sleeps was evicted for it.
type pressure struct {
	looks    bool
	reclaims platform.Reclaims // as read last
	// When each of them was seen to grow.
	directAt, kswapdAt, limitsAt time.Time
	evictedAt                    time.Time // the last time of this burst
	evicted                      int64     // bytes, then
}

// look takes over how memory was taken. The first time it says nothing of when it was.
func (p *pressure) look(reclaims platform.Reclaims, now time.Time) {
	if p.looks {
		noteGrowth(&p.directAt, p.reclaims.Direct, reclaims.Direct, now)
		noteGrowth(&p.kswapdAt, p.reclaims.Kswapd, reclaims.Kswapd, now)
		noteGrowth(&p.limitsAt, p.reclaims.Limits, reclaims.Limits, now)
	}
	p.looks, p.reclaims = true, reclaims
}

func noteGrowth(at *time.Time, before, after int64, now time.Time) {
	if after > before {
		*at = now
	}
}

// lookAway says that nobody looks for some time.
func (p *pressure) lookAway() { p.looks = false }

// isOfMachine reports whether the machine is short of memory. Processes wait for memory, too, while they read what was in swap, or while the
// function that they belong to is at its own limit; and kswapd takes what files have on every machine that reads some.
func (p *pressure) isOfMachine(now time.Time) bool {
	lately := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) <= reclaimMemory }
	return lately(p.directAt) || lately(p.kswapdAt) && !lately(p.limitsAt)
}

// due returns how many bytes to evict. The first time of a burst it is one instance, each further time twice as much as the last, and
// nothing while those of the last time have not ended.
func (p *pressure) due(leaving int64, now time.Time) int64 {
	since := now.Sub(p.evictedAt)
	switch {
	case p.evictedAt.IsZero() || since >= burstPause:
		return 1
	case leaving > 0 && since < victimsPause:
		return 0
	}
	return max(1, 2*p.evicted)
}

// note takes over what was evicted.
func (p *pressure) note(bytes int64, now time.Time) {
	if bytes > 0 {
		p.evictedAt, p.evicted = now, bytes
	}
}

// press evicts when processes wait for memory: as much as the machine has too little, and one instance at least.
func (r *reconciler) press(ctx context.Context, now time.Time) {
	if r.keeper.cache.Size() == 0 {
		return
	}
	short := max(0, -r.host.free)
	if short == 0 && !r.pressure.isOfMachine(now) {
		r.log.Debug("memory pressure, and the machine has memory: a function is at its own limit, or reads what was in swap")
		return
	}
	bytes := max(short, r.pressure.due(r.keeper.pending(r.world.isGone), now))
	r.pressure.note(r.evict(ctx, bytes, evictedPressure, now), now)
}
