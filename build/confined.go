package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fnctl/fnctl/platform"
)

// confined is a transient unit for what is done with files that strangers have written: it has limits, sees what it needs, and
// keeps no process when it ends. All of them are in one slice.
type confined struct {
	unit, description string
	properties        []string
	// disks are directories on the disks that it can write to.
	disks []string
}

// confinement is what all of them have. Functions come before builds, for processor time and disk, and go after them when memory
// runs out.
var confinement = []string{
	"Slice=fnctl-build.slice", "CPUWeight=20", "IOWeight=20", "MemorySwapMax=0", "OOMScoreAdjust=800", "OOMPolicy=kill",
	"ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "PrivateIPC=yes", "ProtectProc=invisible",
	"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes", "ProtectClock=yes",
	"ProtectHostname=yes", "CapabilityBoundingSet=", "NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "RestrictNamespaces=yes",
	"RestrictRealtime=yes", "LockPersonality=yes", "SystemCallArchitectures=native", "KeyringMode=private",
	"TemporaryFileSystem=/dev/shm:mode=1777,nodev,nosuid", "InaccessiblePaths=-/run/dbus -/run/fnctl -/run/systemd/notify -/run/systemd/journal -/run/lock",
}

// run runs a program in the unit, and returns when that has ended, with an error that wraps errDisk if it had nearly filled a disk.
// The unit outlives an error: Stop ends it.
func (c confined) run(ctx context.Context, out io.Writer, program ...string) error {
	if err := checkDisks(c.disks); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { watchDisks(ctx, c.disks, cancel) })
	cmd := c.command(ctx, program...)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	cancel(nil)
	watching.Wait()
	if cause := context.Cause(ctx); errors.Is(cause, errDisk) {
		return cause
	}
	return err
}

func (c confined) command(ctx context.Context, program ...string) *exec.Cmd {
	args := []string{"--quiet", "--pipe", "--wait", "--collect", "--unit=" + c.unit, "--description=" + c.description}
	for _, property := range append(append([]string{}, confinement...), c.properties...) {
		args = append(args, "--property="+property)
	}
	cmd := exec.CommandContext(ctx, "systemd-run", append(args, program...)...)
	cmd.Dir = "/"
	// A process that was left behind may hold the pipe open.
	cmd.WaitDelay = stopTimeout
	return cmd
}

// Compile compiles the modules of a function's snapshot. A module that does not compile is no error to the app, which may never
// import it: the error is for who wants to know, and has what Python says. The lock of the function is held.
func Compile(ctx context.Context, manager Units, paths platform.Paths, id platform.RevisionID) error {
	dir := paths.Snapshot(id)
	c := confined{
		unit: buildUnit(id.Function, "compile-"+strconv.Itoa(os.Getpid())), description: "fnctl: modules of " + id.String(),
		properties: []string{
			"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "MemoryMax=512M", "TasksMax=16", "RuntimeMaxSec=5min",
			"TemporaryFileSystem=" + paths.Functions() + ":ro", "BindPaths=" + dir,
		},
		disks: []string{dir},
	}
	out := &tail{limit: maxOutput}
	err := c.run(ctx, out, Python, "-I", "-m", "compileall", "-q", dir)
	if err != nil { // the unit may go on without who has started it
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, Stop(stop, manager, id.Function))
	}
	if err != nil {
		return fmt.Errorf("compile the modules in %s: %w: %s", filepath.Base(dir), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// maxOutput bounds what is kept of what a build prints, in bytes.
const maxOutput = 1 << 20

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
}

// Write implements io.Writer. It drops the first half when it has twice as much as is kept.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-t.limit):]...)
	if len(t.kept) > 2*t.limit {
		t.kept = slices.Clone(t.kept[len(t.kept)-t.limit:])
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }
