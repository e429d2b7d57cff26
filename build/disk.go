package build

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// What a build leaves free of a disk: functions and the machine write to it, too.
const (
	keptShare = 20      // a part of the disk's size
	keptMost  = 1 << 30 // and no more than that, in bytes
)

// diskInterval is how often a build's disks are looked at.
const diskInterval = 250 * time.Millisecond

var errDisk = errors.New("the disk is nearly full")

// checkDisks returns an error that wraps errDisk if one of the disks has less than is kept free of it.
func checkDisks(dirs []string) error {
	for _, dir := range dirs {
		var disk unix.Statfs_t
		if err := unix.Statfs(dir, &disk); err != nil {
			continue // it is not there, and so nothing is written to it
		}
		size, free := int64(disk.Blocks)*disk.Bsize, int64(disk.Bavail)*disk.Bsize
		if kept := min(size/keptShare, keptMost); free < kept {
			return platform.WithHint(fmt.Errorf("%w: %s has %s left, and a build leaves %s free", errDisk, dir, platform.ByteSize(free), platform.ByteSize(kept)),
				"fnctl gc removes what no function needs; df -h tells what else is there")
		}
	}
	return nil
}

// watchDisks calls full when one of the disks has become nearly full, and returns then, or when ctx is done.
func watchDisks(ctx context.Context, dirs []string, full func(error)) {
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := checkDisks(dirs); err != nil {
			full(err)
			return
		}
	}
}
