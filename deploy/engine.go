package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units/systemd"
)

// Engine changes the functions of a machine.
type Engine struct {
	Store    platform.Store
	Units    *systemd.Manager
	Progress Progress
	// Version is that of the program, as health checks name it.
	Version string
	// NoWait makes Open fail at once if another process has the lock of the function.
	NoWait bool
}

// Progress is told what the engine does. Note may be called by several goroutines at once.
type Progress interface {
	// Step runs a step that may take its time. done says what came of it, after it has succeeded.
	Step(name string, do func() (done string, err error)) error
	// Detail says what the step that runs is doing now.
	Detail(text string)
	// Note says something that is no step and no error.
	Note(format string, args ...any)
	// Warn says what makes the outcome incomplete, though it is no failure.
	Warn(err error)
	// Copying returns what is told how much of an app's files is copied, or nil if that is of no interest.
	Copying() func(done, total snapshot.Amount)
}

// Function is a function whose lock is held.
type Function struct {
	*Engine
	Name   string
	unlock func()
}

// LockGlance is how long a process that only wants to know whether a lock is free may hold it.
const LockGlance = 250 * time.Millisecond

// Open takes the lock of a function, which need not exist. It waits, and says so, or with NoWait fails with an error that
// wraps platform.ErrLocked. Close gives the lock back.
func (e *Engine) Open(ctx context.Context, name string) (*Function, error) {
	unlock, err := e.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	// What a command with a narrow umask has made, the gateway may be unable to read.
	if platform.Exists(e.Store.Paths.Function(name)) {
		if err := e.Store.MakeFunction(name); err != nil {
			unlock()
			return nil, err
		}
	}
	return &Function{Engine: e, Name: name, unlock: unlock}, nil
}

// Close gives the lock of the function back.
func (f *Function) Close() { f.unlock() }

func (e *Engine) lock(ctx context.Context, name string) (unlock func(), err error) {
	if !e.NoWait {
		return e.Store.Lock(ctx, name, func() {
			e.Progress.Note("waiting for another command that is changing %s%s", name, holderText(e.Store, name))
		})
	}
	short, cancel := context.WithTimeout(ctx, LockGlance)
	defer cancel()
	unlock, err = e.Store.Lock(short, name, nil)
	if errors.Is(err, platform.ErrLocked) && ctx.Err() == nil {
		err = platform.WithHint(fmt.Errorf("another command is changing %s%s", name, holderText(e.Store, name)), "without --no-wait it is waited for")
	}
	return unlock, err
}

// holderText says which command holds a lock, as far as that can be seen: " (pid 123, fnctl deploy)".
func holderText(store platform.Store, name string) string {
	pid := store.LockHolder(name)
	if pid <= 0 {
		return ""
	}
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	words := bytes.Split(data, []byte{0})
	if err != nil || len(words) < 2 || filepath.Base(string(words[0])) != "fnctl" {
		return "" // it has ended, and another process has the lock
	}
	command := string(words[1]) // and not what follows: values may stand there
	if strings.HasPrefix(command, "-") {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return fmt.Sprintf(" (pid %d, fnctl %s)", pid, command)
}

// route reads the route of the function, which must have one.
func (f *Function) route() (platform.Route, error) {
	route, err := f.Store.Route(f.Name)
	if errors.Is(err, platform.ErrNoFunction) {
		return route, platform.NoFunction(f.Name)
	}
	if err != nil {
		return route, platform.WithRouteHint(err, f.Name)
	}
	return route, nil
}
