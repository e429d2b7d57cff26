package platform

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// PoiseVariable is the variable that has the program [Paths.Poise] wait. The app never sees it.
const PoiseVariable = "FNCTL_POISE"

// Poise is the program that waits in the sandbox of an instance for its first connection, and then becomes the app. It is a copy of
// the package's, so that what was deployed runs with an older package, too, which has none.
func (p Paths) Poise() string { return p.join("var/lib/fnctl/poise") }

// packagedPoise is the package's.
func (p Paths) packagedPoise() string { return p.join("usr/lib/fnctl/poise") }

// HasPoise reports whether the package has the program for this machine.
func (p Paths) HasPoise() bool { return Exists(p.packagedPoise()) }

// InstallPoise makes the copy, or renews it, and reports whether the package has the program.
func (p Paths) InstallPoise() (has bool, err error) {
	packaged, err := os.ReadFile(p.packagedPoise())
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
	pids, err := c.PIDs()
	if err != nil || len(pids) != 1 {
		return 0
	}
	program, err := os.Readlink("/proc/" + strconv.Itoa(pids[0]) + "/exe")
	if err != nil || strings.TrimSuffix(program, " (deleted)") != paths.Poise() {
		return 0
	}
	return pids[0]
}
