//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	moodyURL    = "http://moody.localhost:8080/"
	moodyConfig = serverless + "standby: false # it is about starts that fail\nliveness_timeout: 2s\ndrain_grace: 3s\ntimeout: 2m\n"
	// moodyTimeout is how long a request would wait that is not refused.
	moodyTimeout = 2 * time.Minute
	// moody does at its start what /etc/moody says.
	moody = `
import asyncio, gc, os, signal, socket, time
if os.path.exists("/etc/moody"):
    exec(open("/etc/moody").read())

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/shutdown":
        socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_RDWR)
    if scope["path"] == "/close":
        for server in [o for o in gc.get_objects() if isinstance(o, asyncio.AbstractServer)]:
            server.close()
    if scope["path"] == "/block":
        asyncio.get_running_loop().call_later(0.1, time.sleep, 60)
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})
`
	// stopTimeout is how long systemd waits for an app that it has asked to stop.
	stopTimeout   = 20 * time.Second
	moodyRevision = "/var/lib/fnctl/functions/moody/revisions/00001"
)

// Whatever keeps an instance from starting, requests are refused with the reason at once, and answered again once it is over;
// and whatever fails a socket, it listens again by itself.
func TestFailure(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.WriteFile(t, "/srv/moody/main.py", moody)
			m.WriteFile(t, "/srv/moody/jcloud.yml", moodyConfig)
			m.MustRunIn(t, "/srv/moody", "fnctl", "deploy", "main:app")
			t.Run("killed", func(t *testing.T) { testKilledOnce(t, m) })
			for _, f := range failures {
				t.Run(f.name, func(t *testing.T) { f.test(t, m) })
			}
			t.Run("activator restarted", func(t *testing.T) { testFailureOutlivesActivator(t, m) })
			for _, d := range damages {
				t.Run(d.name, func(t *testing.T) { d.test(t, m) })
			}
			t.Run("deaf", func(t *testing.T) { testDeaf(t, m) })
			t.Run("deaf with a stream", func(t *testing.T) { testDeafWithStream(t, m) })
			only(t, machine.Trixie, suite, "deaf in all threads", func(t *testing.T) { testDeafThreads(t, m) })
			only(t, machine.Bookworm, suite, "hot loop", func(t *testing.T) { testHotLoop(t, m) })
			t.Run("units gone", func(t *testing.T) { testUnitsGone(t, m) })
			t.Run("port taken", func(t *testing.T) { testPortTaken(t, m) })
		})
	}
}

// failure is something that keeps all instances from starting, and lasts until it is mended.
type failure struct {
	name, breaks, mends string
	// reason is in the response, and in the status. Empty: it depends on who tries first.
	reason string
}

var failures = []failure{
	{"exits well", "echo 'os._exit(0)' >/etc/moody", "rm /etc/moody", "exited with status 0"},
	{"exits", "echo 'os._exit(3)' >/etc/moody", "rm /etc/moody", "exited with status 3"},
	{"is killed", "echo 'os.kill(os.getpid(), signal.SIGKILL)' >/etc/moody", "rm /etc/moody", "was killed by SIGKILL"},
	{"no interpreter", "chmod -x /usr/bin/python3.1*", "chmod +x /usr/bin/python3.1*", "cannot be executed: status 203/EXEC"},
	{"workspace is a file", "mv /var/lib/private/fnctl-data/moody /root/; touch /var/lib/private/fnctl-data/moody",
		"rm /var/lib/private/fnctl-data/moody; mv /root/moody /var/lib/private/fnctl-data/", "cannot be executed: status 238/STATE_DIRECTORY"},
	{"variables gone", "mv " + moodyRevision + "/env /root/", "mv /root/env " + moodyRevision, "systemd cannot start it: resources"},
	{"slice masked", "ln -s /dev/null /etc/systemd/system/fn.slice; systemctl daemon-reload",
		"rm /etc/systemd/system/fn.slice; systemctl daemon-reload", ""},
	{"snapshot gone", "mv " + moodyRevision + "/app /root/", "mv /root/app " + moodyRevision, "the socket cannot be made (exit-code)"},
	{"disk full", "mount -t tmpfs -o size=16k tmpfs /var/cache/private/fnctl; dd if=/dev/zero of=/var/cache/private/fnctl/x 2>/dev/null || true",
		"umount -l /var/cache/private/fnctl", "the socket cannot be made (exit-code)"},
	{"group gone", "groupmod -n other fnctl-gateway", "groupmod -n fnctl-gateway other", "the socket cannot be made (exit-code)"},
}

