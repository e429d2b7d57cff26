package snapshot

import (
	"context"
	"io/fs"
	"path/filepath"
	"syscall"
)

// DiskUse is how many bytes files or directories take on the disk, with all that is in them, and how many of those are
// theirs alone: a file that also has a name elsewhere stays when they are removed. What is not there takes nothing. If the
// context ends before all was looked at, the error is its cause, and the numbers are of what was.
func DiskUse(ctx context.Context, paths ...string) (total, alone int64, err error) {
	sum := diskSum{names: map[[2]uint64]uint64{}}
	for _, path := range paths {
		err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			if err != nil {
				return ignoreGone(err)
			}
			info, err := entry.Info()
			if err != nil {
				return ignoreGone(err)
			}
			sum.add(info)
			return nil
		})
		if err != nil {
			break
		}
	}
	return sum.total, sum.alone, err
}

// diskSum adds up files, each once.
type diskSum struct {
	total, alone int64
	names        map[[2]uint64]uint64 // of each file with several names: how many more there must be
}

func (s *diskSum) add(info fs.FileInfo) {
	stat := info.Sys().(*syscall.Stat_t)
	bytes := stat.Blocks * 512
	if info.IsDir() || stat.Nlink == 1 {
		s.total += bytes
		s.alone += bytes
		return
	}
	file := [2]uint64{stat.Dev, stat.Ino}
	left, known := s.names[file]
	if !known {
		left = uint64(stat.Nlink) //nolint:unconvert // it has 32 bits on arm64
		s.total += bytes
	}
	s.names[file] = left - 1
	if left == 1 {
		s.alone += bytes
	}
}
