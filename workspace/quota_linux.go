// Package workspace makes, limits and removes the persistent directories of functions, $JCLOUD_WORKSPACE. A limit is a project
// quota, which ext4 and XFS can have.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// ErrNoQuota reports that a file system has no project quotas, or doesn't enforce them.
var ErrNoQuota = errors.New("no project quotas")

// CheckQuotas returns an error that wraps ErrNoQuota if persistent directories cannot be limited.
func CheckQuotas(paths platform.Paths) error { return checkQuota(filepath.Join(paths.Root, "var/lib")) }

// MakeParent makes the directory of the persistent directories as systemd would: its private area is closed to all users but root.
func MakeParent(paths platform.Paths, function string) error {
	parent := filepath.Dir(paths.Workspace(function))
	if err := platform.MakeDir(filepath.Dir(parent), 0o700); err != nil {
		return err
	}
	return platform.MakeDir(parent, 0o755)
}

// Limit makes the persistent directory of a function, if there is none, and bounds what all files in it may take
// together. The error wraps ErrNoQuota, and nothing is made, if the file system cannot do that.
func Limit(paths platform.Paths, function string, limit int64) error {
	dir := paths.Workspace(function)
	if err := CheckQuotas(paths); err != nil {
		return fmt.Errorf("limit %s: %w", dir, err)
	}
	if err := MakeParent(paths, function); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := limitTree(dir, limit); err != nil {
		return fmt.Errorf("limit %s: %w", dir, err)
	}
	return nil
}

// Remove removes the persistent directory of a function by RemoveTree, or by os.Remove if it must be empty, and
// then its limit and systemd's link to it.
func Remove(paths platform.Paths, function string, remove func(string) error) error {
	dir, err := os.Open(paths.Workspace(function))
	if err != nil {
		return err
	}
	defer dir.Close()
	project, _ := projectOf(dir) // none where there are no projects
	if err := remove(dir.Name()); err != nil {
		return err
	}
	if project != 0 {
		_ = setQuota(dir, project, 0) // the limit of a project without files has no effect
	}
	if err := os.Remove(paths.WorkspaceLink(function)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func limitTree(path string, limit int64) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	project, err := projectOf(dir)
	if err != nil {
		return err
	}
	if project == 0 {
		if project, err = freeProject(dir, filepath.Base(path)); err != nil {
			return err
		}
	}
	// The limit first: from then on the number is taken.
	if err := setQuota(dir, project, limit); err != nil {
		return err
	}
	return joinTree(path, project)
}

// joinTree puts all that is in a directory into a project, from the top, so that what appears meanwhile inherits it. The
// directory is an app's, who may try to lead elsewhere.
func joinTree(path string, project uint32) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return snapshot.Walk(context.Background(), root, func(e snapshot.Entry) error {
		if !e.Info.IsDir() && !e.Info.Mode().IsRegular() {
			return nil
		}
		file, err := e.Dir.OpenFile(e.Base, unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil // it is gone, or has become a link
		}
		defer file.Close()
		return joinProject(file, project, e.Info.IsDir())
	})
}

// fileAttributes is struct fsxattr of linux/fs.h.
type fileAttributes struct {
	flags, extentSize, extents, project, cowExtentSize uint32
	_                                                  [8]byte
}

const (
	getAttributes  = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributes  = 0x401c5820 // FS_IOC_FSSETXATTR
	inheritProject = 0x200      // FS_XFLAG_PROJINHERIT
)

func (a *fileAttributes) ioctl(file *os.File, request uintptr) error {
	return os.NewSyscallError("ioctl", failed(unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(unsafe.Pointer(a)))))
}

func projectOf(file *os.File) (uint32, error) {
	var a fileAttributes
	err := a.ioctl(file, getAttributes)
	return a.project, err
}

func joinProject(file *os.File, project uint32, inherit bool) error {
	var a fileAttributes
	if err := a.ioctl(file, getAttributes); err != nil {
		return err
	}
	flags := a.flags
	if inherit {
		flags |= inheritProject
	}
	if a.project == project && a.flags == flags {
		return nil
	}
	a.project, a.flags = project, flags
	return a.ioctl(file, setAttributes)
}

// freeProject finds a number that has no limit and no files yet, in a range of its own.
func freeProject(dir *os.File, name string) (uint32, error) {
	const first, tries = 1 << 30, 1000
	hash := fnv.New32a()
	hash.Write([]byte(name))
	for project := hash.Sum32() | first; project < hash.Sum32()|first+tries; project++ {
		var b quotaBlock
		err := b.call(dir, getQuotaCommand, project)
		if errors.Is(err, fs.ErrNotExist) || err == nil && b == (quotaBlock{valid: b.valid}) {
			return project, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, errors.New("no number of a project is free")
}

// quotaBlock is struct if_dqblk of linux/quota.h.
type quotaBlock struct {
	hardKiB, softKiB, usedBytes    uint64
	hardFiles, softFiles, useFiles uint64
	blockTime, fileTime            uint64
	valid                          uint32
}

const (
	getQuotaCommand = 0x800007<<8 | projectQuota // Q_GETQUOTA
	setQuotaCommand = 0x800008<<8 | projectQuota // Q_SETQUOTA
	projectQuota    = 2
	setLimits       = 1 | 4 // QIF_BLIMITS, QIF_ILIMITS
)

func (b *quotaBlock) call(file *os.File, command uintptr, project uint32) error {
	return os.NewSyscallError("quotactl", quotactl(file.Fd(), command, uintptr(project), unsafe.Pointer(b)))
}

// bytesPerFile is what ext4 takes for its share of inodes: without a limit of files, a workspace could use up all of them.
const bytesPerFile = 16 << 10

// setQuota bounds a project; 0 takes the limit away.
func setQuota(file *os.File, project uint32, limit int64) error {
	b := quotaBlock{valid: setLimits}
	if limit > 0 {
		b.hardKiB = uint64(max(limit>>10, 1))
		b.hardFiles = uint64(max(limit/bytesPerFile, 1024))
	}
	return b.call(file, setQuotaCommand, project)
}

// checkQuota reports whether a file system enforces project quotas.
func checkQuota(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	const getState, enforced = 'X'<<16 | 8<<8, 1 << 5 // Q_XGETQSTATV, FS_QUOTA_PDQ_ENFD
	state := struct {                                 // struct fs_quota_statv of linux/dqblk_xfs.h
		version, _ uint8
		flags      uint16
		_          [252]byte
	}{version: 1}
	if err := quotactl(dir.Fd(), getState, 0, unsafe.Pointer(&state)); err != nil {
		return fmt.Errorf("%w: %w", ErrNoQuota, err)
	}
	if state.flags&enforced == 0 {
		return ErrNoQuota
	}
	return nil
}

// quotactl calls quotactl_fd, which Linux has since 5.14.
func quotactl(fd, command, id uintptr, address unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, fd, command, id, uintptr(address), 0, 0)
	return failed(0, 0, errno)
}

func failed(_, _ uintptr, errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
