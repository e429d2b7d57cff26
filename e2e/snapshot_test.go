//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	snapURL       = "http://snap.localhost:8080/"
	snapRevisions = "/var/lib/fnctl/functions/snap/revisions"
)

// What of an app's directory is deployed, and how it is kept.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	t.Run("ignore files", func(t *testing.T) { testIgnoreFiles(t, m) })
	t.Run("app ignored", func(t *testing.T) { testAppIgnored(t, m) })
	t.Run("data ignored", func(t *testing.T) { testDataIgnored(t, m) })
	t.Run("shared", func(t *testing.T) { testSnapshotShared(t, m) })
	t.Run("refused", func(t *testing.T) { testSnapshotRefused(t, m) })
	t.Run("disk use", func(t *testing.T) { testDiskUse(t, m) })
	t.Run("interrupted", func(t *testing.T) { testSnapshotInterrupted(t, m) })
	t.Run("changes meanwhile", func(t *testing.T) { testSnapshotChanges(t, m) })
}

// snap deploys /srv/snap, and returns what the deploy says of itself.
func (m *testMachine) snap(t *testing.T, args ...string) string {
	t.Helper()
	return m.MustRunIn(t, "/srv/snap", "sh", "-c", "fnctl deploy main:app "+strings.Join(args, " ")+" 2>&1")
}

// deployedFiles are those that only commands make and remove; instances of an old revision may go at any time.
func (m *testMachine) deployedFiles(t *testing.T) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", "find /var/lib/fnctl /etc/systemd/system | sort")
}

func (m *testMachine) snapFails(t *testing.T, dir string, want ...string) {
	t.Helper()
	before := m.deployedFiles(t)
	out := m.MustFail(t, 1, "env", "--chdir="+dir, "fnctl", "deploy", "main:app")
	for _, text := range want {
		if !strings.Contains(out.Stderr, text) {
			t.Errorf("the error doesn't say %q:\n%s", text, out.Stderr)
		}
	}
	if after := m.deployedFiles(t); after != before {
		t.Errorf("it leaves something behind:\n%s\nbefore:\n%s", after, before)
	}
}

func testIgnoreFiles(t *testing.T, m *testMachine) {
	for name, text := range map[string]string{
		"jcloud.yml": versionsConf, "main.py": fmt.Sprintf(versionsApp, 1), "data.txt": "data\n", "debug.log": "x", "keep.log": "x",
		"node_modules/lib/index.js": "x", "dist/app.js": "x", "sub/tmp/x": "x", "sub/y": "y", ".venv/pyvenv.cfg": "", ".git/config": "",
		".gitignore": "node_modules/\n/dist\n*.log\n!keep.log\n", "sub/.gitignore": "tmp/\n", ".fnctlignore": "!node_modules/\n",
	} {
		m.WriteFile(t, "/srv/snap/"+name, text)
	}
	out := m.snap(t, "--verbose")
	for _, want := range []string{"copied the app: 9 files, ", "; 3 ignored", "ignored debug.log (.gitignore:3: *.log)", "ignored sub/tmp (sub/.gitignore:1: tmp/)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the deploy doesn't say %q:\n%s", want, out)
		}
	}
	got := m.MustRun(t, "sh", "-c", "cd "+snapRevisions+"/00001/app && find . -type f ! -path '*/__pycache__/*' | LC_ALL=C sort | tr '\n' ' '")
	if want := "./.fnctlignore ./.gitignore ./data.txt ./jcloud.yml ./keep.log ./main.py ./node_modules/lib/index.js ./sub/.gitignore ./sub/y "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.WriteFile(t, "/srv/snap/debug.log", "more")
	if out := m.snap(t); !strings.Contains(out, "nothing changed") {
		t.Errorf("a file that is ignored makes a revision:\n%s", out)
	}
}

func testAppIgnored(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/snap/.fnctlignore", "!node_modules/\n/main.*\n")
	m.snapFails(t, "/srv/snap", "main.py is not deployed: it is ignored by .fnctlignore:2: /main.*", "fnctl: hint: ")
	m.WriteFile(t, "/srv/snap/.fnctlignore", "!node_modules/\n")
}

