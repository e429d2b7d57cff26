//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/e2e/machine"
)

// slowApp says after half a second which instance it is. It takes ten seconds to start while the file slow is there, does not
// start before the file heavy has gone, when there is a file for each instance that waits for that, and ends at once with the
// file broken.
const slowApp = `import asyncio, os, sys, time

def told(name):
    return os.path.exists(os.path.join(os.environ["JCLOUD_WORKSPACE"], name))

if told("broken"):
    sys.exit(1)
if told("slow"):
    time.sleep(10)
while told("heavy"):
    open(os.path.join(os.environ["JCLOUD_WORKSPACE"], os.environ["HOSTNAME"]), "w").close()
    time.sleep(0.02)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": os.environ["HOSTNAME"].encode()})
`

const slowURL = "http://slow.localhost:8080/"

// slowFunctions are what each function with that app is scaled by. The rate of a burst is a mean over the time since, and so smaller with
// each reading: what it was first counts for longer than instances take to start on a busy host.
var slowFunctions = map[string]string{
	"slow": "concurrency, target: 6, stable_window: 6s, scale_down_delay: 0s",
	"many": "concurrency, target: 20, stable_window: 6s, scale_down_delay: 0s",
	"rate": "rps, target: 15, stable_window: 30s, scale_down_delay: 30s",
}

// What happens between a request and the instance that it needs.
func TestScaleStarts(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "poised: {count: 0} # each start is one from nothing, and counted\n")
	m.restartActivator(t)
	m.MustRun(t, "mkdir", "/srv/slow")
	m.WriteFile(t, "/srv/slow/main.py", slowApp)
	for name, metric := range slowFunctions {
		m.WriteFile(t, "/srv/slow/jcloud.yml", neverAsleep("it is about starts", "autoscale: {min: 0, max: 10, metric: "+metric+"}\n"))
		m.MustRunIn(t, "/srv/slow", "fnctl", "deploy", "main:app", "--name", name)
	}
	for name := range slowFunctions {
		m.waitZero(t, name, 90*time.Second)
	}
	t.Run("hundred at zero, concurrency", func(t *testing.T) { testHundredAtZero(t, m, "many") })
	t.Run("hundred at zero, rps", func(t *testing.T) { testHundredAtZero(t, m, "rate") })
	t.Run("slow to start", func(t *testing.T) { testSlowStart(t, m) })
	t.Run("failing", func(t *testing.T) { testFailingIsNoCapacity(t, m) })
	t.Run("host budget", func(t *testing.T) { testHostBudget(t, m) })
}

// tell makes or removes a file in the workspace of a function.
func (m *testMachine) tell(t *testing.T, name, command, file string) {
	t.Helper()
	m.MustRun(t, command, "/var/lib/private/fnctl-data/"+name+"/"+file)
}

