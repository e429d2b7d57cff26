package shim_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/cli"
	"github.com/fnctl/fnctl/shim"
)

// TestMain lets the test binary be fnctl and the program behind the shim, too.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE")) // instead of a second for each command
	testscript.Main(m, map[string]func(){
		"fnctl":      func() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr)) },
		"behindShim": behindShim,
	})
}

const shimTimeout = 20 * time.Second

// shimmed is a shim that runs, with a program behind it that is this test itself.
type shimmed struct {
	*exec.Cmd
	socket         string
	stdout, stderr output
	ended          chan struct{}
}

// output is what a process writes. It may be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startShim starts a shim as systemd does: with a socket as file descriptor 3, and its own process number in LISTEN_PID.
func startShim(t *testing.T, program string, wait string) *shimmed {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &shimmed{socket: filepath.Join(t.TempDir(), "s"), ended: make(chan struct{})}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); file.Close() })
	bin := t.TempDir()
	for _, name := range []string{"fnctl", "behindShim"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.Cmd = exec.Command("/bin/sh", "-c", `cd "$0" && LISTEN_PID=$$ exec ./fnctl shim --wait "$1" -- ./behindShim "$2" '$PORT' "a b"`, bin, wait, program)
	s.Env = append(os.Environ(), "LISTEN_FDS=1", "PORT=8080")
	s.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.ExtraFiles = []*os.File{file}
	s.Cmd.Stdout, s.Cmd.Stderr = &s.stdout, &s.stderr
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = s.Wait() // each test looks at how it ended
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.Process.Pid, syscall.SIGKILL) // the program, too
		<-s.ended
	})
	return s
}

// status waits until the shim has ended.
func (s *shimmed) status(t *testing.T) syscall.WaitStatus {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(shimTimeout):
		t.Fatal("the shim does not end")
	}
	return s.ProcessState.Sys().(syscall.WaitStatus)
}

func (s *shimmed) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(shimTimeout)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends something to the program and returns all that it sends until it closes.
func (s *shimmed) ask(t *testing.T, question string) string {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, question); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// behindShim is the program behind the shim: behindShim KIND PORT ARG.
func behindShim() {
	address := "127.0.0.1:" + os.Getenv("PORT")
	switch os.Args[1] {
	case "exits":
		os.Exit(7)
	case "sleeps":
		select {}
	case "late":
		time.Sleep(300 * time.Millisecond)
	case "everywhere":
		address = ":" + os.Getenv("PORT")
	case "v6":
		address = "[::1]:" + os.Getenv("PORT")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go answerBehindShim(conn.(*net.TCPConn))
	}
}

// answerBehindShim reads to the end, and then does what it was asked for.
func answerBehindShim(conn *net.TCPConn) {
	defer conn.Close()
	question, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	var number int
	switch what := string(question); {
	case what == "environment":
		fmt.Fprintf(conn, "PORT=%s args=%q LISTEN_FDS=%q", os.Getenv("PORT"), os.Args[2:], os.Getenv("LISTEN_FDS"))
	case scan(what, "exit %d", &number):
		_, _ = io.WriteString(conn, strings.Repeat("last words ", 10000))
		conn.Close()
		os.Exit(number)
	case scan(what, "kill %d", &number):
		shim.DieBy(syscall.Signal(number))
	default:
		_, _ = conn.Write(question)
	}
}

// unread is what the other end of a connection has not read.
func unread(t *testing.T, conn *net.UnixConn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var failed error
	err = raw.Control(func(fd uintptr) { n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return n
}

func scan(text, format string, number *int) bool {
	n, err := fmt.Sscanf(text, format, number)
	return n == 1 && err == nil
}

func TestShimPassesOn(t *testing.T) {
	for _, program := range []string{"listens", "late", "everywhere", "v6"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			s := startShim(t, program, "10s")
			// Much more than fits into all buffers, in both directions, and only after the first end was passed on.
			big := strings.Repeat("0123456789abcdef", 1<<18)
			if got := s.ask(t, big); got != big {
				t.Errorf("got %d bytes back, want %d", len(got), len(big))
			}
			answer := s.ask(t, "environment")
			if strings.Contains(answer, "8080") || !strings.HasSuffix(answer, `LISTEN_FDS=""`) || !strings.Contains(answer, `"a b"`) {
				t.Errorf("the program sees %s", answer)
			}
			var port, arg int
			if _, err := fmt.Sscanf(answer, "PORT=%d args=[\"%d\"", &port, &arg); err != nil || port != arg {
				t.Errorf("$PORT in an argument is not the port: %s", answer)
			}
		})
	}
}

