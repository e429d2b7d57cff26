//go:build !race

package netio

import (
	"errors"
	"syscall"
	"unsafe"
)

// ReadNow reads what is there from a socket that does not block. Go's scheduler is not told of the system call, as syscall.Read does: for
// one that never waits that costs more than it brings, and makes the scheduler's watchdog run.
func ReadNow(fd uintptr, p []byte) (int, error) { return try(syscall.SYS_READ, fd, p) }

// WriteNow writes what there is room for.
func WriteNow(fd uintptr, p []byte) (int, error) { return try(syscall.SYS_WRITE, fd, p) }

func try(call, fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch {
		case err == 0:
			return int(n), nil
		case !errors.Is(err, syscall.EINTR):
			return 0, err
		}
	}
}
