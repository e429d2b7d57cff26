//go:build e2e

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Suites that machines are made of.
const (
	Bookworm = "bookworm" // Debian 12, systemd 252
	Trixie   = "trixie"   // Debian 13, systemd 257
)

// Bounds of what is waited for. A loaded host is slow; a host that takes longer is broken.
const (
	bootTimeout = 2 * time.Minute
	haltTimeout = 2 * time.Minute
)

// Options says which machine to boot.
type Options struct {
	Suite string            // Bookworm unless set
	Share map[string]string // paths of the machine → directories of the host, seen there read-only
	Log   io.Writer         // what a person may want to know while waiting; os.Stderr unless set
	// BPF lets the machine load BPF programs, as other machines may and most containers may not.
	BPF bool
	// Onto is a machine of the same suite that was taken down and stays down: the new one begins with what it has on disk.
	Onto *Machine
}

// Machine is one disposable machine. What it writes goes to a directory of its own, which survives
// reboots and power losses and is gone with Close, or with the death of the process that booted it.
//
// Its methods may be called at the same time, except those that take it up or down:
// Reboot, KillHard, BootAgain and Close.
type Machine struct {
	options Options
	image   string
	dir     string // holds upper, work, root and console.log
	cgroups cgroups

	guard *guard

	boots  int
	cgroup *cgroup // of this boot

	mu     sync.Mutex
	nspawn *process
	leader int // the host's process id of the machine's PID 1
}

// Boot makes the machine's image if there is none yet, boots a machine from it, and returns when
// systemd has finished booting. Close ends it.
func Boot(ctx context.Context, options Options) (*Machine, error) {
	if options.Suite == "" {
		options.Suite = Bookworm
	}
	if options.Log == nil {
		options.Log = os.Stderr
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("boot machine: takes root")
	}
	image, err := Image(ctx, options.Suite, options.Log)
	if err != nil {
		return nil, err
	}
	m := &Machine{options: options, image: image}
	if err := m.prepare(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.BootAgain(ctx); err != nil {
		err = fmt.Errorf("%w\n%s", err, m.Console())
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// prepare makes the machine's directory, with its guard and its layers.
func (m *Machine) prepare() (err error) {
	if m.cgroups, err = findCgroups(); err != nil {
		return err
	}
	// Beside the images, not in /tmp: a full /tmp or one in memory is not ours to fill.
	parent := filepath.Join(filepath.Dir(m.image), "run")
	if m.dir, m.guard, err = newMachineDir(parent, m.options.Suite+"-", m.cgroups); err != nil {
		return fmt.Errorf("make directory of machine: %w", err)
	}
	return m.makeLayers()
}

func (m *Machine) name() string { return machineName(m.dir) }

// AllowBPF sets Options.BPF from the next boot on.
func (m *Machine) AllowBPF(allowed bool) { m.options.BPF = allowed }

// Dir returns the machine's directory on the host.
func (m *Machine) Dir() string { return m.dir }

// makeLayers makes the directories of the overlay, in memory where the disk cannot be an overlay's
// upper layer: that is so in most containers, whose own root is an overlay.
func (m *Machine) makeLayers() error {
	if err := m.tryOverlay(); err == nil {
		return nil
	}
	if err := syscall.Mount("fnctl-test", m.dir, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", m.dir, err)
	}
	return m.tryOverlay()
}

func (m *Machine) tryOverlay() error {
	for _, layer := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(m.dir, layer), 0o755); err != nil {
			return err
		}
	}
	out, err := exec.Command("unshare", "--mount", "sh", "-c", m.mountCommand()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount overlay: %w: %s", err, out)
	}
	return nil
}

func (m *Machine) mountCommand() string {
	lower := m.image
	if m.options.Onto != nil {
		lower = m.options.Onto.dir + "/upper:" + lower
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, m.dir, m.dir)
	return fmt.Sprintf("mount -t overlay -o %s overlay %s/root", quote(layers), quote(m.dir))
}

// BootAgain boots a machine that Halt or KillHard has taken down; what it had on disk is still there.
func (m *Machine) BootAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()

	if m.running() {
		return errors.New("boot machine: it is running")
	}
	if err := m.powerOn(); err != nil {
		return err
	}
	if err := m.waitUntilUp(ctx); err != nil {
		return fmt.Errorf("boot machine: %w", err)
	}
	return nil
}