// Nothing is read of a connection while the program is not ready: whoever asks by that must be told the truth.
func TestShimReadsNothingTooEarly(t *testing.T) {
	t.Parallel()
	s := startShim(t, "sleeps", "10s")
	conn := s.dial(t)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // time to do the wrong thing in
	if unread(t, conn) == 0 {
		t.Error("the shim has read what its program cannot")
	}
}

func TestShimEndsLikeItsProgram(t *testing.T) {
	t.Parallel()
	if status := startShim(t, "exits", "10s").status(t); status.ExitStatus() != 7 {
		t.Errorf("before the port was open: got %v, want exit status 7", status)
	}
	s := startShim(t, "listens", "10s")
	if got := s.ask(t, "exit 41"); len(got) != 110000 {
		t.Errorf("got %d bytes of the last words", len(got))
	}
	if status := s.status(t); status.ExitStatus() != 41 {
		t.Errorf("got %v, want exit status 41", status)
	}
	for _, number := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM, syscall.SIGABRT, syscall.SIGUSR1} {
		s := startShim(t, "dies", "10s")
		conn := s.dial(t)
		fmt.Fprintf(conn, "kill %d", number)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if status := s.status(t); !status.Signaled() || status.Signal() != number {
			t.Errorf("got %v, want to be killed by %v; %s", status, number, s.stderr.String())
		}
	}
}

// A signal goes to the program, and connections that are open stay until it ends.
func TestShimForwardsSignals(t *testing.T) {
	t.Parallel()
	s := startShim(t, "listens", "10s")
	s.ask(t, "hello")
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := s.status(t); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want the program's own end by SIGTERM", status)
	}
	early := startShim(t, "sleeps", "10s")
	time.Sleep(20 * time.Millisecond) // whatever it does by then: no signal may be lost
	if err := early.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	early.status(t)
}

func TestShimPortNeverOpened(t *testing.T) {
	t.Parallel()
	s := startShim(t, "sleeps", "300ms")
	if status := s.status(t); status.ExitStatus() != 1 {
		t.Errorf("got %v, want exit status 1", status)
	}
	if got := s.stderr.String(); !strings.Contains(got, "fnctl: error: it never listened on port ") || !strings.Contains(got, "($PORT)") {
		t.Errorf("got %q", got)
	}
}

// A program that is late is not ended, unless a unit of an earlier version says so: it is said that it is awaited.
func TestShimWaits(t *testing.T) {
	t.Parallel()
	s := startShim(t, "sleeps", "0")
	for deadline := time.Now().Add(shimTimeout); !strings.Contains(s.stderr.String(), "it does not listen on port "); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it says nothing")
		}
	}
	select {
	case <-s.ended:
		t.Error("it has ended")
	default:
	}
}

// A port that another user has opened meanwhile gets nothing.
func TestShimForeignPort(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can open a port for others")
	}
	const nobody = 65534
	for uid, want := range map[int]error{0: nil, nobody: shim.ErrForeign} {
		port := listenAs(t, uid)
		conn, err := shim.Dial(port)
		if !errors.Is(err, want) {
			t.Errorf("a port of user %d: got %v, want %v", uid, err, want)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// listenAs opens a port for a user.
func listenAs(t *testing.T, uid int) (port int) {
	t.Helper()
	runtime.LockOSThread() // the user is that of the thread
	defer runtime.UnlockOSThread()
	if _, err := unix.SetfsuidRetUid(uid); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if _, back := unix.SetfsuidRetUid(0); err != nil || back != nil {
		t.Fatal(err, back)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestShimWithoutSocket(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "fnctl")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(link, "shim", "--", "/bin/true").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "there is no socket") {
		t.Errorf("got %v: %s", err, out)
	}
}
