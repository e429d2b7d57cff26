//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// lifeApp takes long to start while there is a file slow in its workspace, and works after its answer: for so many seconds, in some
// way. Then there is a file with the name of the way.
const lifeApp = `import asyncio, fcntl, os, threading, time

home = os.environ["JCLOUD_WORKSPACE"]
if os.path.exists(home + "/slow"):
    time.sleep(10)

def work(kind, seconds):
    end = time.monotonic() + seconds
    if kind == "compute":
        while time.monotonic() < end:
            pass
    elif kind == "lock":
        with open(os.environ["FNCTL_BUSY"], "a") as busy:
            fcntl.flock(busy, fcntl.LOCK_SH)
            time.sleep(seconds)
    else:
        time.sleep(seconds)
    open(home + "/" + kind, "w").close()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
    _, *job = scope["path"].split("/")
    if len(job) != 2:
        return
    kind, seconds = job[0], float(job[1])
    if kind == "task":  # as BackgroundTasks do it
        await asyncio.to_thread(work, kind, seconds)
    else:
        threading.Thread(target=work, args=(kind, seconds), daemon=True).start()
`

const lifeConfig = "autoscale: {min: 0, max: 1, metric: concurrency, target: 10, stable_window: 6s, scale_down_delay: 0s}\n"

// What works, or only takes its time to start, is not killed.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.MustRun(t, "mkdir", "/srv/life")
	m.WriteFile(t, "/srv/life/main.py", lifeApp)
	t.Run("slow start", func(t *testing.T) { testSlowStarter(t, m) })
	t.Run("slow copy", func(t *testing.T) { testSlowCopy(t, m) })
	var tests []func()
	for _, w := range background {
		m.deployLife(t, w.name, w.config)
		tests = append(tests, func() { t.Run(w.name, func(t *testing.T) { testBackground(t, m, w) }) })
	}
	sideBySide(t, tests...)
}

func (m *testMachine) deployLife(t *testing.T, name, config string) {
	t.Helper()
	m.WriteFile(t, "/srv/life/jcloud.yml", neverAsleep("whether its work was finished is seen when it has gone", config+lifeConfig))
	m.MustRunIn(t, "/srv/life", "fnctl", "deploy", "main:app", "--name", name)
}

// An instance that needs longer than its limit gets twice as long each time, and comes in the end. Meanwhile requests are told.
func testSlowStarter(t *testing.T, m *testMachine) {
	const name, url = "slowly", "http://slowly.localhost:8080/"
	m.deployLife(t, name, "start_timeout: 3s\n")
	m.tell(t, name, "touch", "slow")
	m.waitZero(t, name, 60*time.Second)
	told := false
	eventually(t, 90*time.Second, "it is there", func() bool {
		a, err := fetch(t.Context(), m.Client(), url)
		if err != nil {
			t.Fatal(err)
		}
		told = told || a.code == http.StatusServiceUnavailable && strings.Contains(a.body, "it has accepted nothing for 3s (start_timeout)")
		return a.code == http.StatusOK
	})
	if !told {
		t.Error("no request was told why it was refused")
	}
	replaced := 0
	for _, e := range m.events(t, name) {
		replaced += map[string]int{"replace": 1}[e.Event]
	}
	if replaced < 2 {
		t.Errorf("%d instances were replaced, want those with 3 and 6 seconds at least", replaced)
	}
	if status := m.status(t, name); status.Phase != "Serving" {
		t.Errorf("its phase is %s", status.Phase)
	}
	m.MustRun(t, "fnctl", "remove", name)
}

// An app whose copy takes longer than systemd gives a start by default is copied all the same, for each instance once.
func testSlowCopy(t *testing.T, m *testMachine) {
	const short = "/etc/systemd/system.conf.d/short.conf"
	m.WriteFile(t, short, "[Manager]\nDefaultTimeoutStartSec=1s\n")
	m.MustRun(t, "systemctl", "daemon-reexec")
	m.MustRun(t, "sh", "-c", "mkdir /srv/large && cp /srv/life/main.py /srv/large && cd /srv/large && for d in $(seq 60); do mkdir $d; (cd $d; seq 500 | xargs touch); done")
	m.WriteFile(t, "/srv/large/jcloud.yml", "autoscale: {min: 3, max: 3, metric: concurrency}\n")
	m.MustRunIn(t, "/srv/large", "fnctl", "deploy", "main:app", "--name", "large")
	m.MustRun(t, "systemctl", "stop", "fn-large-00001@3.socket", "fn-large-00001@3.service")
	eventually(t, 60*time.Second, "three are ready", func() bool { return m.status(t, "large").areReady(3) })
	if log := m.MustRun(t, "sh", "-c", "journalctl --no-pager -u 'fn-large-*.socket' | grep -c 'timed out' || true"); strings.TrimSpace(log) != "0" {
		t.Errorf("%s starts of sockets timed out", strings.TrimSpace(log))
	}
	m.MustRun(t, "fnctl", "remove", "large")
	m.MustRun(t, "rm", short)
	m.MustRun(t, "systemctl", "daemon-reexec")
}

// backgroundWork is a function that works without a request, what is done to it meanwhile, and whether the work gets to its end.
type backgroundWork struct {
	name, config, job string
	meanwhile         []string
	finished          bool
}

var background = []backgroundWork{
	{name: "computes", job: "compute/14", finished: true},
	{name: "locks", job: "lock/14", finished: true},
	{name: "paused", job: "lock/14", meanwhile: []string{"fnctl", "pause", "paused"}, finished: true},
	{name: "deployed", job: "compute/14", meanwhile: []string{"sh", "-c", "cd /srv/life && fnctl deploy main:app --name deployed --force"}, finished: true},
	{name: "restarted", job: "lock/14", meanwhile: []string{"fnctl", "restart", "restarted"}, finished: true},
	// SIGTERM comes after some seconds, and SIGKILL would after twenty more.
	{name: "stops-late", config: "background_timeout: 0\nstop_timeout: 2m\n", job: "task/40", finished: true},
	{name: "not-allowed", config: "background_timeout: 0\n", job: "lock/40"},
	{name: "too-long", config: "background_timeout: 8s\n", job: "lock/40"},
}

// testBackground starts work, waits until the instance that does it has gone, and looks whether it was finished.
func testBackground(t *testing.T, m *testMachine, w backgroundWork) {
	m.mustGet(t, "http://"+w.name+".localhost:8080/"+w.job)
	works := m.oneInstance(t, w.name)
	if w.meanwhile != nil {
		m.MustRun(t, w.meanwhile[0], w.meanwhile[1:]...)
	}
	eventually(t, 90*time.Second, works.Name+" has gone", func() bool {
		state := m.property(t, works.Unit, "ActiveState")
		return state == "inactive" || state == "failed"
	})
	kind, _, _ := strings.Cut(w.job, "/")
	out := m.MustRun(t, "sh", "-c", "test -e /var/lib/private/fnctl-data/"+w.name+"/"+kind+" && echo finished || true")
	if got := out != ""; got != w.finished {
		t.Errorf("the work was finished: %v, want %v", got, w.finished)
	}
}
