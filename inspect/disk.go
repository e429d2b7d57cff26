package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// diskTimeout bounds the look at a function's files: a workspace may have millions.
const diskTimeout = 2 * time.Second

// Disk has the use of the disk by a function, in bytes. What revisions share counts once.
type Disk struct {
	Revisions int64 `json:"revisions"`
	// Alone is the part of Revisions that becomes free with the function: no other file shares it.
	Alone int64 `json:"revisions_alone"`
	// Instances is the size of the instances' copies of the app.
	Instances int64 `json:"instances"`
	Workspace int64 `json:"workspace"`
	// Partial reports that there was no time to look at all: it is more than that.
	Partial bool `json:"partial,omitempty"`
}

// DiskOf measures a function; nil means that only root can.
func (in *Inspector) DiskOf(ctx context.Context, name string) *Disk {
	ctx, cancel := context.WithTimeout(ctx, diskTimeout)
	defer cancel()
	status := &Disk{}
	err := status.measure(ctx, in.Store, name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		status.Partial = true
	case err != nil:
		in.Problems = append(in.Problems, fmt.Errorf("use of the disk: %w", err))
	}
	return status
}

func (s *Disk) measure(ctx context.Context, store platform.Store, name string) (err error) {
	paths := store.Paths
	if s.Revisions, s.Alone, err = snapshot.DiskUse(ctx, paths.Revisions(name)); err != nil {
		return err
	}
	ids, err := store.Workdirs()
	if err != nil {
		return err
	}
	var works []string
	for _, id := range ids {
		if id.Revision.Function == name {
			works = append(works, paths.Workdir(id))
		}
	}
	if s.Instances, _, err = snapshot.DiskUse(ctx, works...); err != nil {
		return err
	}
	s.Workspace, _, err = snapshot.DiskUse(ctx, paths.Workspace(name))
	return err
}

// String is for people.
func (s *Disk) String() string {
	if s == nil {
		return "only root can see it"
	}
	atLeast := ""
	if s.Partial {
		atLeast = "at least "
	}
	return fmt.Sprintf("%s%s in revisions (%s theirs alone), %s in copies of instances, %s in the workspace",
		atLeast, platform.ByteSize(s.Revisions), platform.ByteSize(s.Alone), platform.ByteSize(s.Instances), platform.ByteSize(s.Workspace))
}
