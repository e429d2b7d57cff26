package cli

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

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

// glance is how long the activator and fnctl status may hold a lock, to see whether it is free.
const glance = 250 * time.Millisecond

// noWaitFlag is on every command that takes the lock of a function.
func noWaitFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-wait", Usage: "fail at once if another command is changing the function, instead of waiting for it"}
}

// lockFunction takes the lock of a function. It says so if it has to wait, or fails then.
func lockFunction(ctx context.Context, store platform.Store, name string, p *progress, noWait bool) (unlock func(), err error) {
	if !noWait {
		return store.Lock(ctx, name, func() { p.note("waiting for another command that is changing %s%s", name, holderText(store, name)) })
	}
	short, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	unlock, err = store.Lock(short, name, nil)
	if errors.Is(err, platform.ErrLocked) && ctx.Err() == nil {
		err = platform.WithHint(fmt.Errorf("another command is changing %s%s", name, holderText(store, name)), "without --no-wait it is waited for")
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
		return "" // it has ended, and somebody else has the lock
	}
	command := string(words[1]) // and not what follows: values may stand there
	if strings.HasPrefix(command, "-") {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return fmt.Sprintf(" (pid %d, fnctl %s)", pid, command)
}
