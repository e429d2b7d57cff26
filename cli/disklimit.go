package cli

import (
	"errors"

	"github.com/fnctl/fnctl/platform"
)

// limitDisk enforces disk_size, where the file system can. It comes before the first instance, which could write.
func (d *deployment) limitDisk() error {
	size := d.revision.Config.DiskSize
	if size == 0 {
		return nil
	}
	err := d.paths.LimitWorkspace(d.revision.ID.Function, size)
	if !errors.Is(err, platform.ErrNoQuota) {
		return err
	}
	// Whoever has not asked for a size need not be told.
	if size != platform.DefaultConfig().DiskSize || d.verbose {
		d.progress.note("disk_size is not enforced: /var/lib is on a file system without project quotas (docs/isolation.md)")
	}
	return nil
}