func (f failure) test(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", f.breaks)
	mended := false
	mend := func() { mended = true; m.MustRun(t, "sh", "-c", f.mends) }
	defer func() {
		if !mended {
			mend()
		}
	}()
	m.stopMoody(t)
	took := m.mustRefuse(t, f.reason)
	s := m.status(t, "moody")
	if s.Phase != "Failed" || s.Revisions[0].Failure == nil || !strings.Contains(s.Revisions[0].Failure.Reason, f.reason) {
		t.Errorf("the status has phase %s, failure %+v", s.Phase, s.Revisions[0].Failure)
	}
	if text := m.MustRun(t, "fnctl", "status", "moody"); !strings.Contains(text, "cannot start") || !strings.Contains(text, "fnctl logs moody") {
		t.Errorf("the status doesn't say so:\n%s", text)
	}
	mend()
	began := time.Now()
	m.waitAnswer(t, 35*time.Second)
	t.Logf("refused after %v, answered %v after it was mended", took, time.Since(began).Round(time.Millisecond))
	m.waitNoFailure(t)
}

// stopMoody ends all instances, and with them the sockets, by hand.
func (m *testMachine) stopMoody(t *testing.T) {
	t.Helper()
	// An activator that runs starts one of them meanwhile, and so cancels that it stops.
	m.MustRun(t, "sh", "-c", `systemctl kill --signal=STOP fnctl-activator.service
		systemctl stop 'fn-moody-*@*.socket' 'fn-moody-*@*.service'; stopped=$?
		systemctl kill --signal=CONT fnctl-activator.service; exit $stopped`)
}

// mustRefuse expects that requests are refused long before their time is over, and for a reason. That may be another one at
// first: an instance that was about to start has been stopped.
func (m *testMachine) mustRefuse(t *testing.T, reason string) (took time.Duration) {
	t.Helper()
	client := m.Client()
	defer client.CloseIdleConnections()
	eventually(t, 5*time.Second, "a request is refused: "+reason, func() bool {
		a, err := fetch(t.Context(), client, moodyURL)
		if err != nil || a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "fnctl logs moody") || a.took > moodyTimeout/4 {
			t.Fatalf("got %d %q, %v after %v, want 503 and where to look, long before the time of a request is over", a.code, a.body, err, a.took)
		}
		took = max(took, a.took)
		return strings.Contains(a.body, reason)
	})
	return took.Round(time.Millisecond)
}

// waitAnswer waits until requests are answered. Until then they are refused, not lost.
func (m *testMachine) waitAnswer(t *testing.T, within time.Duration) {
	t.Helper()
	client := m.Client()
	defer client.CloseIdleConnections()
	eventually(t, within, "a request is answered", func() bool {
		a, err := fetch(t.Context(), client, moodyURL)
		if err != nil || a.code != http.StatusOK && a.code != http.StatusServiceUnavailable {
			t.Errorf("got %d %q, %v", a.code, a.body, err)
		}
		return a.code == http.StatusOK
	})
}

func (m *testMachine) waitNoFailure(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Second, "nothing speaks of a failure any more", func() bool {
		return m.MustRun(t, "ls", "/run/fnctl/failures") == "" && m.status(t, "moody").Phase == "Serving"
	})
}

