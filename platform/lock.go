package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by TryLock while another process holds the lock.
var ErrLocked = errors.New("another command is changing this function")

// lockPoll is how often a held lock is looked at: the kernel has no way to wait for one with a bound.
const lockPoll = 50 * time.Millisecond

// TryLock takes the lock of a function, or returns ErrLocked. Changes of a function are made under its lock only. The
// kernel releases it when its holder dies.
func (s Store) TryLock(name string) (unlock func(), err error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	path := s.Paths.Lock(name)
	// The parent is for everyone to pass through: the gateway finds the instances there.
	if err := MakeDir(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	// The file stays for good: removing it would let two hold the lock of two files of one name.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		file.Close()
		return nil, ErrLocked
	case err != nil:
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	// What a command that was killed has held is nobody's.
	if err := s.Release(name); err != nil {
		file.Close()
		return nil, err
	}
	signLock(file)
	return func() { file.Close() }, nil
}

// signLock writes the holder into the file of a lock, for people only: the lock itself is the kernel's.
func signLock(file *os.File) {
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
}

// LockHolder returns the process that took the lock of a function last, 0 if that is not known.
func (s Store) LockHolder(name string) int {
	data, _ := os.ReadFile(s.Paths.Lock(name))
	pid, _ := strconv.Atoi(string(data))
	return pid
}

// Lock waits for the lock of a function. onWait, if not nil, is called once if it has to wait.
func (s Store) Lock(ctx context.Context, name string, onWait func()) (unlock func(), err error) {
	for {
		unlock, err := s.TryLock(name)
		if !errors.Is(err, ErrLocked) {
			return unlock, err
		}
		if onWait != nil {
			onWait()
			onWait = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrLocked, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// Hold marks that no instance of a function is to listen or to run but those that the holder of its lock starts: the activator makes none,
// and requests wait at the gateway. It counts for as long as the lock is held, or until Release: whoever takes the lock next finds none.
func (s Store) Hold(name string) error {
	path := s.Paths.Held(name)
	if err := MakeDir(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("hold %s: %w", name, err)
	}
	if err := WriteFile(path, nil, 0o644); err != nil {
		return fmt.Errorf("hold %s: %w", name, err)
	}
	return nil
}

// Release takes a hold back, if there is one.
func (s Store) Release(name string) error {
	if err := Remove(s.Paths.Held(name)); err != nil {
		return fmt.Errorf("release %s: %w", name, err)
	}
	return nil
}
