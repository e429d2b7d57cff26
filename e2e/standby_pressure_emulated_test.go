//go:build e2e && emulated

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// hoardApp has HOARD megabytes of memory, which can be halved by packing, and more when it is asked to take some. It needs no framework,
// which would take its time under emulation.
const hoardApp = `
import os, socket, threading, time, zlib

PAGE = 4096
def some(megabytes):
    return bytearray(b"".join(os.urandom(PAGE // 2) + bytes(PAGE // 2) for _ in range(megabytes * (1 << 20) // PAGE)))

hoard = [some(int(os.environ["HOARD"]))]
before = [zlib.crc32(part) for part in hoard]

def answer(path):
    if path.startswith("/take/"):
        for _ in range(int(path[6:]) // 5):
            time.sleep(1.5)  # an emulated machine stops an instance in seconds
            hoard.append(some(5))
            before.append(zlib.crc32(hoard[-1]))
        return "taken"
    if path == "/sum":
        return "same" if [zlib.crc32(part) for part in hoard] == before else "different"
    return "here"

def serve(connection):
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            while requests.readline().strip():
                pass
            if len(line.split()) < 3:
                return  # who connected only wanted to know whether it is there
            body = answer(line.split()[1].decode()).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

listener = socket.socket(fileno=3)
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
`

const hoardConfig = "command: [/usr/bin/python3, main.py]\ninstance: C4\ntimeout: 5m\nstart_timeout: 2m\nbackground_timeout: 0\n"

// Memory that is short evicts what sleeps, or moves it to swap where there is some, and nothing is killed or refused. It takes a kernel of
// its own, with a control group of memory for each unit, whose memory can be filled: so this test has itself run on an emulated machine.
func TestStandbyUnderPressure(t *testing.T) {
	if os.Getenv(inEmulation) == "" {
		emulate(t, machine.Bookworm)
		return
	}
	m := &testMachine{machine.Here()}
	m.Install(t, debPath(t))
	m.waitActive(t, hostUnit)
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "gateway: {access_log: off}\n")
	m.MustRun(t, "systemctl", "reload", "fnctl-gateway")
	m.WriteFile(t, "/srv/hoard/main.py", hoardApp)
	m.deployHoard(t, "steady", 10, "autoscale: {min: 1, max: 1}\n")
	for _, name := range []string{"one", "two", "three"} {
		m.deployHoard(t, name, 90, sleepyHoard)
	}
	m.deployHoard(t, "greedy", 10, sleepyHoard)
	t.Run("the kernel tells", func(t *testing.T) { testKernelTells(t, m) })
	for _, test := range []struct {
		name string
		run  func(*testing.T, *testMachine)
	}{

		{"the machine is full", testFullMachine}, {"the machine has only cache", testHotCache}, {"swap", testStandbySwap},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log(m.MustRun(t, "sh", "-c", "grep . /sys/fs/cgroup/fn.slice/memory.* /sys/fs/cgroup/fn.slice/*/*/memory.current /proc/pressure/memory; free -m; "+
						"journalctl --no-pager --lines=250 -o short-precise -t fnctl -t kernel -t systemd -t python3"))
				}
			}()
			killed := m.oomKills(t)
			traffic := m.startTrafficOf(t, fetchSeldom, "http://steady.localhost:8080/", 1)
			test.run(t, m)
			traffic.stop(t)
			if now := m.oomKills(t); now != killed {
				t.Errorf("the kernel has killed %d processes\n%s", now-killed, m.MustRun(t, "sh", "-c", "journalctl -k --no-pager | grep -i -A 20 oom | tail -n 60"))
			}
		})
	}
}

const sleepyHoard = "autoscale: {min: 0, max: 2, metric: concurrency, target: 1000, stable_window: 10s, scale_down_delay: 0s, scale_to_zero_after: 10s}\nstandby: true\n"

func (m *testMachine) deployHoard(t *testing.T, name string, megabytes int, config string) {
	t.Helper()
	m.WriteFile(t, "/srv/hoard/jcloud.yml", hoardConfig+config)
	m.WriteFile(t, "/srv/hoard/variables", fmt.Sprintf("HOARD=%d\n", megabytes))
	m.MustRunIn(t, "/srv/hoard", "fnctl", "deploy", "--name", name, "--env", "variables")
}