// What did not change is one file in both revisions; what an instance writes is its own.
func testSnapshotShared(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/snap/main.py", fmt.Sprintf(versionsApp, 2))
	m.MustRun(t, "touch", "/srv/snap/data.txt")
	if out := m.snap(t); !strings.Contains(out, "copied the app: 9 files, ") || !strings.Contains(out, ", 8 unchanged; 3 ignored") || strings.ContainsAny(out, "█░\r") {
		t.Errorf("got %s", out)
	}
	if a := m.mustGet(t, snapURL); a.body != "v2" {
		t.Errorf("got %s, want v2", a.body)
	}
	for name, same := range map[string]bool{"data.txt": true, "sub/y": true, "main.py": false} {
		inodes := strings.Fields(m.MustRun(t, "sh", "-c", "stat -c %i "+snapRevisions+"/0000[12]/app/"+name))
		if got := inodes[0] == inodes[1]; got != same {
			t.Errorf("%s: shared %v, want %v", name, got, same)
		}
	}
	got := m.MustRun(t, "sh", "-c", "echo changed | tee /var/cache/private/fnctl/snap-00002@*/data.txt && cat "+snapRevisions+"/0000[12]/app/data.txt")
	if want := "changed\ndata\ndata\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testSnapshotRefused(t *testing.T, m *testMachine) {
	for spoil, want := range map[string]string{
		"mkfifo extra": "/srv/snap/extra is a named pipe",
		"python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"extra\")'": "/srv/snap/extra is a socket",
		"mknod extra c 1 3":                         "/srv/snap/extra is a device",
		"ln -s /etc/passwd extra":                   "the link /srv/snap/extra leads to /etc/passwd, outside of the app's directory",
		"ln -s data.txt/../../ping extra":           "", // that leads nowhere
		"ln -s .. sub/up; ln -s sub/up/../.. extra": "the link /srv/snap/extra leads to sub/up/../.., outside of the app's directory",
	} {
		m.MustRunIn(t, "/srv/snap", "sh", "-c", spoil)
		if want != "" {
			m.snapFails(t, "/srv/snap", want, "what the app doesn't need can be named in .fnctlignore")
		}
		m.MustRunIn(t, "/srv/snap", "rm", "-f", "extra", "sub/up")
	}
	m.MustRunIn(t, "/srv/snap", "sh", "-c", "mkfifo extra.log && fnctl deploy main:app && rm extra.log")
}

