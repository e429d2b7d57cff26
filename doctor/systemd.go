package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// oldestSystemd is the first version in which everything that fnctl needs is there: ProtectProc=, and units that are found
// without a reload.
const oldestSystemd = 247

func (e *examination) checkSystemd(ctx context.Context) error {
	if !platform.Exists(filepath.Join(e.store.Paths.Root, "run/systemd/system")) {
		e.fail("fnctl needs a machine, or a container, that systemd has booted", "it does not run here")
		return nil
	}
	version, err := e.units.Version(ctx)
	if err != nil {
		e.fail("as root: is /run/systemd/private there? As another user: is the system bus (dbus) installed?", "it doesn't answer: %v", err)
		return nil
	}
	number, err := majorVersion(version)
	switch {
	case err != nil:
		return err
	case number < oldestSystemd:
		e.fail(fmt.Sprintf("fnctl needs version %d or newer", oldestSystemd), "version %s is too old", version)
	default:
		e.ok("version %s", version)
	}
	return nil
}

// majorVersion is the number that a version begins with: 252 of 252.39-1~deb12u1, 256 of v256~rc3.
func majorVersion(version string) (int, error) {
	digits := strings.TrimLeft(version, "v")
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("%q is not the version of systemd", version)
	}
	return number, nil
}

// limiting are the controllers that enforce the tiers, with what they enforce.
var limiting = []struct{ controller, what string }{
	{"cpu", "processor time"}, {"memory", "memory"}, {"pids", "the number of processes"},
}

func (e *examination) checkControlGroups(context.Context) error {
	data, err := os.ReadFile(filepath.Join(e.store.Paths.Cgroup(), "cgroup.controllers"))
	if err != nil {
		e.fail("boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line", "there is no unified hierarchy (cgroup v2): %v", err)
		return nil
	}
	controllers := strings.Fields(string(data))
	missing := 0
	for _, limit := range limiting {
		if !slices.Contains(controllers, limit.controller) {
			missing++
			e.warn("in a container: pass the controller on; else see cgroup_disable= on the kernel's command line",
				"no %s controller: the limits of tiers for %s are not enforced", limit.controller, limit.what)
		}
	}
	if missing == 0 {
		e.ok("version 2, with %s", strings.Join(controllers, ", "))
	}
	return nil
}

func (e *examination) checkBus(context.Context) error {
	if !platform.Exists(filepath.Join(e.store.Paths.Root, "run/dbus/system_bus_socket")) {
		e.warn("install dbus, if others than root are to use fnctl list and status", "there is none; fnctl does without for root")
		return nil
	}
	e.ok("there is one")
	return nil
}

func (e *examination) checkJournal(context.Context) error {
	switch {
	case !platform.Exists(filepath.Join(e.store.Paths.Root, "run/systemd/journal/socket")):
		e.fail("systemctl status systemd-journald", "journald doesn't listen: nothing is logged, and apps may hang when they print")
	case !platform.Exists(filepath.Join(e.store.Paths.Root, "var/log/journal")):
		e.warn("mkdir -p /var/log/journal && systemctl restart systemd-journald", "it is lost at a reboot: there is no /var/log/journal")
	default:
		e.ok("it is kept over a reboot")
	}
	return nil
}
