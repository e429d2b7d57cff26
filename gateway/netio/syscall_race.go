//go:build race

package netio

import (
	"errors"
	"syscall"
)

// ReadNow is what syscall.go has, by calls that the race detector knows: it must see that what is read was written before.
func ReadNow(fd uintptr, p []byte) (int, error) { return try(syscall.Read, fd, p) }

// WriteNow writes what there is room for.
func WriteNow(fd uintptr, p []byte) (int, error) { return try(syscall.Write, fd, p) }

func try(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, syscall.EINTR):
			return 0, err
		}
	}
}
