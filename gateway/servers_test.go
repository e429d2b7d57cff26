package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// servers are the HTTP servers that apps commonly run in. Each takes its socket as file descriptor 3.
var servers = map[string][]string{
	"uvicorn-h11":       {"/usr/bin/python3", "-m", "uvicorn", "--fd", "3", "--http", "h11", "asgi:app"},
	"uvicorn-httptools": {"/usr/bin/python3", "-m", "uvicorn", "--fd", "3", "--http", "httptools", "asgi:app"},
	"gunicorn-sync":     {"/bin/sh", "-c", "LISTEN_PID=$$ exec gunicorn wsgi:app"},
	"gunicorn-gthread":  {"/bin/sh", "-c", "LISTEN_PID=$$ exec gunicorn -k gthread --threads 4 wsgi:app"},
	"node":              {"node", "server.js"},
}

// installed reports whether a server can be run on this machine.
func installed(name string) bool {
	python := map[string]string{"uvicorn-h11": "uvicorn, h11", "uvicorn-httptools": "uvicorn, httptools", "gunicorn-sync": "gunicorn", "gunicorn-gthread": "gunicorn"}
	if modules, ok := python[name]; ok {
		return exec.Command("/usr/bin/python3", "-c", "import "+modules).Run() == nil
	}
	_, err := exec.LookPath(servers[name][0])
	return err == nil
}

// start runs a server on an armed socket, as systemd does, and returns the file of its output.
func (a *armed) start(t *testing.T, command []string) (output string) {
	t.Helper()
	file, err := a.Listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "testdata/servers"
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	return log.Name()
}

var complaint = regexp.MustCompile(`(?i)error|invalid|exception|traceback|warn|\b400\b`)

// A probe asks nothing of the app: one that is abandoned leaves neither a request nor a complaint, before the app runs and
// while it does; and one that is continued is an ordinary request.
func TestProbeLeavesNoTrace(t *testing.T) {
	for name, command := range servers {
		t.Run(name, func(t *testing.T) {
			if !installed(name) {
				t.Skip("not installed")
			}
			t.Parallel()
			w := newWorld(t)
			w.route(ping)
			a := w.arm(ping, 1)
			for range 3 {
				c, err := net.Dial("unix", a.path)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(c, "G")
				c.Close()
			}
			cold := make(chan answer, 1)
			go func() { cold <- w.get("ping", "/") }()
			w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued) == 1 })
			output := a.start(t, command)
			if got := <-cold; got.status != http.StatusOK || got.body != "1" {
				log, _ := os.ReadFile(output)
				t.Fatalf("cold: got %+v\n%s", got, log)
			}
			for range 3 {
				c, err := platform.Probe(t.Context(), a.path, 'P')
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			for want, method := range []string{2: "GET", 3: "POST", 4: "PUT"} {
				if method == "" {
					continue
				}
				if got := w.do(method, "ping", "/", "body"); got.body != fmt.Sprint(want) {
					t.Errorf("%s: got %+v, want request number %d", method, got, want)
				}
			}
			time.Sleep(100 * time.Millisecond)
			if log, _ := os.ReadFile(output); complaint.Match(log) {
				t.Errorf("it complains:\n%s", log)
			}
		})
	}
}

// The Go server is in the same process; its log is the test's.
func TestProbeLeavesNoTraceInGo(t *testing.T) {
	var log lockedBuffer
	var seen atomic.Int32
	w := newWorld(t)
	a := w.arm(ping, 1)
	a.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }), func(s *http.Server) { s.ErrorLog = logTo(&log) })
	for range 3 {
		c, err := platform.Probe(t.Context(), a.path, 'G')
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	time.Sleep(50 * time.Millisecond)
	if seen.Load() != 0 || log.String() != "" {
		t.Errorf("the app saw %d requests and logged %q", seen.Load(), log.String())
	}
}
