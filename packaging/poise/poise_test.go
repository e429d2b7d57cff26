// Package poise has the tests of a program in C: poise.c.
package poise

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "app" {
		if err := serveOne(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// told is what the app says of itself.
type told struct {
	PID         int
	Exe         string
	Arguments   []string
	Environment []string
	Request     string
}

// serveOne is the app: it answers one connection.
func serveOne() error {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	request, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	// os.Environ leaves out what is there twice.
	environment, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return err
	}
	return json.NewEncoder(conn).Encode(told{
		PID: os.Getpid(), Exe: exe, Arguments: os.Args, Environment: nullTerminated(environment), Request: string(request),
	})
}

func nullTerminated(data []byte) []string {
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

func TestBecomesTheApp(t *testing.T) {
	each(t, func(t *testing.T, m machine) {
		s := listen(t)
		app := []string{own(t), "app", "", "two words", "--"}
		command := m.run(append([]string{"--"}, app...)...)
		p := start(t, []string{
			"FNCTL_POISE=1", "Z=1", "FNCTL_POISED=not ours", "FNCTL_POISE=", "Z=2", "FNCTL_POISE=1", "noequals", "A=",
			"GORACE=atexit_sleep_ms=0", "FNCTL_POISE=2",
		}, s.file, command...)
		p.awaitPoised(m)

		conn := s.connect()
		io.WriteString(conn, "hello")
		conn.CloseWrite()
		answer, err := io.ReadAll(conn)
		var got told
		if err != nil || json.Unmarshal(answer, &got) != nil {
			_, output := p.end()
			t.Fatalf("the app answers %q (%v) and prints %q", answer, err, output)
		}
		p.wantEnd(0, "")
		if got.PID != p.Pid || got.Exe != app[0] || got.Request != "hello" {
			t.Errorf("the process %d of %s answers %q, want %d, %s, hello", got.PID, got.Exe, got.Request, p.Pid, app[0])
		}
		if !slices.Equal(got.Arguments, app) {
			t.Errorf("the arguments are %q, want %q", got.Arguments, app)
		}
		want := []string{"Z=1", "FNCTL_POISED=not ours", "Z=2", "noequals", "A=", "GORACE=atexit_sleep_ms=0"}
		if m.emulated { // qemu turns the order round, and knows no variable twice
			want = []string{"A=", "FNCTL_POISED=not ours", "GORACE=atexit_sleep_ms=0", "Z=2"}
			slices.Sort(got.Environment)
		}
		if !slices.Equal(got.Environment, want) {
			t.Errorf("the environment is %q, want %q", got.Environment, want)
		}
	})
}

// What is not to wait does not: of its socket nobody knows here.
func TestDoesNotWait(t *testing.T) {
	tests := map[string]struct {
		environment []string
		closed      bool
	}{
		"unset":              {environment: []string{"A=1"}},
		"empty":              {environment: []string{"FNCTL_POISE=", "A=1"}},
		"without a listener": {environment: []string{"A=1", "FNCTL_POISE=1"}, closed: true},
	}
	each(t, func(t *testing.T, m machine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				listener := listen(t).file
				if test.closed {
					listener = nil
				}
				p := start(t, test.environment, listener, m.run("/bin/cat", "--", "/proc/self/environ", "/proc/self/cmdline")...)
				p.wantEnd(0, "A=1\x00/bin/cat\x00--\x00/proc/self/environ\x00/proc/self/cmdline\x00")
			})
		}
	})
}

func TestSignalEndsTheWait(t *testing.T) {
	each(t, func(t *testing.T, m machine) {
		p := start(t, []string{"FNCTL_POISE=1"}, listen(t).file, m.run("/bin/echo", "too much")...)
		p.awaitPoised(m)
		p.signal(syscall.SIGURG)
		p.wantEnd(0, "")
	})
	t.Run("SIGTERM", func(t *testing.T) {
		m := native(t)
		p := start(t, []string{"FNCTL_POISE=1"}, listen(t).file, m.run("/bin/echo", "too much")...)
		p.awaitPoised(m)
		p.signal(syscall.SIGTERM)
		if ended, output := p.end(); !ended.Signaled() || ended.Signal() != syscall.SIGTERM || output != "" {
			t.Errorf("it has ended with %#x and %q", ended, output)
		}
	})
}

