package standby_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// helperEnv has the test binary be another process: one that locks the file of a group, "claim ROOT" or "lock ROOT", or a "hoard" of memory.
const helperEnv = "FNCTL_STANDBY_HELPER"

// patience bounds what takes moments, on a machine that is busy.
const patience = 20 * time.Second

var ping = platform.InstanceID{Revision: platform.RevisionID{Function: "ping", Number: 1}, Index: 1}

func TestMain(m *testing.M) {
	if as := os.Getenv(helperEnv); as != "" {
		if err := help(as); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// help takes a lock, says so, and holds it until its input ends.
func help(as string) error {
	verb, root, _ := strings.Cut(as, " ")
	if verb == "hoard" {
		return hoard()
	}
	of := groupOf(root)
	if verb == "claim" {
		if _, err := standby.Wake(context.Background(), of); err != nil {
			return err
		}
	} else {
		f, err := os.OpenFile(of.Sleeper().FreezeFile(), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func groupOf(root string) platform.Cgroup {
	return platform.InstanceCgroup(platform.Paths{Root: root}, platform.SliceName("ping"), ping)
}

// rig is the control group of an instance, below one of the test's own.
type rig struct {
	platform.Cgroup
	t    *testing.T
	root string
	dir  *os.File
}

func newRig(t *testing.T) *rig {
	t.Helper()
	hierarchy := unified(t)
	top, err := os.MkdirTemp(hierarchy, "fnctl-standby-test-")
	if err != nil {
		t.Skipf("control groups cannot be made in %s: %v", hierarchy, err)
	}
	r := &rig{t: t, root: t.TempDir()}
	t.Cleanup(func() { r.remove(top) })
	if err := os.MkdirAll(filepath.Join(r.root, "sys/fs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(top, filepath.Join(r.root, "sys/fs/cgroup")); err != nil {
		t.Fatal(err)
	}
	r.Cgroup = groupOf(r.root)
	if err := os.MkdirAll(r.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.FreezeFile()); err != nil {
		t.Skipf("control groups cannot be frozen here: %v", err)
	}
	if r.dir, err = os.Open(r.Dir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.dir.Close() })
	return r
}

// unified is where the unified hierarchy of control groups is mounted.
func unified(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("control groups are root's")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Skipf("the mounts are not known: %v", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1]
		}
	}
	t.Skip("there is no unified hierarchy of control groups (version 2)")
	return ""
}

// remove kills what runs in a group, and removes it with those below.
func (r *rig) remove(group string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Error(err)
	}
	r.eventually("the group is gone", func() bool {
		var dirs []string
		_ = filepath.WalkDir(group, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		for len(dirs) > 0 {
			_ = os.Remove(dirs[len(dirs)-1])
			dirs = dirs[:len(dirs)-1]
		}
		_, err := os.Stat(group)
		return errors.Is(err, fs.ErrNotExist)
	})
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it is not so that %s", what)
		}
	}
}

// command is one whose process begins in the group.
func (r *rig) command(name string, args ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(r.dir.Fd())}
	return cmd
}

