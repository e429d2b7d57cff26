//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// What sleeps may be any program: it wakes as it was. Whatever ends it in its sleep stops nobody, and the next request finds another one.
func TestStandbyApps(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			for name, config := range counters {
				m.deployCounter(t, name, config)
			}
			t.Run("languages", func(t *testing.T) { testCountsOn(t, m) })
			sideBySide(t,
				func() { t.Run("killed by the kernel", func(t *testing.T) { testKernelKillsAsleep(t, m) }) },
				func() { t.Run("without its workers", func(t *testing.T) { testMainKilledAsleep(t, m) }) },
				func() { t.Run("a timer", func(t *testing.T) { testTimerSleeps(t, m) }) },
				func() { t.Run("work", func(t *testing.T) { testWorkIsDoneFirst(t, m) }) },
			)
		})
	}
}

// counters are functions of the sample counter, which counts in the memory of each of its processes.
var counters = map[string]string{
	"go":       "command: [./counter]\n",
	"node":     "command: [node, server.js]\nruntime: socket\n",
	"port":     "command: [node, server.js]\nruntime: port\n",
	"uvicorn":  "app: main:app\nworkers: 2\n",
	"gunicorn": "app: wsgi:app\nruntime: gunicorn\nworkers: 2\n",
	"forks":    "command: [gunicorn, --workers, '2', --timeout, '0', 'wsgi:app']\nruntime: socket\n",
}

func (m *testMachine) deployCounter(t *testing.T, name, config string) {
	t.Helper()
	dir := "/srv/" + name
	m.CopyIn(t, function("counter"), dir)
	m.build(t, "counter", dir+"/counter")
	m.WriteFile(t, dir+"/jcloud.yml", config+"standby: 1\n"+sleepy)
	m.MustRunIn(t, dir, "fnctl", "deploy")
}

func urlOf(name string) string { return "http://" + name + ".localhost:8080/" }

// counted is what a counter answers.
type counted struct{ PID, Count int }

func countedBy(t *testing.T, a answer) (got counted) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return got
}

// wakesCounter waits until a counter sleeps, asks it, and expects that all of its processes are there still. On a busy machine another
// instance may have been started, and answer, before it has read; TestStandby has how soon that is.
func (m *testMachine) wakesCounter(t *testing.T, name string) (got counted, woken bool) {
	t.Helper()
	asleep, _ := m.waitAsleep(t, name)
	a := m.mustGet(t, urlOf(name))
	got = countedBy(t, a)
	woken = slices.Contains(asleep.PIDs, got.PID)
	now := m.status(t, name).instanceOf(asleep.Unit)
	if !slices.Equal(now.PIDs, asleep.PIDs) || !woken && a.header.Get("Fnctl-Cold-Start") == "" {
		t.Errorf("%s: the processes were %v, and are %v; %d has answered", name, asleep.PIDs, now.PIDs, got.PID)
	}
	return got, woken
}

// testCountsOn: each process goes on where it was, and no other one takes its place.
func testCountsOn(t *testing.T, m *testMachine) {
	counts := map[int]int{} // of each process that has answered
	woken := map[string]int{}
	for range 3 {
		for name := range counters {
			got, woke := m.wakesCounter(t, name)
			if last, known := counts[got.PID]; known && got.Count != last+1 {
				t.Errorf("%s: process %d counts %d after %d", name, got.PID, got.Count, last)
			}
			counts[got.PID] = got.Count
			if woke {
				woken[name]++
			}
		}
	}
	if len(woken) != len(counters) {
		t.Errorf("of %d only %v have ever been woken in time", len(counters), woken)
	}
}

// testKernelKillsAsleep: the kernel kills all processes of an instance in its sleep, as when their memory runs out.
func testKernelKillsAsleep(t *testing.T, m *testMachine) {
	for _, name := range []string{"go", "port", "uvicorn"} {
		asleep, _ := m.waitAsleep(t, name)
		m.MustRun(t, "sh", "-c", "echo 1 >"+m.cgroup(t, asleep)+"/app/cgroup.kill")
		m.startsAnew(t, name, asleep)
	}
}

