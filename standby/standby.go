// Package standby freezes instances that have nothing to do, and wakes them. The processes of an instance are moved to a control group
// below that of its unit, and that is frozen: systemd never starts anything there, so that it stays able to end the unit.
//
// The kernel arbitrates. Whoever sends requests to an instance that may be frozen holds a claim, which is a shared lock (flock(2)) on
// the file that freezes it; whoever freezes takes the lock exclusively for that moment. A lock ends with the process that has it, and
// the file with the instance: nothing is left of anyone who is killed.
package standby

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// ErrClaimed is the error of freezing an instance to which somebody sends requests, or is about to.
var ErrClaimed = errors.New("the instance is in use")

// procs lists the processes of a group, and takes the number of one to move it there.
const procs = "cgroup.procs"

// mostMoves bounds how often the processes of an instance are listed to move them, and movePause is the time between two lists. Each takes
// those that were forked meanwhile. Those that are about to end stay, and are listed, until they have: on a busy machine for some time.
const (
	mostMoves = 500
	movePause = time.Millisecond
)

// Settle moves the processes of an instance to where they can be frozen, and lets a group of users wake it. What the processes fork
// stays there with them: they see the control groups read-only.
func Settle(ctx context.Context, of platform.Cgroup, gid int) error {
	sleeper := of.Sleeper()
	if err := os.Mkdir(sleeper.Dir(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chown(sleeper.FreezeFile(), -1, gid); err != nil {
		return err
	}
	if err := os.Chmod(sleeper.FreezeFile(), 0o660); err != nil { //nolint:gosec // the group is the gateway's
		return err
	}
	for range mostMoves {
		moved, err := moveAll(of.Dir(), sleeper.Dir())
		if err != nil || !moved {
			return err
		}
		platform.Sleep(ctx, movePause)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("move the processes to %s: some stay, or there are new ones again and again", sleeper.Dir())
}

// moveAll moves the processes of one group to another, and reports whether there were any.
func moveAll(from, to string) (moved bool, err error) {
	pids, err := platform.ReadPIDs(filepath.Join(from, procs))
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		err := writeTo(filepath.Join(to, procs), fmt.Sprint(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
			return false, err
		}
	}
	return len(pids) > 0, nil
}

// Freeze freezes the processes of an instance that was settled. It does not wait for them to stop. The error is ErrClaimed if the
// instance is in use.
func Freeze(of platform.Cgroup) error {
	f, err := os.OpenFile(of.Sleeper().FreezeFile(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() // and the lock is gone
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrClaimed
	case err != nil:
		return err
	}
	_, err = f.WriteString("1")
	return err
}

// Thaw has the processes of an instance go on. It does nothing for one that was not settled.
func Thaw(of platform.Cgroup) error {
	err := writeTo(of.Sleeper().FreezeFile(), "0")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// writeTo writes to a file of the kernel, which is there or not.
func writeTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Claim keeps an instance from being frozen.
type Claim struct{ file *os.File }

// claimPause is the time between two attempts to get the lock, which is held for a single write of whoever freezes.
const claimPause = 200 * time.Microsecond

// Wake makes an instance go on, and keeps it from being frozen until the claim is let go. It fails if the instance was not settled, or
// is gone, or the context ends before the lock is free.
func Wake(ctx context.Context, of platform.Cgroup) (*Claim, error) {
	f, err := os.OpenFile(of.Sleeper().FreezeFile(), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := share(ctx, f); err != nil {
		f.Close()
		return nil, fmt.Errorf("wake the instance: %w", err)
	}
	if _, err := f.WriteString("0"); err != nil {
		f.Close()
		return nil, fmt.Errorf("wake the instance: %w", err)
	}
	return &Claim{f}, nil
}

// share takes the lock of a file for the reading.
func share(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		platform.Sleep(ctx, claimPause)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// Release lets the instance be frozen again. A nil claim is none.
func (c *Claim) Release() {
	if c != nil {
		c.file.Close()
	}
}