func TestOtherSignalsDoNotEndTheWait(t *testing.T) {
	m := native(t)
	s := listen(t)
	p := start(t, []string{"FNCTL_POISE=1"}, s.file, m.run("/bin/echo", "app")...)
	p.awaitPoised(m)
	p.signal(syscall.SIGWINCH)
	p.signal(syscall.SIGCHLD)
	p.signal(syscall.SIGSTOP)
	p.eventually("it is stopped", func() bool { return p.state() == "T" })
	p.signal(syscall.SIGCONT)
	p.awaitPoised(m)
	s.connect()
	p.wantEnd(0, "app\n")
}

// A signal that comes after the connection is forgotten, wherever the program is by then: the app gets the connection. One that
// comes before may be overtaken by it, but never harms the app.
func TestLateSignal(t *testing.T) {
	m := native(t)
	command := m.run("/bin/cat")
	for round := range 400 {
		good := t.Run("", func(t *testing.T) {
			s := listen(t)
			p := start(t, []string{"FNCTL_POISE=1"}, s.file, command...)
			p.awaitPoised(m)
			pause := rand.N(100 * time.Microsecond)
			late := round%4 != 0
			if late {
				s.connect()
				spin(pause)
				p.signal(syscall.SIGURG)
			} else {
				p.signal(syscall.SIGURG)
				spin(pause)
				s.connect()
			}
			p.input.WriteString("alive")
			p.input.Close()
			ended, output := p.end()
			if !ended.Exited() || ended.ExitStatus() != 0 || output != "alive" && (late || output != "") {
				t.Errorf("it has ended with %#x and %q; the signal was late: %v, by %v", ended, output, late, pause)
			}
		})
		if !good {
			return
		}
	}
}

// spin takes less than the shortest sleep.
func spin(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

// Whatever signals are blocked or ignored is the app's: as if poise were not there.
func TestInheritedState(t *testing.T) {
	m := native(t)
	const urg = 1 << (syscall.SIGURG - 1)
	for name, test := range map[string]struct {
		options          []string // of env
		blocked, ignored uint64   // that SIGURG, or not
	}{
		"none":                {},
		"ignored":             {options: []string{"--ignore-signal=URG"}, ignored: urg},
		"blocked":             {options: []string{"--block-signal=URG"}, blocked: urg},
		"ignored and blocked": {options: []string{"--ignore-signal=URG", "--block-signal=URG"}, ignored: urg, blocked: urg},
		"others":              {options: []string{"--ignore-signal=PIPE,USR1,40", "--block-signal=TERM,USR2,WINCH,64"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"/usr/bin/env"}, test.options...)
			app := []string{"/bin/cat", "/proc/self/status"}
			poised := slices.Concat(env, m.command, app)

			_, output := start(t, []string{}, nil, slices.Concat(env, app)...).end()
			want := inherited(output)
			if len(want) < 8 || mask(t, want["SigBlk"])&urg != test.blocked || mask(t, want["SigIgn"])&urg != test.ignored {
				t.Fatalf("env does not do what it is to do: %v", want)
			}
			compare := func(when string, p *process) {
				t.Helper()
				_, output := p.end()
				for key, got := range inherited(output) {
					if got != want[key] {
						t.Errorf("%s: %s is %s, want %s", when, key, got, want[key])
					}
				}
				if !strings.Contains(output, "SigBlk") {
					t.Errorf("%s: %s", when, output)
				}
			}
			compare("without a wait", start(t, []string{}, nil, poised...))

			s := listen(t)
			p := start(t, []string{"FNCTL_POISE=1"}, s.file, poised...)
			p.awaitPoised(m)
			s.connect()
			compare("after a wait", p)

			p = start(t, []string{"FNCTL_POISE=1"}, listen(t).file, poised...)
			p.awaitPoised(m)
			p.signal(syscall.SIGURG)
			p.wantEnd(0, "")
		})
	}
}

