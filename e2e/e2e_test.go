//go:build e2e

// Package e2e has the tests that take a real systemd: each group of them boots a disposable machine
// (package machine), installs the .deb on it with apt, and drives fnctl as a user would.
package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// As many machines at once as two cores carry without the tests measuring each other: they wait most of the time.
var slots = make(chan struct{}, 3)

// Long enough for every single command of a test; the test as a whole has go test's -timeout.
const commandTimeout = 5 * time.Minute

// testMachine is a machine whose failures are the test's. Methods take the t that fails, because a
// group of subtests shares one machine.
type testMachine struct{ *machine.Machine }

// boot boots a clean machine for the rest of the test, and prints its journal if the test fails.
// It waits for one of the few places; tests that boot call t.Parallel first.
func boot(t *testing.T, suite string) *testMachine {
	t.Helper()
	takeSlot(t)
	return bootOnto(t, suite, nil)
}

// takeSlot waits for one of the few places, and has it until the test ends.
func takeSlot(t *testing.T) {
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
}

// bootOnto boots a machine with what another one has on disk, or a clean one.
func bootOnto(t *testing.T, suite string, onto *machine.Machine) *testMachine {
	t.Helper()
	m, err := machine.Boot(t.Context(), machine.Options{Suite: suite, Log: t.Output(), Onto: onto})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepJournal(t, m)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testMachine{m}
}

// keepJournal prints the end of a machine's journal, and keeps the whole of it in .cache/machine/journals.
func keepJournal(t *testing.T, m *machine.Machine) {
	const all = 1_000_000
	journal := m.Journal(all)
	file := filepath.Join(machine.Root(), ".cache/machine/journals", strings.ReplaceAll(t.Name(), "/", "-")+".log")
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(journal), 0o644)
	}
	lines := strings.SplitAfter(journal, "\n")
	end := strings.Join(lines[max(0, len(lines)-60):], "")
	t.Logf("console:\n%s\nend of the journal; all of it is in %s (%v):\n%s", m.Console(), file, err, end)
}

// bootInstalled boots a machine on which fnctl was installed before. TestPackage has what an installation does.
func bootInstalled(t *testing.T, suite string) *testMachine {
	t.Helper()
	deb := debPath(t)
	takeSlot(t)
	onto, err := installed[suite](deb)
	if err != nil {
		t.Fatal(err)
	}
	m := bootOnto(t, suite, onto)
	m.waitActive(t, gatewayUnit)
	return m
}

// installed returns the machine of a suite on which a package was installed, and that is down. It is made once, and goes with
// the process.
var installed = map[string]func(deb string) (*machine.Machine, error){
	machine.Bookworm: makeInstalled(machine.Bookworm),
	machine.Trixie:   makeInstalled(machine.Trixie),
}

func makeInstalled(suite string) func(deb string) (*machine.Machine, error) {
	var once sync.Once
	var m *machine.Machine
	var err error
	return func(deb string) (*machine.Machine, error) {
		once.Do(func() { m, err = installOn(suite, deb) })
		return m, err
	}
}

func installOn(suite, deb string) (*machine.Machine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	m, err := machine.Boot(ctx, machine.Options{Suite: suite})
	if err != nil {
		return nil, err
	}
	if err := m.Install(ctx, deb); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	// What is logged is the business of each machine. The index of manual pages takes seconds at each upgrade.
	const clean = "rm -f /var/lib/man-db/auto-update; systemctl stop systemd-journald-dev-log.socket systemd-journald.socket systemd-journald; rm -r /var/log/journal/*"
	if _, err := m.Shell(ctx, clean); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.Halt(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// sideBySide runs subtests that do not disturb each other at the same time, and waits for all of them: what they wait for
// they wait for together. The machine is the same.
func sideBySide(t *testing.T, tests ...func()) {
	t.Helper()
	var all sync.WaitGroup
	for _, test := range tests {
		all.Go(test)
	}
	all.Wait()
}

// only runs a subtest on one of the suites: what it tests takes its time, and has nothing to do with the version of systemd.
// They take turns, so that each has as much to do.
func only(t *testing.T, on, suite, name string, test func(*testing.T)) {
	t.Helper()
	if suite == on {
		t.Run(name, test)
	}
}

// debPath returns the package to test: $FNCTL_DEB, or the newest that make package has made for this
// architecture.
func debPath(t *testing.T) string {
	t.Helper()
	if deb := os.Getenv("FNCTL_DEB"); deb != "" {
		return deb
	}
	deb, err := machine.NewestDeb()
	if err != nil {
		t.Fatal(err)
	}
	return deb
}

// function returns the directory of a sample function.
func function(name string) string {
	return filepath.Join(machine.Root(), "testdata", "functions", name)
}

// MustRun runs a command as root and returns its standard output; the test ends if it fails.
func (m *testMachine) MustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	out, err := m.Run(ctx, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out.Stdout
}

// MustRunIn is MustRun in a directory of the machine.
func (m *testMachine) MustRunIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	return m.MustRun(t, "env", append([]string{"--chdir=" + dir, name}, args...)...)
}

// MustFail runs a command that must exit with code, and returns all that it left.
func (m *testMachine) MustFail(t *testing.T, code int, name string, args ...string) machine.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	out, err := m.Run(ctx, name, args...)
	if out.Code != code {
		t.Fatalf("%s %s: got exit code %d, want %d (%v)", name, strings.Join(args, " "), out.Code, code, err)
	}
	return out
}

// Start starts a command that runs beside the test. The returned function ends it with a signal, waits
// for it, and returns all that it wrote; at the latest the end of the test ends it.
func (m *testMachine) Start(t *testing.T, name string, args ...string) (stop func(syscall.Signal) string) {
	t.Helper()
	cmd := m.Command(t.Context(), name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was stopped, so its exit code says nothing
		close(done)
	}()
	t.Cleanup(func() { <-done }) // t.Context ends before: so does the command
	return func(signal syscall.Signal) string {
		_ = machine.Stop(cmd, signal) // it may have ended by itself
		<-done
		return out.String()
	}
}

// CopyIn copies a file or directory of the host to a path of the machine.
func (m *testMachine) CopyIn(t *testing.T, from, to string) {
	t.Helper()
	if err := m.Machine.CopyIn(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
}

// WriteFile writes a file of the machine, mode 0644.
func (m *testMachine) WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := m.Machine.WriteFile(t.Context(), path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Install installs a .deb of the host with apt.
func (m *testMachine) Install(t *testing.T, deb string) {
	t.Helper()
	if err := m.Machine.Install(t.Context(), deb); err != nil {
		t.Fatal(err)
	}
}

// Reboot reboots the machine in an orderly way and waits until it is up again.
func (m *testMachine) Reboot(t *testing.T) {
	t.Helper()
	if err := m.Machine.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// PowerLoss kills every process of the machine at once, and boots it again from what was on disk.
func (m *testMachine) PowerLoss(t *testing.T) {
	t.Helper()
	if err := m.KillHard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.BootAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// slack is what a slow machine may add to a wait. That something comes at all is what such a wait is about; what must not
// be waited for is compared with that, not with a time.
const slack = 30 * time.Second

// eventually waits for a condition; the test ends if it is not met in time, which is that of a usual machine. It looks every
// 20 ms at first, and then less often, the longer it has waited: most looks start a command on the machine, and many of them
// would slow down what is waited for.
func eventually(t *testing.T, within time.Duration, what string, met func() bool) {
	t.Helper()
	within += slack
	began := time.Now()
	for !met() {
		waited := time.Since(began)
		if waited > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(min(max(waited/10, 20*time.Millisecond), 250*time.Millisecond))
	}
}
