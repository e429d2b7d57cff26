//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallInfo is struct ptrace_syscall_info of ptrace(2), the same on all architectures.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64 // where in the program
	data [8]uint64 // on entry: the number and the arguments; on exit: the result and whether it is an error
}

func (i syscallInfo) number() uint64   { return i.data[0] }
func (i syscallInfo) arg(n int) uint64 { return i.data[1+n] }
func (i syscallInfo) result() uint64   { return i.data[0] }
func (i syscallInfo) failed() bool     { return i.data[1]&0xff != 0 }

func callInfo(thread int) (info syscallInfo, err error) {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		err = errno
	}
	return info, err
}

// call is a system call that changes something.
type call struct {
	text    string
	space   bool // it may need space on a disk
	writes  bool // its result is how much it has written
	refused bool
}

// describe returns nil for a call that changes nothing. Go's standard library has each call in one form, the one with a
// directory where there is a choice.
func describe(thread int, info syscallInfo) *call {
	p := process{thread}
	at := func(name string, dir, path int) string { return name + " " + p.at(info.arg(dir), info.arg(path)) }
	two := func(name string) string {
		return at(name, 0, 1) + " " + p.at(info.arg(2), info.arg(3))
	}
	onFile := func(name string, fd int, space bool) *call {
		path := p.file(info.arg(fd))
		if !filepath.IsAbs(path) || strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/dev/") || info.arg(fd) <= 2 {
			return nil
		}
		return &call{text: name + " " + path, space: space}
	}
	switch info.number() {
	case unix.SYS_OPENAT:
		if info.arg(2)&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return nil
		}
		return &call{text: at("create", 0, 1), space: true}
	case unix.SYS_MKDIRAT:
		return &call{text: at("mkdir", 0, 1), space: true}
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return &call{text: two("rename"), space: true}
	case unix.SYS_LINKAT:
		return &call{text: two("link"), space: true}
	case unix.SYS_SYMLINKAT:
		return &call{text: at("symlink", 1, 2), space: true}
	case unix.SYS_UNLINKAT:
		return &call{text: at("unlink", 0, 1)}
	case unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2:
		return &call{text: at("chmod", 0, 1)}
	case unix.SYS_FCHOWNAT:
		return &call{text: at("chown", 0, 1)}
	case unix.SYS_UTIMENSAT:
		return &call{text: at("utimes", 0, 1)}
	case unix.SYS_FCHMOD:
		return onFile("chmod", 0, false)
	case unix.SYS_FCHOWN:
		return onFile("chown", 0, false)
	case unix.SYS_FLOCK:
		return onFile("flock", 0, false)
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return onFile("fsync", 0, true)
	case unix.SYS_SYNCFS:
		return onFile("syncfs", 0, true)
	case unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE:
		return onFile("resize", 0, true)
	case unix.SYS_COPY_FILE_RANGE:
		return written(onFile("write", 2, true))
	case unix.SYS_SENDFILE:
		return written(onFile("write", 0, true))
	case unix.SYS_CLONE:
		if info.arg(0)&unix.CLONE_THREAD != 0 {
			return nil
		}
		return &call{text: "child"} // which may change anything
	case unix.SYS_IOCTL:
		if info.arg(1) != unix.FICLONE && info.arg(1) != unix.FICLONERANGE {
			return nil
		}
		return onFile("write", 0, true)
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		if strings.HasPrefix(p.file(info.arg(0)), "socket:") {
			return dbusCall(p.read(info.arg(1), info.arg(2)))
		}
		return written(onFile("write", 0, true))
	}
	return nil
}

func written(c *call) *call {
	if c != nil {
		c.writes = true
	}
	return c
}

// The D-Bus calls that change something.
var methods = []string{"StartUnit", "StopUnit", "KillUnit", "ResetFailedUnit"}

// dbusCall looks for the name of a method in what is sent: strings end with a zero byte there.
func dbusCall(message []byte) *call {
	for _, method := range methods {
		if !bytes.Contains(message, []byte("\x00"+method+"\x00")) {
			continue
		}
		unit := ""
		for word := range bytes.SplitSeq(message, []byte{0}) {
			if bytes.HasPrefix(word, []byte("fn-")) {
				unit = string(word)
			}
		}
		return &call{text: method + " " + unit}
	}
	return nil
}

// process is a thread whose memory and files are looked at.
type process struct{ thread int }

func (p process) file(fd uint64) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.thread, int32(fd)))
	return path
}

// at is the path that a call has been given, relative to a directory that is open.
func (p process) at(dir, address uint64) string {
	path, _, _ := bytes.Cut(p.read(address, unix.PathMax), []byte{0})
	if filepath.IsAbs(string(path)) {
		return filepath.Clean(string(path))
	}
	base := p.file(dir)
	if int32(dir) == unix.AT_FDCWD {
		base, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.thread))
	}
	return filepath.Join(base, string(path))
}

// read reads as much of the memory as there is.
func (p process) read(address, size uint64) []byte {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.thread))
	if err != nil {
		return nil
	}
	defer memory.Close()
	data := make([]byte, min(size, 64<<10))
	n, _ := memory.ReadAt(data, int64(address)) // less is there at the end of a mapping
	return data[:n]
}
