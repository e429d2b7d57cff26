package snapshot

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ChangedError says that an app's directory changed while it was copied: the copy might be half old and half new.
type ChangedError struct {
	// Name is the path, in the app's directory, of something that changed.
	Name string
}

func (e *ChangedError) Error() string {
	return "the app's directory changed while it was copied: " + e.Name
}

// changedIfGone makes a ChangedError of an error that says that something is not there any more.
func changedIfGone(name string, err error) error {
	if notThere(err) {
		return &ChangedError{name}
	}
	return err
}

// checkUnchanged looks at everything a second time. What is written, replaced, renamed or removed has another inode then,
// or another time of change, which nobody can set; what is new has a name that was not there.
func (t *tree) checkUnchanged(ctx context.Context) error {
	now, err := readTree(ctx, t.root.Name(), withoutIgnored, t.without...)
	if err != nil {
		return err
	}
	defer now.close()
	before := make(map[string]node, len(t.nodes))
	for _, n := range t.nodes {
		before[n.name] = n
	}
	for _, n := range now.nodes {
		if was, there := before[n.name]; !there || !n.isStill(was) {
			return &ChangedError{n.name}
		}
		delete(before, n.name)
	}
	for name := range before {
		return &ChangedError{name}
	}
	return nil
}

// isStill reports whether a file or link has not been touched. What is in a directory has names of its own.
func (n node) isStill(was node) bool {
	if !os.SameFile(n.info, was.info) || n.info.Mode() != was.info.Mode() {
		return false
	}
	return n.info.IsDir() || n.changed() == was.changed()
}

// changed is when a file's content, or anything else of it, was changed last.
func (n node) changed() unix.Timespec {
	return unix.Timespec(n.info.Sys().(*syscall.Stat_t).Ctim)
}

// longestTick is the longest time between two ticks of the kernel's clock.
const longestTick = 10 * time.Millisecond

// settle waits until whatever is written gets a later time of change than all that was found: the kernel takes the time of
// its last tick.
func (t *tree) settle(ctx context.Context) error {
	newest := int64(0)
	for _, n := range t.nodes {
		changed := n.changed()
		newest = max(newest, changed.Nano())
	}
	for deadline := time.Now().Add(2 * longestTick); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var tick unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &tick); err != nil || tick.Nano() > newest {
			return err
		}
	}
	return context.Cause(ctx) // it is of the future: the clock was set back
}
