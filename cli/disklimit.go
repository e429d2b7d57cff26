package cli

import (
	"errors"

	"github.com/fnctl/fnctl/platform"
)

// limitDisk enforces disk_size, where the file system can. It comes before the first instance, which could write.
func (l launcher) limitDisk(rev platform.Revision, verbose bool) error {
	size := rev.Config.DiskSize
	if size == 0 {
		return nil
	}
	err := l.paths.LimitWorkspace(rev.ID.Function, size)
	if !errors.Is(err, platform.ErrNoQuota) {
		return err
	}
	// Whoever has not asked for a size need not be told.
	if size != platform.DefaultConfig().DiskSize || verbose {
		l.progress.note("disk_size is not enforced: /var/lib is on a file system without project quotas (docs/isolation.md)")
	}
	return nil
}
