//go:build e2e

package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// cgroup is the control group that a machine lives in. Without one of its own, nspawn --keep-unit puts
// every machine into the same "payload" beside ours, and the systemds in them manage each other's units.
//
// Every boot gets a new one, named PREFIX-N.scope: a machine that starts finds no units of its last life.
type cgroup struct {
	name  string
	path  string // in the v2 hierarchy
	scope bool   // the host's systemd owns the hierarchy: it has to be asked
}

// cgroups is where the cgroups of machines are made.
type cgroups struct {
	dir       string // in the v2 hierarchy
	legacyDir string // where nspawn mirrors it on a host that has cgroup v1 as well, or ""
	scopes    bool
}

func findCgroups() (cgroups, error) {
	mount, root, err := findCgroup2()
	if err != nil {
		return cgroups{}, err
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return cgroups{dir: filepath.Join(mount, "machine.slice"), scopes: true}, nil
	}
	own, err := ownCgroup()
	if err != nil {
		return cgroups{}, err
	}
	below := strings.TrimPrefix(own, root)
	c := cgroups{dir: filepath.Join(mount, below)}
	if _, err := os.Stat("/sys/fs/cgroup/systemd"); err == nil {
		c.legacyDir = filepath.Join("/sys/fs/cgroup/systemd", below)
	}
	return c, nil
}

func (c cgroups) named(prefix string, boot int) *cgroup {
	name := fmt.Sprintf("%s-%d.scope", prefix, boot)
	return &cgroup{name: name, path: filepath.Join(c.dir, name), scope: c.scopes}
}

// findCgroup2 returns where the v2 hierarchy is mounted, and which of its directories is seen there.
func findCgroup2() (mount, root string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(mounts)) {
		where, what, _ := strings.Cut(line, " - ")
		fields := strings.Fields(where)
		if strings.HasPrefix(what, "cgroup2 ") && len(fields) > 4 {
			return fields[4], strings.TrimSuffix(fields[3], "/"), nil
		}
	}
	return "", "", errors.New("find cgroup v2: it is not mounted")
}

func ownCgroup() (string, error) {
	lines, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(lines)) {
		if own, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(own), nil
		}
	}
	return "", errors.New("find own cgroup: not in a v2 hierarchy")
}

// wrap returns the command that runs argv in the cgroup, where the host's systemd has to make it.
func (c *cgroup) wrap(argv []string) []string {
	if !c.scope {
		return argv
	}
	return append([]string{
		"systemd-run", "--quiet", "--scope", "--collect", "--unit=" + c.name,
		"--slice=machine.slice", "--property=Delegate=yes", "--",
	}, argv...)
}

// startIn makes cmd start in the cgroup, where that is ours to make. The returned function is to be
// called once cmd has started.
func (c *cgroup) startIn(cmd *exec.Cmd) (done func(), err error) {
	if c.scope {
		return func() {}, nil
	}
	if err := os.Mkdir(c.path, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	dir, err := os.Open(c.path)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(dir.Fd())
	return func() { dir.Close() }, nil
}

// kill ends every process of the cgroup and of those below it, at once.
func (c *cgroup) kill() error {
	return os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0)
}

// populated reports whether a process is left in the cgroup or below it.
func (c *cgroup) populated() bool {
	events, err := os.ReadFile(filepath.Join(c.path, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return false
	}
	return err != nil || strings.Contains(string(events), "populated 1")
}