// testMainKilledAsleep: what is left of an instance whose main process was killed sleeps on, and cannot end by itself.
func testMainKilledAsleep(t *testing.T, m *testMachine) {
	for _, name := range []string{"gunicorn", "forks"} {
		asleep, pid := m.waitAsleep(t, name)
		m.MustRun(t, "kill", "-9", pid)
		m.startsAnew(t, name, asleep)
	}
}

// startsAnew expects that the next request is answered by another instance than the one that was killed in its sleep, that nothing is left of
// that, and that the other one can sleep, too. PID 1 never hangs.
func (m *testMachine) startsAnew(t *testing.T, name string, killed instance) {
	t.Helper()
	m.mustManage(t)
	a := m.mustGet(t, urlOf(name))
	if a.header.Get("Fnctl-Cold-Start") == "" || slices.Contains(killed.PIDs, countedBy(t, a).PID) {
		t.Errorf("%s: killed were %v, and %s is of a cold start: %q", name, killed.PIDs, a.body, a.header.Get("Fnctl-Cold-Start"))
	}
	m.mustManage(t)
	eventually(t, 10*time.Second, name+": all processes that were killed are gone", func() bool {
		return !slices.ContainsFunc(killed.PIDs, func(pid int) bool {
			_, err := m.Run(t.Context(), "test", "-e", fmt.Sprintf("/proc/%d", pid))
			return err == nil
		})
	})
	m.mustManage(t)
	m.wakesCounter(t, name)
}

// mustManage expects that PID 1 starts something, and sees it end.
func (m *testMachine) mustManage(t *testing.T) {
	t.Helper()
	const unit = "/run/systemd/system/managed.service"
	m.MustRun(t, "sh", "-c", "[ -e "+unit+" ] || printf '[Service]\nType=oneshot\nExecStart=true\n' >"+unit)
	m.MustRun(t, "timeout", "10", "systemctl", "start", "managed")
}

// timerApp has a thread that does something ten times a second: it counts that, and the longest time between two.
const timerApp = `import json, os, threading, time

ticks, longest = 0, 0.0

def tick():
    global ticks, longest
    last = time.monotonic()
    while True:
        time.sleep(0.1)
        now = time.monotonic()
        ticks, longest, last = ticks + 1, max(longest, now - last), now
        with open(os.environ["JCLOUD_WORKSPACE"] + "/ticks", "w") as file:
            file.write(str(ticks))

threading.Thread(target=tick, daemon=True).start()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"ticks": ticks, "longest": longest}).encode()})
`

// testTimerSleeps: a timer keeps no instance awake. It stands still in its sleep, sees how long that was, and goes on.
func testTimerSleeps(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/timer/main.py", timerApp)
	m.WriteFile(t, "/srv/timer/jcloud.yml", sleepy)
	m.MustRunIn(t, "/srv/timer", "fnctl", "deploy", "main:app")
	asleep, pid := m.waitAsleep(t, "timer")
	ticks := func() string { return m.MustRun(t, "cat", "/var/lib/private/fnctl-data/timer/ticks") }
	const sleep = 2 * time.Second
	before := ticks()
	time.Sleep(sleep)
	if after := ticks(); after != before {
		t.Errorf("it has ticked in its sleep: %s, and %s before", after, before)
	}
	var got struct {
		Ticks   int
		Longest float64
	}
	a := m.mustGet(t, urlOf("timer"))
	if now := m.mainPID(t, asleep.Unit); now != pid {
		t.Errorf("process %s has taken the place of %s", now, pid)
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "it ticks on", func() bool { now, _ := strconv.Atoi(ticks()); return now > got.Ticks+5 })
	// Its answer may have come before the first tick.
	a = m.mustGet(t, urlOf("timer"))
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Longest < sleep.Seconds() {
		t.Errorf("after %v of sleep it says %s, %v", sleep, a.body, err)
	}
}

// testWorkIsDoneFirst: what works after its answer is not frozen before it has finished.
func testWorkIsDoneFirst(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/diligent/main.py", lifeApp)
	m.WriteFile(t, "/srv/diligent/jcloud.yml", sleepy)
	m.MustRunIn(t, "/srv/diligent", "fnctl", "deploy", "main:app")
	for _, kind := range []string{"lock", "compute"} {
		m.mustGet(t, urlOf("diligent")+kind+"/8")
		m.waitAsleep(t, "diligent")
		m.MustRun(t, "test", "-e", "/var/lib/private/fnctl-data/diligent/"+kind)
	}
}
