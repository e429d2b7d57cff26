//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
	"github.com/fnctl/fnctl/gateway/testdata/smuggling"
)

// wireServers are what the app that remembers its requests runs in.
var wireServers = map[string]string{
	"wire-go":        "[./wire]",
	"wire-h11":       `[/usr/bin/python3, -m, uvicorn, --fd, "3", --http, h11, "asgi:app"]`,
	"wire-httptools": `[/usr/bin/python3, -m, uvicorn, --fd, "3", --http, httptools, "asgi:app"]`,
	"wire-gunicorn":  `[/usr/bin/gunicorn, "wsgi:app"]`,
	"wire-gthread":   `[/usr/bin/gunicorn, --worker-class, gthread, --threads, "4", "wsgi:app"]`,
}

// What is on the wire between a client, the gateway and real servers, and what it costs.
func TestWire(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	// All clients here have the same address, and their connections stay, however long it takes to make all.
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "gateway: {max_connections_per_address: 0, idle_timeout: 1h}\n")
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
	m.build(t, "wire", "/usr/local/lib/wire/wire")
	for name, command := range wireServers {
		m.deployWire(t, name, command)
		t.Run(name, func(t *testing.T) { testSmuggling(t, m, name) })
	}
	t.Run("two gigabytes", func(t *testing.T) { testTwoGigabytes(t, m) })
	t.Run("idle connections", func(t *testing.T) { testIdleConnections(t, m) })
}

// build compiles a sample function onto the machine, statically: that may be another Debian than the host.
func (m *testMachine) build(t *testing.T, name, to string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", binary, ".")
	cmd.Dir = function(name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	m.CopyIn(t, binary, to)
}

func (m *testMachine) deployWire(t *testing.T, name, command string) {
	t.Helper()
	dir := "/srv/" + name
	m.CopyIn(t, function("wire"), dir)
	m.MustRun(t, "cp", "/usr/local/lib/wire/wire", dir)
	m.WriteFile(t, dir+"/jcloud.yml", "command: "+command+"\ninstance: C3\nautoscale: {min: 1, max: 1}\n")
	m.MustRunIn(t, dir, "fnctl", "deploy")
}

// Client, gateway and server agree on every request of the corpus: what one takes for a request is one for all.
func testSmuggling(t *testing.T, m *testMachine, name string) {
	cases, err := smuggling.Cases()
	if err != nil {
		t.Fatal(err)
	}
	m.takeSeen(t, name)
	for _, c := range cases {
		conn, err := m.DialContext(t.Context(), "tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := c.Send(conn.(*net.TCPConn), name+".localhost")
		conn.Close()
		if err == nil {
			err = c.Check(outcome, m.takeSeen(t, name))
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if late := m.takeSeen(t, name); len(late) > 0 {
		t.Errorf("the app saw %q after all was over", late)
	}
}

// takeSeen returns the requests that an app has seen since the last call.
func (m *testMachine) takeSeen(t *testing.T, name string) []string {
	t.Helper()
	body := m.mustGet(t, "http://"+name+".localhost:8080/seen").body
	if body == "" {
		return nil
	}
	return strings.Split(body, "\n")
}

// gatewayMemory is the memory of the gateway's process: how much it uses now, and the most that it used since reset.
func (m *testMachine) gatewayMemory(t *testing.T) (now, most int) {
	t.Helper()
	status := m.MustRun(t, "sh", "-c", "cat /proc/$(systemctl show --value --property=MainPID fnctl-gateway)/status")
	return megabytes(t, status, "VmRSS:"), megabytes(t, status, "VmHWM:")
}

func megabytes(t *testing.T, status, field string) int {
	t.Helper()
	_, rest, _ := strings.Cut(status, field)
	kilobytes, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Fatalf("there is no %s in:\n%s", field, status)
	}
	return kilobytes / 1000
}

func (m *testMachine) resetGatewayMemory(t *testing.T) {
	t.Helper()
	m.MustRun(t, "sh", "-c", "echo 5 >/proc/$(systemctl show --value --property=MainPID fnctl-gateway)/clear_refs")
}

// Bodies of 2 GiB go through in both directions while the gateway's memory stays as it is.
func testTwoGigabytes(t *testing.T, m *testMachine) {
	const size, less = "2147483648", "536870912" // where HTTP/2 takes its time
	m.MustRun(t, "sh", "-c", "truncate --size="+size+" /var/tmp/zeros; truncate --size="+less+" /var/tmp/fewer")
	const down = "curl -sf -o /dev/null -w '%{size_download}' http://wire-go.localhost:8080/zeros?n="
	const up = " http://wire-go.localhost:8080/up"
	for name, test := range map[string]struct{ command, want string }{
		"down":             {down + size, size},
		"down over HTTP/2": {down + less + " --http2-prior-knowledge", less},
		"up with a length": {"curl -sf -T /var/tmp/zeros" + up, "PUT /up " + size},
		"up in chunks":     {"curl -sf -H Expect: -T -" + up + " </var/tmp/zeros", "PUT /up " + size},
		"up over HTTP/2":   {"curl -sf --http2-prior-knowledge -T /var/tmp/fewer" + up, "PUT /up " + less},
	} {
		t.Run(name, func(t *testing.T) {
			m.resetGatewayMemory(t)
			before, _ := m.gatewayMemory(t)
			began := time.Now()
			if got := m.MustRun(t, "sh", "-c", test.command); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			_, most := m.gatewayMemory(t)
			t.Logf("%v, %d MB before, %d MB at most", time.Since(began), before, most)
			if most > before+32 {
				t.Errorf("the gateway used more than 32 MB for it")
			}
		})
	}
}

// Ten thousand connections that have had a request each and are kept cost the gateway less than 100 MB.
func testIdleConnections(t *testing.T, m *testMachine) {
	const count = 10_000
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
	m.mustGet(t, "http://wire-go.localhost:8080/zeros?n=1")
	before, _ := m.gatewayMemory(t)
	conns := make(chan net.Conn, count)
	t.Cleanup(func() {
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	var dialers sync.WaitGroup
	for range 20 {
		dialers.Go(func() {
			for range count / 20 {
				c, err := m.DialContext(t.Context(), "tcp", "127.0.0.1:8080")
				if err != nil {
					t.Error(err)
					return
				}
				conns <- c
				if err := askOver(c, bufio.NewReaderSize(c, 512)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	dialers.Wait()
	now, most := m.gatewayMemory(t)
	t.Logf("%d idle connections: %d MB, %d MB at most, %d MB before", count, now, most, before)
	if most > 100 {
		t.Errorf("the gateway used more than 100 MB")
	}
	c := <-conns
	if err := askOver(c, bufio.NewReader(c)); err != nil {
		t.Errorf("one of them does not work any more: %v", err)
	}
	c.Close()
}

func askOver(c net.Conn, r *bufio.Reader) error {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /zeros?n=1 HTTP/1.1\r\nHost: wire-go.localhost\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Close {
		return fmt.Errorf("got %d, close %v", res.StatusCode, res.Close)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