// One that was ready and is killed is no failure: the next request waits for its restart.
func testKilledOnce(t *testing.T, m *testMachine) {
	for range 3 {
		m.mustGet(t, moodyURL)
		m.MustRun(t, "systemctl", "kill", "--signal=KILL", "fn-moody-*@*.service")
		m.mustGet(t, moodyURL)
	}
	if events := m.events(t, "moody"); slices.ContainsFunc(events, func(e event) bool { return strings.Contains(e.Why, "cannot start") }) {
		t.Errorf("there is an event of a failure: %+v", events)
	}
}

// What an activator says is true after it: the next one takes it over, and takes it back.
func testFailureOutlivesActivator(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "echo 'os._exit(0)' >/etc/moody")
	m.stopMoody(t)
	m.mustRefuse(t, "exited with status 0")
	m.MustRun(t, "systemctl", "kill", "--signal=KILL", "fnctl-activator.service")
	m.mustRefuse(t, "exited with status 0")
	m.MustRun(t, "sh", "-c", "rm /etc/moody; cp /run/fnctl/failures/moody-00001.json /run/fnctl/failures/gone-00001.json")
	m.MustRun(t, "systemctl", "restart", "fnctl-activator.service")
	m.waitAnswer(t, 35*time.Second)
	m.waitNoFailure(t)
	for _, want := range []string{"fail", "recover"} {
		if !slices.ContainsFunc(m.events(t, "moody"), func(e event) bool { return e.Event == want && e.Revision == "moody-00001" && e.Instance == "" }) {
			t.Errorf("there is no event %q of the revision", want)
		}
	}
}

// damage is something that takes one instance, or its socket, away for good. Another takes its place.
type damage struct {
	name string
	// does has the name of the instance as $1.
	does string
	// undoes puts the machine in order again.
	undoes string
	within time.Duration
	// refuses reports that requests may be refused meanwhile: the instance was tried once more, and came to nothing.
	refuses bool
}

var damages = []damage{
	{"socket stopped", "systemctl stop fn-$1.socket fn-$1.service", "", 5 * time.Second, false},
	{"socket disabled", "systemctl disable --now fn-$1.socket 2>/dev/null; systemctl stop fn-$1.service", "", 5 * time.Second, false},
	{"socket masked", "systemctl stop fn-$1.socket fn-$1.service; systemctl mask --now fn-$1.socket 2>/dev/null",
		"rm -f /etc/systemd/system/fn-moody-00001@?.socket; systemctl daemon-reload", 5 * time.Second, false},
	{"service masked", "systemctl mask --now fn-$1.service 2>/dev/null",
		"rm -f /etc/systemd/system/fn-moody-00001@?.service; systemctl daemon-reload", 10 * time.Second, true},
	{"socket's file removed", "rm /run/fnctl/instances/$1.sock; systemctl kill --signal=KILL fn-$1.service", "", 5 * time.Second, false},
	{"sockets' directory removed", "rm -r /run/fnctl/instances; systemctl kill --signal=KILL fn-$1.service", "", 5 * time.Second, false},
	{"directory in the way", "n=1; [ $1 != moody-00001@1 ] || n=2; mkdir /run/fnctl/instances/moody-00001@$n.sock; systemctl stop fn-$1.socket fn-$1.service",
		"rmdir /run/fnctl/instances/*.sock 2>/dev/null || true", 10 * time.Second, true},
	{"copy of the app is a file", "d=/var/cache/private/fnctl/$1; rm -r $d; touch $d; systemctl kill --signal=KILL fn-$1.service", "", 10 * time.Second, false},
	{"socket shut down", "curl -s -o /dev/null http://moody.localhost:8080/shutdown; sleep 1.2", "", 10 * time.Second, false},
	{"socket shut down, then killed", "curl -s -o /dev/null http://moody.localhost:8080/shutdown; systemctl kill --signal=KILL fn-$1.service", "", 5 * time.Second, false},
	{"socket closed", "curl -s -o /dev/null http://moody.localhost:8080/close; sleep 1.2", "", 15 * time.Second, false},
	{"copying killed", "systemctl stop fn-$1.socket fn-$1.service; for i in $(seq 50); do pkill -KILL -x cp && break; sleep 0.01; done", "", 5 * time.Second, false},
}