// The sums are those of du, which counts what is shared once, too.
func testDiskUse(t *testing.T, m *testMachine) {
	eventually(t, 30*time.Second, "only the last revision has instances", func() bool { return len(m.status(t, "snap").Revisions) == 1 })
	m.MustRun(t, "sh", "-c", "head -c 3M /dev/urandom > /var/lib/private/fnctl-data/snap/file")
	got := m.MustRun(t, "sh", "-c", `fnctl status snap -o json | tr -d ' \n' | grep -o '"disk":{[^}]*}'
		du -s -B1 /var/lib/fnctl/functions/snap/revisions | sed 's/\t.*//'
		du -c -s -B1 /var/cache/private/fnctl/snap-* | tail -n 1 | sed 's/\t.*//'
		du -s -B1 /var/lib/private/fnctl-data/snap | sed 's/\t.*//'`)
	lines := strings.Fields(got)
	want := fmt.Sprintf(`"disk":{"revisions":%s,"revisions_alone":%s,"instances":%s,"workspace":%s}`, lines[1], lines[1], lines[2], lines[3])
	if lines[0] != want {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	text := m.MustRun(t, "fnctl", "status", "snap")
	if !strings.Contains(text, "\ndisk: ") || !strings.Contains(text, " 3.1 MB in the workspace") {
		t.Errorf("got %s", text)
	}
	if text := m.MustRun(t, "setpriv", "--reuid=nobody", "--clear-groups", "fnctl", "status", "snap"); !strings.Contains(text, "disk: only root can see it") {
		t.Errorf("got %s", text)
	}
}

// An interrupt is heard while the app is copied, and nothing of the new revision stays.
func testSnapshotInterrupted(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", `mkdir -p /srv/large && cd /srv/large && cp /srv/snap/main.py /srv/snap/jcloud.yml . &&
		mkdir $(seq -f d%g 20) && for d in d*; do seq 100 | split -l 1 - $d/; done`)
	before := m.deployedFiles(t)
	stop := m.Start(t, "env", "--chdir=/srv/large", "fnctl", "deploy", "main:app")
	// In one loop, because the copy takes a fraction of a second.
	m.MustRun(t, "timeout", "30", "sh", "-c", "until [ -e /var/lib/fnctl/functions/large/revisions/.00001/app/d1 ]; do :; done")
	interrupted := time.Now()
	out := stop(syscall.SIGINT)
	t.Logf("it ended within %v:\n%s", time.Since(interrupted).Round(time.Millisecond), out)
	if !strings.Contains(out, "✗ copying the app") || !strings.Contains(out, "fnctl: error: copy the app: ") || strings.Contains(out, "remove what") {
		t.Errorf("got %s", out)
	}
	if after := m.deployedFiles(t); after != before {
		t.Errorf("it leaves something behind:\n%s\nbefore:\n%s", after, before)
	}
}

// Somebody writes there all the time: that is noticed, unless it is none of the app's.
func testSnapshotChanges(t *testing.T, m *testMachine) {
	stop := m.Start(t, "sh", "-c", "while :; do echo >> /srv/large/state.txt; done")
	defer stop(syscall.SIGKILL)
	eventually(t, 10*time.Second, "somebody writes", func() bool {
		return strings.Contains(m.MustRun(t, "ls", "/srv/large"), "state.txt")
	})
	m.snapFails(t, "/srv/large", "the app's directory changed while it was copied: state.txt", "deploy again when nothing writes there")
	m.WriteFile(t, "/srv/large/.fnctlignore", "state.txt\n")
	m.MustRun(t, "sh", "-c", "cd /srv/large && for n in 1 2 3 4; do mkdir $n && cp -r d* $n; done")
	started := time.Now()
	// On a terminal of its own, which shows a bar.
	out := m.MustRunIn(t, "/srv/large", "script", "--quiet", "--return", "--command", "fnctl deploy main:app", "/dev/null")
	t.Logf("10,000 files deployed within %v", time.Since(started).Round(time.Millisecond))
	if !strings.Contains(out, "copied the app: 10003 files, ") || !strings.Contains(out, "; 1 ignored") || !strings.Contains(out, "░ ") || !strings.Contains(out, "/10003 files, ") {
		t.Errorf("got %q", out)
	}
	started = time.Now()
	m.MustRun(t, "fnctl", "status", "large")
	t.Logf("status within %v", time.Since(started).Round(time.Millisecond))
}

// An app that answers with a 500, since a file of it is ignored, is told which rule that is; with another rule it works.
func testDataIgnored(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/store/main.py", `
async def app(scope, receive, send):
    if scope["type"] == "http":
        body = open("answer.pkl", "rb").read()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
`)
	m.WriteFile(t, "/srv/store/answer.pkl", "42")
	m.WriteFile(t, "/srv/store/.gitignore", "*.pkl\n")
	out, err := m.RunIn(t.Context(), "/srv/store", "fnctl", "deploy", "main:app")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"; 1 ignored: answer.pkl", "it answered with 500", "No such file or directory: 'answer.pkl'",
		"store-00001 answers GET / with 500 Internal Server Error: it looks for answer.pkl, which is ignored by .gitignore:1: *.pkl", `"!/answer.pkl" in .fnctlignore`} {
		if !strings.Contains(out.Stderr, want) {
			t.Errorf("the deploy doesn't say %q:\n%s", want, out.Stderr)
		}
	}
	m.WriteFile(t, "/srv/store/.fnctlignore", "!/answer.pkl\n")
	m.MustRunIn(t, "/srv/store", "fnctl", "deploy", "main:app")
	if a := m.mustGet(t, "http://store.localhost:8080/"); a.body != "42" {
		t.Errorf("got %q", a.body)
	}
	m.MustRun(t, "fnctl", "remove", "store", "--purge")
}
