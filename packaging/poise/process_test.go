package poise

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is far more than anything here takes.
const patience = 30 * time.Second

// A machine runs a poise.
type machine struct {
	command  []string
	emulated bool // which has signals and an order of variables of its own
}

func (m machine) exe() string { return m.command[0] }

func (m machine) run(arguments ...string) []string {
	return append(slices.Clone(m.command), arguments...)
}

func native(t *testing.T) machine {
	t.Helper()
	return machine{command: []string{compiled(t, runtime.GOARCH)}}
}

func emulated(t *testing.T) machine {
	t.Helper()
	const emulator = "qemu-aarch64-static"
	qemu, err := exec.LookPath(emulator)
	if err != nil {
		t.Skipf("no %s: testdata/machine/deps emulated", emulator)
	}
	return machine{command: []string{qemu, compiled(t, "arm64")}, emulated: true}
}

// compiled is a poise for the architecture. Without its compiler the test is skipped.
func compiled(t *testing.T, arch string) string {
	t.Helper()
	compiler := "gcc"
	if arch != runtime.GOARCH {
		compiler = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch] + "-linux-gnu-gcc"
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("no %s: testdata/machine/deps compilers", compiler)
	}
	// So that go test knows what it has tested.
	for _, source := range []string{"poise.c", "build"} {
		if _, err := os.Stat(source); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "poise")
	if out, err := exec.CommandContext(t.Context(), "./build", arch, path).CombinedOutput(); err != nil {
		t.Fatalf("build poise: %v\n%s", err, out)
	}
	return path
}

// each runs the test with a poise for this machine, and with one for arm64 where that can be emulated.
func each(t *testing.T, test func(t *testing.T, m machine)) {
	t.Run("native", func(t *testing.T) { test(t, native(t)) })
	if runtime.GOARCH == "arm64" {
		return
	}
	t.Run("arm64", func(t *testing.T) { test(t, emulated(t)) })
}

// process is one that was started, poise or something that becomes it.
type process struct {
	t *testing.T
	*os.Process
	input  *os.File
	output *os.File // standard output and error
}

// start starts the command with its fd 3, if there is one. exec.Cmd would change the environment.
func start(t *testing.T, environment []string, listener *os.File, command ...string) *process {
	t.Helper()
	input, ours := pipe(t)
	output, theirs := pipe(t)
	files := []*os.File{input, theirs, theirs}
	if listener != nil {
		files = append(files, listener)
	}
	child, err := os.StartProcess(command[0], command, &os.ProcAttr{Env: environment, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	input.Close()
	theirs.Close()
	t.Cleanup(func() {
		child.Kill()
		child.Wait()
	})
	return &process{t: t, Process: child, input: ours, output: output}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	deadline := time.Now().Add(patience)
	if err := r.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	return r, w
}

func (p *process) eventually(what string, met func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %v: %s; it is %s, in the system call %s", patience, what, p.state(), p.file("syscall"))
		}
	}
}

func (p *process) file(name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.Pid, name))
	return string(data)
}

// state is R, S, T, Z, …
func (p *process) state() string {
	_, fields, _ := strings.Cut(p.file("stat"), ") ")
	state, _, _ := strings.Cut(fields, " ")
	return state
}

// awaitPoised waits until the process sleeps in a ppoll of one descriptor, without end: no time can change that.
func (p *process) awaitPoised(m machine) {
	p.t.Helper()
	inPoll := regexp.MustCompile(`^` + strconv.Itoa(unix.SYS_PPOLL) + ` 0x[0-9a-f]+ 0x1 0x0 `)
	p.eventually("it waits", func() bool { return p.state() == "S" && inPoll.MatchString(p.file("syscall")) })
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.Pid))
	if err != nil || exe != m.exe() {
		p.t.Fatalf("what waits is %s, not %s (%v)", exe, m.exe(), err)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatalf("%v: %v", s, err)
	}
}

func (p *process) end() (syscall.WaitStatus, string) {
	p.t.Helper()
	output, err := io.ReadAll(p.output)
	if err != nil {
		p.t.Fatalf("it does not end (%v): %s", err, output)
	}
	state, err := p.Wait()
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Sys().(syscall.WaitStatus), string(output)
}

func (p *process) wantEnd(status int, output string) {
	p.t.Helper()
	ended, got := p.end()
	if !ended.Exited() || ended.ExitStatus() != status || got != output {
		p.t.Errorf("it has ended with %#x and %q, want status %d and %q", ended, got, status, output)
	}
}

// socket is what an instance listens at.
type socket struct {
	t    *testing.T
	path string
	file *os.File // is fd 3
}

func listen(t *testing.T) socket {
	t.Helper()
	dir, err := os.MkdirTemp("", "poise") // short enough for an address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return socket{t, path, file}
}

func (s socket) connect() *net.UnixConn {
	s.t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.path, Net: "unix"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func own(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}