func (d damage) test(t *testing.T, m *testMachine) {
	m.waitAnswer(t, 35*time.Second)
	var name string
	eventually(t, 10*time.Second, "one instance is ready", func() bool {
		for _, i := range m.status(t, "moody").Revisions[0].Instances {
			if i.State == "ready" {
				name = i.Name
			}
		}
		return name != ""
	})
	began := time.Now()
	m.MustRun(t, "sh", "-c", d.does, "sh", name)
	ctx, cancel := context.WithTimeout(t.Context(), d.within+slack)
	defer cancel()
	client := m.Client()
	defer client.CloseIdleConnections()
	a, err := fetch(ctx, client, moodyURL)
	for d.refuses && err == nil && a.code == http.StatusServiceUnavailable {
		time.Sleep(20 * time.Millisecond)
		a, err = fetch(ctx, client, moodyURL)
	}
	if err != nil || a.code != http.StatusOK {
		t.Errorf("got %d %q, %v within %v, want 200", a.code, a.body, err, d.within)
	}
	t.Logf("answered after %v", time.Since(began).Round(time.Millisecond))
	if d.undoes != "" {
		m.MustRun(t, "sh", "-c", d.undoes)
	}
	m.waitNoFailure(t)
}

// What systemd cannot even begin to start is not tried hundreds of times a second.
func testHotLoop(t *testing.T, m *testMachine) {
	m.MustRun(t, "mv", moodyRevision+"/env", "/root/")
	m.stopMoody(t)
	const lines = "journalctl _PID=1 --output=cat | grep -c 'Failed to load environment files' || true"
	var before, after int
	fmt.Sscan(m.MustRun(t, "sh", "-c", lines), &before)
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		m.mustRefuse(t, "resources")
	}
	fmt.Sscan(m.MustRun(t, "sh", "-c", lines), &after)
	m.MustRun(t, "mv", "/root/env", moodyRevision)
	if after-before > 250 { // two lines for each start
		t.Errorf("%d lines in 3 s", after-before)
	}
	t.Logf("%d lines", after-before)
	m.waitAnswer(t, 35*time.Second)
}

// Without its units a function is refused, and the next deploy makes it good.
func testUnitsGone(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "rm /etc/systemd/system/fn-moody-00001@.service; systemctl daemon-reload; systemctl stop 'fn-moody-*@*.socket' 'fn-moody-*@*.service'")
	m.mustRefuse(t, "is not-found")
	m.MustRunIn(t, "/srv/moody", "fnctl", "deploy", "main:app")
	m.mustGet(t, moodyURL)
	m.waitNoFailure(t)
}

// A gateway whose port was taken listens once it is free.
func testPortTaken(t *testing.T, m *testMachine) {
	m.MustRun(t, "systemctl", "stop", "fnctl-gateway.socket", "fnctl-gateway.service")
	m.MustRun(t, "systemd-run", "--quiet", "--unit=thief", "--property=Type=exec", "python3", "-m", "http.server", "--bind", "127.0.0.1", "8080")
	eventually(t, 10*time.Second, "another program has the port", func() bool {
		out, _ := m.Run(t.Context(), "curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8080/")
		return out.Code == 0
	})
	m.MustFail(t, 1, "systemctl", "start", "fnctl-gateway.socket")
	m.MustRun(t, "systemctl", "stop", "thief")
	eventually(t, 10*time.Second, "the gateway answers", func() bool {
		a, err := fetch(t.Context(), m.Client(), moodyURL)
		return err == nil && a.code == http.StatusOK
	})
}
