package standby

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// ErrCannotSwap is the error of a machine that cannot move the memory of one control group to swap: Linux before 5.19, or one that counts
// memory, or swap, in no control group of this hierarchy.
var ErrCannotSwap = errors.New("the kernel cannot move the memory of a control group to swap")

const (
	// swapChunk is how many bytes the kernel is asked for at once. It is how far an instance that wakes is behind.
	swapChunk = 4 << 20
	// swapRest is what is left alone: an instance has it back with the first page that it touches.
	swapRest = 1 << 20
)

// SwapOut moves the memory of an instance that is frozen to swap, until that is done, swap is full, the instance goes on, or the context
// ends, which is an error. Its unit forbids swap (MemorySwapMax=0), and does so again when this returns: that brings nothing back, so that
// whoever wakes the instance need know nothing of it.
func SwapOut(ctx context.Context, of platform.Cgroup) (err error) {
	reclaim, err := unix.Open(filepath.Join(of.Dir(), "memory.reclaim"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unlessGone(of, fmt.Errorf("%w: %w", ErrCannotSwap, err))
	}
	defer unix.Close(reclaim)
	if err := setSwapMax(of, "max"); err != nil {
		return unlessGone(of, fmt.Errorf("%w: %w", ErrCannotSwap, err))
	}
	defer func() { err = errors.Join(err, ForbidSwap(of)) }()
	return swapChunks(ctx, of, reclaim)
}

// swapChunks asks for one chunk after another. It ends: a frozen instance takes nothing back, and the kernel says when there is no more.
func swapChunks(ctx context.Context, of platform.Cgroup, reclaim int) error {
	for {
		left, err := of.Anonymous()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !of.Sleeper().IsFrozen(): // it was woken, or is gone
			return nil
		case err != nil:
			return unlessGone(of, err)
		case left < swapRest:
			return nil
		}
		// Not by os.File, which would wait until it can write when the kernel says EAGAIN: it has found less than that.
		_, err = unix.Write(reclaim, fmt.Append(nil, min(left, swapChunk)))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), err == nil:
		default:
			return unlessGone(of, fmt.Errorf("move the memory of the instance to swap: %w", err))
		}
	}
}

// ForbidSwap keeps what an instance uses from now on in memory. What is in swap comes back as it is needed.
func ForbidSwap(of platform.Cgroup) error {
	err := setSwapMax(of, "0")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) { // it is gone, or never had any
		return nil
	}
	return err
}

func setSwapMax(of platform.Cgroup, most string) error {
	return writeTo(filepath.Join(of.Dir(), "memory.swap.max"), most)
}

// unlessGone is an error that has another cause than the end of the instance.
func unlessGone(of platform.Cgroup, err error) error {
	if !of.Sleeper().IsFrozen() {
		return nil
	}
	return err
}