// inherited are the lines of /proc/PID/status that a program hands on.
func inherited(status string) map[string]string {
	lines := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^(Sig|Shd|Cap|NoNewPrivs|Seccomp|Umask)(\w*):\s+(\w+)$`).FindAllStringSubmatch(status, -1) {
		lines[line[1]+line[2]] = line[3]
	}
	return lines
}

func mask(t *testing.T, hex string) uint64 {
	t.Helper()
	mask, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

func TestFailure(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("not a program\n"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := file("plain", 0o644)
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	busy, err := os.OpenFile(file("busy", 0o755), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	long := "/" + strings.Repeat("n", 300)

	failed := func(program, reason string) string { return "Failed to execute " + program + ": " + reason + "\n" }
	const notAbsolute = "PROGRAM must be an absolute path: poise [--] PROGRAM [ARG]..."
	tests := map[string]struct {
		arguments []string
		want      string
	}{
		"missing":        {[]string{"--", dir + "/missing"}, failed(dir+"/missing", "No such file or directory")},
		"not executable": {[]string{plain, "an argument"}, failed(plain, "Permission denied")},
		"directory":      {[]string{dir}, failed(dir, "Permission denied")},
		"below a file":   {[]string{plain + "/app"}, failed(plain+"/app", "Not a directory")},
		"script of none": {[]string{file("script", 0o755)}, failed(dir+"/script", "Exec format error")},
		"loop":           {[]string{loop}, failed(loop, "Too many levels of symbolic links")},
		"busy":           {[]string{busy.Name()}, failed(busy.Name(), "Text file busy")},
		"not in a table": {[]string{long}, failed(long, "error 36")},
		"longer than a line": {[]string{strings.Repeat("/very", 1000)},
			failed(strings.Repeat("/very", 1000)[:512-len("Failed to execute ")], "error 36")},
		"relative": {[]string{"cat", "/dev/null"}, failed("cat", notAbsolute)},
		"option":   {[]string{"--help"}, failed("--help", notAbsolute)},
		"nothing":  {nil, failed("nothing", notAbsolute)},
		"no more":  {[]string{"--"}, failed("nothing", notAbsolute)},
	}
	each(t, func(t *testing.T, m machine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				start(t, []string{}, nil, m.run(test.arguments...)...).wantEnd(203, test.want)
			})
		}
		t.Run("after a wait", func(t *testing.T) {
			s := listen(t)
			p := start(t, []string{"FNCTL_POISE=1"}, s.file, m.run(dir+"/missing")...)
			p.awaitPoised(m)
			s.connect()
			p.wantEnd(203, failed(dir+"/missing", "No such file or directory"))
		})
	})
	t.Run("too much", func(t *testing.T) {
		m := native(t)
		s := listen(t)
		environment := []string{"FNCTL_POISE=1", "A=" + strings.Repeat("a", 100<<10), "B=" + strings.Repeat("b", 100<<10)}
		p := start(t, environment, s.file, m.run("/bin/cat")...)
		p.awaitPoised(m)
		// Arguments and variables may take a quarter of it, and 128 KB at the least.
		if err := unix.Prlimit(p.Pid, unix.RLIMIT_STACK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}, nil); err != nil {
			t.Fatal(err)
		}
		s.connect()
		p.wantEnd(203, failed("/bin/cat", "Argument list too long"))
	})
}

// What it asks of the kernel is in every set of system calls that an app could run with, and has the right numbers.
func TestSystemCalls(t *testing.T) {
	m := emulated(t) // the other tests see on this machine what each does
	traced := append(slices.Insert(m.command, 1, "-strace"), "/missing")
	ended, output := start(t, []string{"FNCTL_POISE=1"}, nil, traced...).end()
	if !ended.Exited() || ended.ExitStatus() != 203 {
		t.Errorf("it has ended with %#x", ended)
	}
	var calls []string
	for _, call := range regexp.MustCompile(`(?m)^\d+ (\w+)\(`).FindAllStringSubmatch(output, -1) {
		calls = append(calls, call[1])
	}
	want := []string{"rt_sigprocmask", "rt_sigaction", "ppoll", "rt_sigaction", "rt_sigprocmask", "execve", "write", "exit_group"}
	if !slices.Equal(calls, want) {
		t.Errorf("it calls %q, want %q; all: %s", calls, want, output)
	}
}

// One page of a file that all share, which needs no loader, and nothing that MemoryDenyWriteExecute= would refuse.
func TestFile(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			data, err := os.ReadFile(compiled(t, arch))
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 4096 {
				t.Errorf("%d bytes are more than a page", len(data))
			}
			file, err := elf.NewFile(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if file.Machine != machine {
				t.Errorf("it is for %v", file.Machine)
			}
			var segments []string
			for _, segment := range file.Progs {
				segments = append(segments, fmt.Sprint(segment.Type, segment.Flags))
			}
			if want := []string{"PT_LOAD PF_X+PF_R", "PT_GNU_STACK PF_W+PF_R"}; !slices.Equal(segments, want) {
				t.Errorf("the segments are %q, want %q", segments, want)
			}
		})
	}
}
