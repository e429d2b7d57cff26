package platform

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// DiskUse is how many bytes a file or directory takes on the disk, with all that is in it, and how many of them are its
// alone: a file that also has a name elsewhere stays when it is removed. What is not there takes nothing.
func DiskUse(path string) (total, alone int64, err error) {
	names := map[[2]uint64]uint64{} // of each file: how many more there must be
	err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		file, bytes := [2]uint64{stat.Dev, stat.Ino}, stat.Blocks*512
		left, known := names[file]
		if !known {
			left = uint64(stat.Nlink) //nolint:unconvert // it has 32 bits on arm64
			total += bytes
		}
		names[file] = left - 1
		if left == 1 || entry.IsDir() {
			alone += bytes
		}
		return nil
	})
	return total, alone, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
