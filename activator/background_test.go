package activator

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// What an instance without a request does, by the readings of its processor time.
func TestBackgroundWork(t *testing.T) {
	const limit = time.Minute
	idle, work := backgroundInterval/200, backgroundInterval/2 // processor time in an interval
	for name, c := range map[string]struct {
		used   []time.Duration // between one reading and the next
		locked bool
		every  time.Duration
		limit  time.Duration
		want   bool
	}{
		"nothing seen yet":       {limit: limit, want: true},
		"seen once":              {used: []time.Duration{0}, limit: limit, want: true},
		"idle":                   {used: []time.Duration{0, idle, idle, idle, idle}, limit: limit},
		"at work":                {used: []time.Duration{0, idle, idle, idle, work}, limit: limit, want: true},
		"at work a moment ago":   {used: []time.Duration{0, work, idle}, limit: limit, want: true},
		"done":                   {used: []time.Duration{0, work, idle, idle, idle}, limit: limit},
		"holds the lock":         {used: []time.Duration{0, 0, 0, 0, 0}, locked: true, limit: limit, want: true},
		"for too long":           {used: []time.Duration{0, work, work, work, work}, limit: 2 * backgroundInterval},
		"for too long, the lock": {used: []time.Duration{0, 0, 0, 0, 0}, locked: true, limit: 2 * backgroundInterval},
		"not allowed":            {used: []time.Duration{0, work}},
		"not looked at for long": {used: []time.Duration{0, 0, 0, 0, idle}, every: time.Hour, limit: 10 * time.Hour, want: true},
	} {
		every := max(c.every, backgroundInterval)
		var b background
		var cpu time.Duration
		now := epoch
		for _, used := range c.used {
			now = now.Add(every)
			cpu += used
			b.note(cpu, c.locked, now)
		}
		if got := b.works(c.limit, now); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// A request begins the account anew, and so does the next start.
func TestBackgroundBeginsAnew(t *testing.T) {
	i := armed(1).starts(epoch).accepts()
	for n := range 10 {
		i.background.note(0, false, epoch.Add(time.Duration(n)*backgroundInterval))
	}
	now := epoch.Add(10 * backgroundInterval)
	if i.background.works(time.Hour, now) {
		t.Fatal("an idle instance works: that proves nothing")
	}
	i.background.note(0, true, now)
	if later := now.Add(time.Hour); i.background.works(time.Hour, later) {
		t.Error("it works for longer than it may")
	} else if i.background.request(later); !i.background.works(time.Hour, now.Add(backgroundInterval)) {
		t.Error("a request that was not seen to be in flight does not begin the account anew")
	}
	i.load = &InstanceLoad{InFlight: 1}
	i.look(platform.Cgroup{}, "/nowhere", now)
	if !i.background.works(time.Hour, now) {
		t.Error("it is idle though it has had a request since it was looked at")
	}
	i.background.note(0, false, epoch)
	if i.ends(now).starts(now.Add(time.Minute)); !i.background.readAt.IsZero() {
		t.Error("what was known of another process is known of this one")
	}
}

// The lock is seen, whichever kind it is, and whatever the file is nothing waits for it.
func TestIsLocked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "busy")
	if isLocked(file) {
		t.Error("there is no file")
	}
	holder, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if isLocked(file) {
		t.Error("nobody holds it")
	}
	fd := int(holder.Fd())
	for name, take := range map[string]func() error{
		"shared":    func() error { return unix.Flock(fd, unix.LOCK_SH) },
		"exclusive": func() error { return unix.Flock(fd, unix.LOCK_EX) },
		"record": func() error {
			return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		},
	} {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // to look at it takes no lock that stays
			if !isLocked(file) {
				t.Errorf("%s: not seen", name)
			}
		}
		if err := unix.Flock(fd, unix.LOCK_UN); err != nil {
			t.Fatal(err)
		}
		_ = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
		if isLocked(file) {
			t.Errorf("%s: still held", name)
		}
	}
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, link, dir} {
		if isLocked(path) {
			t.Errorf("%s counts as locked", path)
		}
	}
}
