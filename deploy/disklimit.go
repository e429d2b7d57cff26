package deploy

import (
	"errors"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/workspace"
)

// limitDisk enforces disk_size, where the file system can. It comes before the first instance, which could write.
func (f *Function) limitDisk(rev platform.Revision, verbose bool) error {
	size := rev.Config.DiskSize
	if size == 0 {
		return nil
	}
	err := workspace.Limit(f.Store.Paths, rev.ID.Function, size)
	if !errors.Is(err, workspace.ErrNoQuota) {
		return err
	}
	// A size that was not asked for is no reason for a note.
	if size != platform.DefaultConfig().DiskSize || verbose {
		f.Progress.Note("disk_size is not enforced: /var/lib is on a file system without project quotas (docs/isolation.md)")
	}
	return nil
}