func (r *rig) run(cmd *exec.Cmd) {
	r.t.Helper()
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// app echoes lines.
type app struct {
	in  io.Writer
	out *os.File
	buf *bufio.Reader
}

func (r *rig) app() *app {
	r.t.Helper()
	return r.start(r.command("cat"))
}

func (r *rig) start(cmd *exec.Cmd, env ...string) *app {
	r.t.Helper()
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(cmd)
	return &app{in: in, out: out.(*os.File), buf: bufio.NewReader(out)}
}

// echoes sends a line, and fails unless it comes back in time.
func (a *app) echoes(line string, within time.Duration) error {
	if err := a.out.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(a.in, line); err != nil {
		return err
	}
	got, err := a.buf.ReadString('\n')
	if err == nil && got != line+"\n" {
		return fmt.Errorf("got %q, want %q", got, line)
	}
	return err
}

func (r *rig) settle() {
	r.t.Helper()
	if err := standby.Settle(context.Background(), r.Cgroup, os.Getgid()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) freeze() {
	r.t.Helper()
	if err := standby.Freeze(r.Cgroup); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("the group is frozen", r.Sleeper().IsFrozen)
}

// helper is another process that holds a lock until it is killed.
func (r *rig) helper(verb string) (kill func()) {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+verb+" "+r.root)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(cmd)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// All processes are moved, whatever they fork meanwhile, and who may wake them can open the file for that.
func TestSettle(t *testing.T) {
	const gid = 54321
	for range 10 {
		r := newRig(t)
		for range 3 {
			r.run(r.command("sh", "-c", "while :; do (:; (:)) & wait; done"))
		}
		if err := standby.Settle(t.Context(), r.Cgroup, gid); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if left, err := platform.ReadPIDs(filepath.Join(r.Dir(), "cgroup.procs")); err != nil || len(left) > 0 {
				t.Fatalf("not moved: %v, %v", left, err)
			}
		}
		if pids, err := r.Sleeper().PIDs(); err != nil || len(pids) < 3 {
			t.Errorf("moved: %v, %v", pids, err)
		}
		info, err := os.Stat(r.Sleeper().FreezeFile())
		if err != nil {
			t.Fatal(err)
		}
		if got, owner := info.Mode().Perm(), info.Sys().(*syscall.Stat_t); got != 0o660 || owner.Gid != gid || owner.Uid != 0 {
			t.Errorf("mode %v of %d:%d", got, owner.Uid, owner.Gid)
		}
		if err := standby.Settle(t.Context(), r.Cgroup, gid); err != nil {
			t.Errorf("once more: %v", err)
		}
		r.remove(r.Dir())
	}
}

// What is gone cannot be settled, and that is an error.
func TestSettleGone(t *testing.T) {
	r := newRig(t)
	r.remove(r.Dir())
	if err := standby.Settle(t.Context(), r.Cgroup, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A frozen instance does nothing until somebody wakes it, and is not frozen while a claim is held.
func TestFreezeAndWake(t *testing.T) {
	r := newRig(t)
	a := r.app()
	r.settle()
	if err := a.echoes("settled", patience); err != nil {
		t.Fatal(err)
	}
	r.freeze()
	if own, err := os.ReadFile(r.FreezeFile()); err != nil || strings.TrimSpace(string(own)) != "0" {
		t.Errorf("the group of the unit: %q, %v: systemd could not start anything there", own, err)
	}
	if err := a.echoes("asleep", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("frozen, it answers: %v", err)
	}
	first, err := standby.Wake(t.Context(), r.Cgroup)
	if err != nil {
		t.Fatal(err)
	}
	second, err := standby.Wake(t.Context(), r.Cgroup)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if got, err := a.buf.ReadString('\n'); err != nil || got != "asleep\n" {
		t.Errorf("woken: %q, %v", got, err)
	}
	for _, claim := range []*standby.Claim{first, second} {
		if err := standby.Freeze(r.Cgroup); !errors.Is(err, standby.ErrClaimed) {
			t.Errorf("claimed: got %v", err)
		}
		claim.Release()
	}
	r.freeze()
	if err := standby.Thaw(r.Cgroup); err != nil {
		t.Fatal(err)
	}
	if err := a.echoes("thawed", patience); err != nil {
		t.Errorf("thawed: %v", err)
	}
	(*standby.Claim)(nil).Release()
}

// A claim ends with the process that has it.
func TestClaimOfTheKilled(t *testing.T) {
	r := newRig(t)
	a := r.app()
	r.settle()
	r.freeze()
	kill := r.helper("claim")
	if err := a.echoes("claimed", patience); err != nil {
		t.Errorf("another process has woken it: %v", err)
	}
	if err := standby.Freeze(r.Cgroup); !errors.Is(err, standby.ErrClaimed) {
		t.Errorf("claimed by another process: got %v", err)
	}
	kill()
	r.freeze()
}

// An instance that was not settled, or is gone, cannot be woken, and needs not be thawed.
func TestWakeGone(t *testing.T) {
	r := newRig(t)
	check := func(what string) {
		t.Helper()
		if _, err := standby.Wake(t.Context(), r.Cgroup); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			t.Errorf("%s: wake: %v", what, err)
		}
		if err := standby.Freeze(r.Cgroup); err == nil || errors.Is(err, standby.ErrClaimed) {
			t.Errorf("%s: freeze: %v", what, err)
		}
		if err := standby.Thaw(r.Cgroup); err != nil {
			t.Errorf("%s: thaw: %v", what, err)
		}
	}
	check("not settled")
	r.settle()
	r.remove(r.Dir())
	check("gone")
}

// An instance that goes while somebody waits to wake it cannot be woken either.
func TestWakeGoing(t *testing.T) {
	r := newRig(t)
	r.settle()
	file := r.Sleeper().FreezeFile()
	freezer, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer freezer.Close()
	if err := unix.Flock(int(freezer.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan error, 1)
	go func() {
		_, err := standby.Wake(t.Context(), r.Cgroup)
		woken <- err
	}()
	r.eventually("it waits for the lock", func() bool { return openTimes(real) == 2 })
	r.remove(r.Dir())
	freezer.Close()
	if err := <-woken; !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v", err)
	}
	if n := openTimes(real); n > 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

// openTimes is how many descriptors of this process a file has.
func openTimes(file string) (n int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.TrimSuffix(to, " (deleted)") == file {
			n++
		}
	}
	return n
}

// Nobody waits for longer than allowed for a process that has the lock and does not go on; and its end is enough.
func TestWakeIsBounded(t *testing.T) {
	r := newRig(t)
	r.settle()
	kill := r.helper("lock")
	cause := errors.New("the client has gone")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	if _, err := standby.Wake(ctx, r.Cgroup); !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
	real, err := filepath.EvalSymlinks(r.Sleeper().FreezeFile())
	if err != nil {
		t.Fatal(err)
	}
	if n := openTimes(real); n > 0 {
		t.Errorf("%d descriptors are left", n)
	}
	if err := standby.Freeze(r.Cgroup); !errors.Is(err, standby.ErrClaimed) {
		t.Errorf("freeze: got %v", err)
	}
	kill()
	claim, err := standby.Wake(ctx, r.Cgroup)
	if err != nil {
		t.Errorf("free: %v", err)
	}
	claim.Release()
}

// However often somebody tries to freeze it, an instance answers each request that is sent with a claim.
func TestNothingIsFrozenThatIsClaimed(t *testing.T) {
	r := newRig(t)
	const senders = 4
	apps := make([]*app, senders)
	for n := range apps {
		apps[n] = r.app()
	}
	r.settle()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var frozen, claimed, asleep, answered atomic.Int64
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			switch err := standby.Freeze(r.Cgroup); {
			case errors.Is(err, standby.ErrClaimed):
				claimed.Add(1)
			case err != nil:
				t.Error(err)
				return
			default:
				frozen.Add(1)
			}
		}
	})
	for n, a := range apps {
		running.Go(func() {
			for ctx.Err() == nil {
				if r.Sleeper().IsFrozen() {
					asleep.Add(1)
				}
				if err := ask(a, r.Cgroup, fmt.Sprint(n, answered.Add(1))); err != nil {
					t.Errorf("sender %d: %v", n, err)
					return
				}
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the others have to pause, too, before it can be frozen
			}
		})
	}
	running.Wait()
	t.Logf("%d answers, %d by an instance that slept; frozen %d times, and claimed %d times", answered.Load(), asleep.Load(), frozen.Load(), claimed.Load())
	if frozen.Load() == 0 || claimed.Load() == 0 || asleep.Load() == 0 || answered.Load() == 0 {
		t.Error("nothing was tried")
	}
}

func ask(a *app, of platform.Cgroup, line string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	claim, err := standby.Wake(ctx, of)
	if err != nil {
		return err
	}
	defer claim.Release()
	return a.echoes(line, patience)
}