func (m *testMachine) hoard(t *testing.T, name, path, want string) {
	t.Helper()
	if got := m.mustGet(t, "http://"+name+".localhost:8080"+path); got.body != want {
		t.Errorf("%s%s: got %q, want %q", name, path, got.body, want)
	}
}

// sleepThree has three functions of 90 MB asleep.
func (m *testMachine) sleepThree(t *testing.T) {
	t.Helper()
	for _, name := range []string{"one", "two", "three"} {
		m.hoard(t, name, "/", "here")
	}
	for _, name := range []string{"one", "two", "three"} {
		eventually(t, emulatedWait, name+" has an instance in standby", func() bool { return m.status(t, name).states() == "armed standby" })
	}
}

// emulatedWait is for what takes seconds elsewhere.
const emulatedWait = 5 * time.Minute

// fetchSeldom leaves an emulated machine time for others.
func fetchSeldom(ctx context.Context, client *http.Client, url string) (answer, error) {
	defer time.Sleep(time.Second)
	return fetchOnce(ctx, client, url)
}

func (m *testMachine) oomKills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(m.MustRun(t, "sed", "-n", "s/^oom_kill //p", "/proc/vmstat")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pressure is for how long processes have waited for memory, since the boot.
func (m *testMachine) pressure(t *testing.T) time.Duration {
	t.Helper()
	total := m.MustRun(t, "sed", "-n", "s/^some .*total=//p", "/proc/pressure/memory")
	n, err := strconv.Atoi(strings.TrimSpace(total))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Microsecond
}

func (m *testMachine) kswapd(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(m.MustRun(t, "sed", "-n", "s/^pgscan_kswapd //p", "/proc/vmstat")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// thrash has processes read a large file over and over, in a unit with some properties, until stop is called.
func (m *testMachine) thrash(t *testing.T, megabytes, readers int, properties ...string) (stop func()) {
	t.Helper()
	m.MustRun(t, "sh", "-c", fmt.Sprintf("rm -f /var/tmp/large; truncate -s %dM /var/tmp/large", megabytes)) // holes: nobody waits for the disk
	args := []string{"--unit=thrash", "--collect", "--quiet"}
	for _, property := range properties {
		args = append(args, "--property="+property)
	}
	script := fmt.Sprintf("for i in $(seq %d); do while :; do cat /var/tmp/large >/dev/null; done & done; wait", readers)
	m.MustRun(t, "systemd-run", append(args, "sh", "-c", script)...)
	return func() { m.MustRun(t, "systemctl", "stop", "thrash") }
}

// Processes that wait for memory at a limit of their own are no reason to evict: that would be no help.
func testOwnLimit(t *testing.T, m *testMachine) {
	m.sleepThree(t)
	evicted := m.evictions(t, "pressure", "memory", "budget", "start")
	defer m.thrash(t, 256, 1, "MemoryMax=16M", "Slice=fn-thrash.slice")()
	m.MustRun(t, "truncate", "-s", "200G", "/var/tmp/huge")
	m.MustRun(t, "systemd-run", "--unit=stream", "--collect", "--quiet", "-p", "StandardOutput=null", "cat", "/var/tmp/huge") // kswapd has to do
	defer m.MustRun(t, "systemctl", "stop", "stream")
	searched := m.kswapd(t)
	eventually(t, emulatedWait, "kswapd has searched", func() bool { return m.kswapd(t) > searched })
	waited := m.pressure(t)
	eventually(t, emulatedWait, "processes have waited for memory", func() bool { return m.pressure(t)-waited > 3*time.Second })
	if now := m.evictions(t, "pressure", "memory", "budget", "start"); now != evicted {
		t.Errorf("%v were evicted", now-evicted)
	}
}

var _, _ = testOwnLimit, testSliceLimit

// What all functions together may have is less than what the machine has, and one of them needs what sleeps has.
func testSliceLimit(t *testing.T, m *testMachine) {
	m.sleepThree(t)
	evicted := m.evictions(t, "pressure", "memory", "start")
	m.MustRun(t, "systemctl", "set-property", "--runtime", "fn.slice", "MemoryMax=480M")
	defer m.MustRun(t, "systemctl", "set-property", "--runtime", "fn.slice", "MemoryMax=90%")
	m.hoard(t, "greedy", "/take/150", "taken")
	if now := m.evictions(t, "pressure", "memory", "start"); now == evicted {
		t.Error("nothing was evicted")
	}
	t.Log(m.MustRun(t, "sh", "-c", "cat /sys/fs/cgroup/fn.slice/memory.events.local; cat /sys/fs/cgroup/fn.slice/memory.peak 2>/dev/null; fnctl events one; fnctl events two"))
	m.MustRun(t, "fnctl", "restart", "greedy")
}

// A process takes what is free, and more: what sleeps gives way, and it is not killed.
func testFullMachine(t *testing.T, m *testMachine) {
	m.sleepThree(t)
	evicted := m.evictions(t, "pressure", "memory")
	const fill = `import time
free = next(int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith("MemAvailable")) >> 10
taken = []
for _ in range((free + 100) // 5):
    taken.append(bytearray(b"x" * (5 << 20)))
    time.sleep(0.2)
print("taken", len(taken) * 5, "of", free)`
	t.Log(m.MustRun(t, "choom", "-n", "1000", "--", "python3", "-c", fill))
	if now := m.evictions(t, "pressure", "memory"); now == evicted {
		t.Error("nothing was evicted")
	} else {
		t.Logf("%v evicted, %v of these for pressure", now-evicted, m.evictions(t, "pressure"))
	}
}

// Files that are read all the time are memory that is available, as the kernel counts, and yet none that is free: only the kernel can tell.
func testHotCache(t *testing.T, m *testMachine) {
	m.sleepThree(t)
	evicted := m.evictions(t, "pressure")
	stop := m.thrash(t, 1400, 4)
	defer stop()
	eventually(t, emulatedWait, "something was evicted", func() bool { return m.evictions(t, "pressure") > evicted })
	if events := m.MustRun(t, "sh", "-c", "fnctl events one; fnctl events two; fnctl events three"); !strings.Contains(events, "pressure") {
		t.Errorf("the events do not tell:\n%s", events)
	}
}

// What sleeps goes to swap before it would have to be evicted, and comes back as it was.
func testStandbySwap(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "modprobe zram && echo 600M >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0")
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", "standby: {memory: 35%}\n")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator")
	m.sleepThree(t)
	evicted := m.evictions(t, "pressure", "memory", "budget", "start")
	var before float64
	eventually(t, emulatedWait, "all three count", func() bool {
		before = m.activatorMetric(t, "fnctl_activator_standby_bytes") + m.activatorMetric(t, "fnctl_activator_standby_swapped_bytes")
		return before > 250<<20
	})
	eventually(t, emulatedWait, "something has gone to swap", func() bool {
		return m.activatorMetric(t, "fnctl_activator_standby_swapped_bytes") > 60<<20
	})
	after, swapped := m.activatorMetric(t, "fnctl_activator_standby_bytes"), m.activatorMetric(t, "fnctl_activator_standby_swapped_bytes")
	t.Logf("%.0f MB in standby, then %.0f and %.0f in swap", before/1e6, after/1e6, swapped/1e6)
	if after > before-60<<20 {
		t.Error("what is in swap counts as memory")
	}
	var name string
	for _, n := range []string{"one", "two", "three"} {
		if text := m.MustRun(t, "fnctl", "status", n); strings.Contains(text, "in swap)") {
			name = n
			t.Log(text)
		}
	}
	if name == "" {
		t.Fatal("fnctl status does not tell")
	}
	asleep, pid := m.waitAsleep(t, name)
	if most := m.MustRun(t, "cat", m.cgroup(t, asleep)+"/memory.swap.max"); most != "0\n" {
		t.Errorf("swap of %q is allowed", most)
	}
	// An emulated machine may be slower than the gateway waits, so that another instance answers, too.
	eventually(t, emulatedWait, "it has read all of its memory", func() bool {
		got := m.mustGet(t, "http://"+name+".localhost:8080/sum")
		t.Logf("%s, %v, cold start: %q", got.body, got.took, got.header.Get("Fnctl-Cold-Start"))
		left, err := strconv.Atoi(strings.TrimSpace(m.MustRun(t, "cat", m.cgroup(t, asleep)+"/memory.swap.current")))
		return got.body == "same" && err == nil && left < 10<<20
	})
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
	eventually(t, emulatedWait, "it is known that it is not in swap any more", func() bool {
		return m.activatorMetric(t, "fnctl_activator_standby_swapped_bytes") < swapped
	})
	if now := m.evictions(t, "pressure", "memory", "budget", "start"); now != evicted {
		t.Errorf("%v were evicted", now-evicted)
	}
}
