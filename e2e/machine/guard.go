//go:build e2e

package machine

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed guard.sh
var guardScript string

// guard takes a machine down and removes what it left on the host. Everything must be gone when the tests
// are, and go test kills a test that takes too long without running its cleanups: so that is done by a
// process of its own, once our end of a pipe closes.
//
// If the guard is killed as well (that is how a host's systemd stops a unit), the next Boot does its work:
// the two hold a lock together, and a machine whose lock nobody holds has been abandoned.
type guard struct {
	cmd  *exec.Cmd
	life io.Closer
	lock *os.File
}

// newMachineDir makes the directory of a machine in parent, and its guard. Nobody else may be doing so
// at that moment, because a lock file that is not locked yet looks abandoned.
func newMachineDir(parent, prefix string, groups cgroups) (dir string, g *guard, err error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, err
	}
	turn, err := lock(filepath.Join(parent, "turn"), syscall.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer turn.Close()
	reapAbandoned(parent)

	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	held, err := lock(dir+".lock", syscall.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	if _, err := fmt.Fprintf(held, "%s\n%s\n", groups.dir, groups.legacyDir); err != nil {
		return "", nil, err
	}
	g = &guard{cmd: guardCommand(dir, groups), lock: held}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	g.cmd.ExtraFiles = []*os.File{held}
	if g.life, err = g.cmd.StdinPipe(); err != nil {
		return "", nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start guard: %w", err)
	}
	return dir, g, nil
}

// machineName is the name of the machine in dir, for nspawn, its cgroups and its units on the host.
func machineName(dir string) string { return "fnctl-test-" + filepath.Base(dir) }

func guardCommand(dir string, groups cgroups) *exec.Cmd {
	return exec.Command("/bin/bash", "-c", guardScript, "guard", machineName(dir), dir, groups.dir, groups.legacyDir)
}

// reapAbandoned does the work of guards that were killed.
func reapAbandoned(parent string) {
	locks, _ := filepath.Glob(filepath.Join(parent, "*.lock"))
	for _, path := range locks {
		held, err := lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // its owner is alive
		}
		groups, _ := io.ReadAll(held)
		dir, legacyDir, _ := strings.Cut(strings.TrimSuffix(string(groups), "\n"), "\n")
		// Its standard input is empty: it goes to work at once. What it cannot do now the next one may.
		_ = guardCommand(strings.TrimSuffix(path, ".lock"), cgroups{dir: dir, legacyDir: legacyDir}).Run()
		held.Close()
	}
}

// release has the machine taken down and removed, and waits for that.
func (g *guard) release() error {
	g.life.Close()
	err := g.cmd.Wait()
	g.lock.Close()
	return err
}

func lock(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}