// powerOn starts nspawn, in a mount namespace of its own: the overlay's mount is gone with it.
func (m *Machine) powerOn() error {
	m.boots++
	m.cgroup = m.cgroups.named(m.name(), m.boots)
	console, err := os.OpenFile(filepath.Join(m.dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer console.Close()

	script := []string{"--mount", "--", "sh", "-c", m.mountCommand() + ` && exec "$@"`, "sh"}
	cmd := exec.Command("unshare", append(script, m.cgroup.wrap(m.nspawnCommand())...)...)
	// A host with cgroup v1 would otherwise give the machine that; v2 is what fnctl is for.
	// The lock would stay behind, and nobody else has this directory.
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_LOCK=0")
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	started, err := m.cgroup.startIn(cmd)
	if err != nil {
		return err
	}
	defer started()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start systemd-nspawn: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nspawn, m.leader = watch(cmd), 0
	return nil
}

func (m *Machine) nspawnCommand() []string {
	argv := []string{
		"systemd-nspawn", "--quiet", "--machine=" + m.name(), "--directory=" + filepath.Join(m.dir, "root"),
		"--private-network", "--register=no", "--keep-unit", "--console=pipe",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off",
	}
	for inside, outside := range m.options.Share {
		argv = append(argv, "--bind-ro="+outside+":"+inside)
	}
	if m.options.BPF {
		argv = append(argv, "--system-call-filter=bpf")
	}
	return append(argv, "--boot")
}

// waitUntilUp waits for the machine's PID 1 to be there, for systemd to have finished booting, and
// for the loopback. A degraded machine is up; what failed on it is logged.
func (m *Machine) waitUntilUp(ctx context.Context) error {
	var state string
	for ; ; pause(ctx, 20*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("system is %q: %w", state, context.Cause(ctx))
		}
		if !m.running() {
			return fmt.Errorf("machine ended: %w", m.nspawn.err())
		}
		if !m.findLeader() {
			continue
		}
		out, _ := m.Run(ctx, "systemctl", "is-system-running", "--wait") // fails until it can be asked
		state = strings.TrimSpace(out.Stdout)
		if state == "running" || state == "degraded" {
			break
		}
	}
	if state == "degraded" {
		out, _ := m.Run(ctx, "systemctl", "--failed", "--no-pager", "--plain", "--no-legend")
		fmt.Fprintf(m.options.Log, "machine: %s: degraded:\n%s", m.options.Suite, out.Stdout)
	}
	for ; ; pause(ctx, 5*time.Millisecond) {
		if err := m.loopbackUp(); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// findLeader looks for the machine's PID 1 among nspawn's children: the one that is 1 in a
// namespace of its own and has become systemd.
func (m *Machine) findLeader() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leader != 0 {
		return true
	}
	pid := m.nspawn.cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		exe, _ := os.Readlink("/proc/" + child + "/exe")
		if filepath.Base(exe) == "systemd" {
			m.leader, _ = strconv.Atoi(child)
			return true
		}
	}
	return false
}

// Leader returns the host's process id of the machine's PID 1, or 0 while it is down.
func (m *Machine) Leader() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leader
}

func (m *Machine) running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nspawn != nil && !m.nspawn.ended()
}

// Reboot reboots the machine the orderly way, as systemctl reboot does, and waits until it is up again.
func (m *Machine) Reboot(ctx context.Context) error {
	if err := m.shutdown(ctx, sigrtmin+5); err != nil {
		return fmt.Errorf("reboot machine: %w", err)
	}
	// nspawn --keep-unit leaves it to its caller to start it once more.
	if code := m.nspawn.cmd.ProcessState.ExitCode(); code != exitReboot {
		return fmt.Errorf("reboot machine: systemd-nspawn exited with %d, not %d", code, exitReboot)
	}
	return m.BootAgain(ctx)
}

// Halt shuts the machine down the orderly way: every unit is stopped.
func (m *Machine) Halt(ctx context.Context) error {
	if err := m.shutdown(ctx, sigrtmin+4); err != nil {
		return fmt.Errorf("halt machine: %w", err)
	}
	return nil
}

const (
	sigrtmin   = 34  // to systemd, +4 is poweroff.target and +5 is reboot.target
	exitReboot = 133 // of nspawn: the machine wants to be started again
)

func (m *Machine) shutdown(ctx context.Context, signal int) error {
	leader := m.Leader()
	if leader == 0 {
		return errDown
	}
	if err := syscall.Kill(leader, syscall.Signal(signal)); err != nil {
		return err
	}
	return m.waitUntilDown(ctx)
}

// KillHard is a power loss: every process of the machine is gone at once, none is told.
func (m *Machine) KillHard(ctx context.Context) error {
	if !m.running() {
		return errors.New("kill machine: it is not running")
	}
	if err := m.cgroup.kill(); err != nil {
		return fmt.Errorf("kill machine: %w", err)
	}
	return m.waitUntilDown(ctx)
}

func (m *Machine) waitUntilDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, haltTimeout)
	defer cancel()
	select {
	case <-m.nspawn.done:
	case <-ctx.Done():
		return fmt.Errorf("machine still runs: %w", context.Cause(ctx))
	}
	// nspawn may be gone before the last of the machine is.
	for m.cgroup.populated() {
		if ctx.Err() != nil {
			return fmt.Errorf("machine still has processes: %w", context.Cause(ctx))
		}
		pause(ctx, 5*time.Millisecond)
	}
	m.mu.Lock()
	m.leader = 0
	m.mu.Unlock()
	return nil
}

// Close takes the machine down without ceremony and removes all that it left on the host.
func (m *Machine) Close() error {
	if m.guard == nil {
		return nil
	}
	err := m.guard.release()
	m.guard = nil
	if m.nspawn != nil {
		<-m.nspawn.done
	}
	m.mu.Lock()
	m.leader = 0
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("remove machine: %w", err)
	}
	return nil
}

// Console returns what the machine and nspawn printed on the console.
func (m *Machine) Console() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "console.log"))
	return string(text)
}

// Journal returns the last lines of the machine's journal, of all its boots, also when it is down.
func (m *Machine) Journal(lines int) string {
	args := []string{"--no-pager", "--output=short-precise", "--quiet", fmt.Sprintf("--lines=%d", lines)}
	if m.running() && m.Leader() != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if out, err := m.Run(ctx, "journalctl", args...); err == nil {
			return out.Stdout
		}
	}
	args = append(args, "--directory="+filepath.Join(m.dir, "upper/var/log/journal"))
	out, err := exec.Command("journalctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s(journalctl: %v)\n", out, err)
	}
	return string(out)
}

// pause sleeps between two looks at a condition, less if the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