// A hundred requests that find nothing: five instances are on the way before the first of them has answered anything, and all
// of them get their share. None comes to its end before that; otherwise the first may have served all. The connections are there
// before, so that the requests come at once, however long those take to make.
func testHundredAtZero(t *testing.T, m *testMachine, name string) {
	m.tell(t, name, "touch", "heavy")
	const needed = 5
	var conns []net.Conn
	for range 100 {
		conn, err := m.DialContext(t.Context(), "tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	served := map[string]int{}
	var first time.Duration // when it was answered
	var mu sync.Mutex
	var wg sync.WaitGroup
	t.Cleanup(func() {
		for _, conn := range conns {
			conn.Close()
		}
		wg.Wait()
	})
	began := monotonic(t)
	for _, conn := range conns {
		wg.Go(func() {
			body, err := askOnce(conn, name+".localhost")
			if err != nil {
				t.Errorf("%q %v", body, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if served[body]++; len(served) == 1 && served[body] == 1 {
				first = monotonic(t) - began
			}
		})
	}
	var starts []time.Duration
	eventually(t, 20*time.Second, "five instances wait for their end", func() bool {
		starts = m.serviceStarts(t, name, began)
		waiting := m.MustRun(t, "sh", "-c", "ls /var/lib/private/fnctl-data/"+name+" | grep '^"+name+"-' || true")
		return len(starts) >= needed && len(strings.Fields(waiting)) >= needed
	})
	m.tell(t, name, "rm", "heavy")
	wg.Wait()
	last := starts[needed-1] - began
	t.Logf("instance %d was started after %v, the first answer came after %v; served %v", needed, last.Round(time.Millisecond), first, served)
	if last >= first {
		t.Errorf("instance %d was started after %v, and the first answer came after %v", needed, last, first)
	}
	if len(served) < needed {
		t.Errorf("the requests that were held went to %v, want %d instances", served, needed)
	}
}

// askOnce asks for / over a connection, and returns the body of the answer if that is a 200.
func askOnce(conn net.Conn, host string) (string, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(body), err
}

// serviceStarts is when instances of a function were started after some time, in order, by systemd's clock.
func (m *testMachine) serviceStarts(t *testing.T, name string, since time.Duration) []time.Duration {
	t.Helper()
	out := m.MustRun(t, "systemctl", "show", "--property=InactiveExitTimestampMonotonic", "--value", "fn-"+name+"-*@*.service")
	var starts []time.Duration
	for _, field := range strings.Fields(out) {
		usec, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if at := time.Duration(usec) * time.Microsecond; at > since {
			starts = append(starts, at)
		}
	}
	slices.Sort(starts)
	return starts
}

// monotonic is the kernel's clock, which the machine shares.
func monotonic(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// Instances that take ten seconds to start count as capacity on the way: no more are started meanwhile.
func testSlowStart(t *testing.T, m *testMachine) {
	m.tell(t, "slow", "touch", "slow")
	defer m.tell(t, "slow", "rm", "slow")
	l := m.startLoadOf(t, slowURL, 20) // for which four have room: what is measured in the first ticks may be a fifth more
	most := 0
	eventually(t, 60*time.Second, "four instances are ready", func() bool {
		s := m.status(t, "slow")
		most = max(most, s.Scale.Desired, strings.Count(s.states(), "starting")+strings.Count(s.states(), "ready"))
		return s.Scale.Ready >= 4
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		most = max(most, m.status(t, "slow").Scale.Desired)
	}
	l.stop(t)
	if most != 4 {
		t.Errorf("there were up to %d instances, want 4", most)
	}
	m.waitZero(t, "slow", 60*time.Second)
}

// What fails is tried again ever more seldom, and is no capacity: others are wanted in its place.
func testFailingIsNoCapacity(t *testing.T, m *testMachine) {
	first := m.startLoadOf(t, slowURL, 6)
	m.waitReady(t, "slow", 1, 20*time.Second)
	m.tell(t, "slow", "touch", "broken")
	second := m.startLoadOf(t, slowURL, 18)
	eventually(t, 20*time.Second, "instances fail", func() bool { return strings.Contains(m.status(t, "slow").states(), "failed") })
	began := monotonic(t)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if s := m.status(t, "slow"); s.Scale.Ready != 1 || s.Scale.Desired < 4 {
			t.Fatalf("with instances that fail: %s, desired %d", s.states(), s.Scale.Desired)
		}
	}
	// Three places, each tried after 1, 2, 4, … seconds, by one instance or by those that replace it.
	starts := m.MustRun(t, "sh", "-c", "journalctl --output=cat --unit=fnctl-activator --since=-10s | grep -c 'instance: start' || true")
	if n, _ := strconv.Atoi(strings.TrimSpace(starts)); n > 24 {
		t.Errorf("%d starts in ten seconds", n)
	}
	t.Logf("in %v: %s starts", (monotonic(t) - began).Round(time.Second), strings.TrimSpace(starts))
	m.tell(t, "slow", "rm", "broken")
	m.waitReady(t, "slow", 4, 60*time.Second)
	first.stop(t)
	second.stop(t)
	m.waitZero(t, "slow", 60*time.Second)
}

// What the host has no memory for is held back, and said in status, metrics, log and events; requests are answered by what
// there is.
func testHostBudget(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/meminfo", "MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: 300000 kB\n")
	m.MustRun(t, "mkdir", "-p", "/run/systemd/system/fnctl-activator.service.d")
	m.WriteFile(t, "/run/systemd/system/fnctl-activator.service.d/meminfo.conf", "[Service]\nBindReadOnlyPaths=/srv/meminfo:/proc/meminfo\n")
	m.restartActivator(t)
	l := m.startLoadOf(t, slowURL, 24)
	var s status
	held := 0
	eventually(t, 20*time.Second, "status says that instances are held back", func() bool {
		s = m.status(t, "slow")
		held = s.Scale.Desired - 1
		return held >= 3 && s.Scale.Ready == 1 && strings.Contains(m.MustRun(t, "fnctl", "status", "slow"), fmt.Sprintf("%d held back: the host is short of memory", held))
	})
	page := m.MustRun(t, "curl", "-sf", "--unix-socket", "/run/fnctl/activator.sock", "http://localhost/metrics")
	if want := fmt.Sprintf(`fnctl_activator_refused_instances{function="slow",revision="slow-00001"} %d`, held); !strings.Contains(page, want) {
		t.Errorf("no %s in the metrics", want)
	}
	m.MustRun(t, "sh", "-c", "journalctl --output=cat --unit=fnctl-activator | grep -q 'instances are held back'")
	// The event is of the moment at which the shortage began; more may have been wanted since.
	if events := m.events(t, "slow"); !slices.ContainsFunc(events, func(e event) bool {
		return e.Event == "budget" && strings.HasSuffix(e.Why, ": the host is short of memory")
	}) {
		t.Errorf("events don't say so: %+v", events)
	}
	// A deploy looks at the same.
	m.WriteFile(t, "/srv/several/main.py", "async def app(scope, receive, send): pass\n")
	m.WriteFile(t, "/srv/several/jcloud.yml", "app: main:app\nautoscale: {min: 3}\n")
	out := m.MustFail(t, 1, "unshare", "--mount", "sh", "-c", "mount --bind /srv/meminfo /proc/meminfo && cd /srv/several && exec fnctl deploy")
	if !strings.Contains(out.Stderr, "the machine is short of memory: 3 instances") {
		t.Errorf("the deploy of several says:\n%s", out.Stderr)
	}
	m.MustRun(t, "rm", "/run/systemd/system/fnctl-activator.service.d/meminfo.conf")
	m.restartActivator(t)
	eventually(t, 30*time.Second, "there are as many as the load needs", func() bool { return m.status(t, "slow").Scale.Ready >= 4 })
	l.stop(t)
	m.waitZero(t, "slow", 60*time.Second)
}

// restartActivator restarts the activator with drop-ins that have changed.
func (m *testMachine) restartActivator(t *testing.T) {
	t.Helper()
	m.MustRun(t, "systemctl", "daemon-reload")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
}
