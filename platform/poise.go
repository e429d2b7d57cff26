package platform

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// PoiseVariable is the variable that has the program [Paths.Poise] wait. The app never sees it.
const PoiseVariable = "FNCTL_POISE"

// Poise is the program that waits in the sandbox of an instance for its first connection, and then becomes the app. It is a copy of
// the package's, so that what was deployed runs with an older package, too, which has none.
func (p Paths) Poise() string { return p.join("var/lib/fnctl/poise") }

// packagedPoise is the package's.
func packagedPoise(p Paths) string { return p.join("usr/lib/fnctl/poise") }

// HasPoise reports whether the package has the program for this machine.
func HasPoise(p Paths) bool { return Exists(packagedPoise(p)) }

// InstallPoise makes the copy, or renews it, and reports whether the package has the program.
func InstallPoise(p Paths) (has bool, err error) {
	packaged, err := os.ReadFile(packagedPoise(p))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if copied, err := os.ReadFile(p.Poise()); err == nil && bytes.Equal(copied, packaged) {
		return true, nil
	}
	err = WriteFile(p.Poise(), packaged, 0o755)
	return err == nil, err
}

// Waiting returns the process of a group that is the program [Paths.Poise], which is all that the group has; 0 if there is none, or others.
func (c Cgroup) Waiting(paths Paths) (pid int) {
	pid, program := c.program()
	if program != paths.Poise() {
		return 0
	}
	return pid
}

// Dismiss ends what waits in the sandbox of a group, if something does. Its signal means nothing to what has become the app.
func (c Cgroup) Dismiss(paths Paths) error {
	pid := c.Waiting(paths)
	if pid == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if c.Waiting(paths) != pid {
		return nil // the number is another process's now
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGURG, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// IsPrepared reports whether systemd is still making the sandbox of a group: its own program is all that there is, or nothing yet.
func (c Cgroup) IsPrepared() bool {
	if pids, err := c.PIDs(); err == nil && len(pids) == 0 {
		return true
	}
	_, program := c.program()
	name := filepath.Base(program)
	return name == "systemd" || name == "systemd-executor"
}

// program is what the only process of a group is; "" if there are others, or none, or this user may not know.
func (c Cgroup) program() (pid int, program string) {
	pids, err := c.PIDs()
	if err != nil || len(pids) != 1 {
		return 0, ""
	}
	program, err = os.Readlink("/proc/" + strconv.Itoa(pids[0]) + "/exe")
	if err != nil {
		return 0, ""
	}
	return pids[0], strings.TrimSuffix(program, " (deleted)")
}
