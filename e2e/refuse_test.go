//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// What cannot be deployed is refused with a reason, and leaves everything as it was.
func TestRefuse(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	t.Run("broken apps", func(t *testing.T) { testBrokenApps(t, m) })
	t.Run("names", func(t *testing.T) { testNames(t, m) })
	t.Run("usage", func(t *testing.T) { testUsage(t, m) })
	t.Run("unprivileged", func(t *testing.T) { testUnprivileged(t, m) })
	t.Run("two at once", func(t *testing.T) { testTwoAtOnce(t, m) })
	t.Run("a broken update", func(t *testing.T) { testBrokenUpdate(t, m) })
}

// footprint is everything on the machine that a deploy could leave behind.
func footprint(t *testing.T, m *testMachine) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", `systemctl list-units --all --plain --no-legend 'fn-*' | sed 's/ .*//'
		find /etc/systemd/system /var/lib/fnctl /var/lib/private /var/cache/fnctl /var/cache/private /run/fnctl/instances | sort`)
}

func testBrokenApps(t *testing.T, m *testMachine) {
	// systemd makes the parents of its directories once and for all.
	m.deploy(t, "ping", serverless, "main:app")
	m.MustRun(t, "fnctl", "remove", "ping", "--purge")
	before := footprint(t, m)
	for name, want := range map[string]string{
		"import-error":   "No module named",
		"missing-module": "module \"main\" not found",
		"exits-at-once":  "it ended at once with exit status 0",
		"never-answers":  "it did not answer a request within",
	} {
		dir := "/srv/" + name
		m.CopyIn(t, function("broken/"+name), dir)
		out := m.MustFail(t, 1, "env", "--chdir="+dir, "fnctl", "deploy", "main:app")
		if !strings.Contains(out.Stderr, want) || !strings.Contains(out.Stderr, "fnctl: error: ") {
			t.Errorf("%s: the error doesn't say %q:\n%s", name, want, out.Stderr)
		}
		if after := footprint(t, m); after != before {
			t.Errorf("%s leaves something behind:\n%s\nbefore:\n%s", name, after, before)
		}
	}
}

func testNames(t *testing.T, m *testMachine) {
	before := footprint(t, m)
	for _, name := range []string{"", strings.Repeat("a", 64), "../x", "a.b", "Ping", "pîng", "ping-00001", "a\nb", "%i", "$(id)"} {
		out := m.MustFail(t, 1, "env", "--chdir=/srv/ping", "fnctl", "deploy", "main:app", "--name", name)
		if !strings.HasPrefix(out.Stderr, "fnctl: error: invalid function name") || strings.Count(out.Stderr, "\n") > 2 {
			t.Errorf("%q: got %q", name, out.Stderr)
		}
	}
	// Directories of one name are not one app.
	m.deploy(t, "ping", serverless, "main:app")
	m.MustRun(t, "sh", "-c", "mkdir -p /srv/other; cp -r /srv/ping /srv/other/")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/other/ping", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "ping is deployed from /srv/ping, and this is /srv/other/ping") || !strings.Contains(out.Stderr, "--name ping") {
		t.Errorf("another app of that name: %s", out.Stderr)
	}
	m.MustRunIn(t, "/srv/other/ping", "fnctl", "deploy", "main:app", "--name", "ping")
	m.MustRun(t, "fnctl", "remove", "ping", "--purge")
	if after := footprint(t, m); after != before {
		t.Errorf("refused names leave something behind:\n%s", after)
	}
}

func testUsage(t *testing.T, m *testMachine) {
	for _, args := range []string{"deploy", "nonsense", "status", "status a b", "deploy main:app --bogus", "deploy a:b:c", "list -o xml", "completion tcsh"} {
		out := m.MustFail(t, 2, "env", append([]string{"--chdir=/srv/ping", "fnctl"}, strings.Fields(args)...)...)
		if !strings.HasPrefix(out.Stderr, "fnctl: error: ") {
			t.Errorf("fnctl %s: got %q", args, out.Stderr)
		}
	}
	m.WriteFile(t, "/srv/bad/jcloud.yml", "instance: C9\nautoscal: {min: 1}\nautoscale: {min: x}\n")
	out := m.MustFail(t, 1, "fnctl", "validate", "/srv/bad/jcloud.yml")
	for _, want := range []string{":1:1: instance: ", ":2:1: autoscal: ", ":3:13: autoscale.min: "} {
		if !strings.Contains(out.Stderr, want) {
			t.Errorf("validate doesn't say %q:\n%s", want, out.Stderr)
		}
	}
}

func testUnprivileged(t *testing.T, m *testMachine) {
	out := m.MustFail(t, 1, "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "--chdir=/srv/ping", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "needs root") || !strings.Contains(out.Stderr, "hint: run it with sudo") {
		t.Errorf("got %q", out.Stderr)
	}
	m.MustRun(t, "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "--chdir=/srv/ping", "fnctl", "deploy", "main:app", "--dry-run")
}

// Two deploys of one name happen one after the other, and the later one serves.
func testTwoAtOnce(t *testing.T, m *testMachine) {
	out := m.MustRunIn(t, "/srv/ping", "sh", "-c", `
		fnctl deploy main:app --force >/tmp/a 2>&1 & first=$!
		fnctl deploy main:app --force >/tmp/b 2>&1 & second=$!
		wait $first; ended=$?
		wait $second || ended=$?
		cat /tmp/a /tmp/b
		exit $ended`)
	if !strings.Contains(out, "waiting for another command that is changing ping") {
		t.Errorf("neither waited:\n%s", out)
	}
	s := m.status(t, "ping")
	last := s.Revisions[len(s.Revisions)-1]
	// The numbers of earlier deploys, which were refused or removed, are not taken again.
	if numbers := m.numbersOf(t, "ping"); len(numbers) != 2 || numbers[1] != numbers[0]+1 || last.Name != fmt.Sprintf("ping-%05d", numbers[1]) || last.Traffic != 100 {
		t.Errorf("got %+v, revisions %v", s.Revisions, numbers)
	}
	m.mustGet(t, pingURL)
}

// numbersOf are those of a function's revisions, in order.
func (m *testMachine) numbersOf(t *testing.T, function string) (numbers []int) {
	t.Helper()
	for _, name := range strings.Fields(m.MustRun(t, "ls", "/var/lib/fnctl/functions/"+function+"/revisions")) {
		number, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// The old revision serves on, without one failed request, and of the failed one are only files left.
func testBrokenUpdate(t *testing.T, m *testMachine) {
	eventually(t, 30*time.Second, "only the last revision has instances", func() bool { return len(m.status(t, "ping").Revisions) == 1 })
	traffic := m.startTraffic(t, pingURL, 4)
	m.waitAwake(t, "ping")
	before := footprint(t, m)
	m.MustFail(t, 1, "env", "--chdir=/srv/import-error", "fnctl", "deploy", "main:app", "--name", "ping")
	traffic.stop(t)
	numbers := m.numbersOf(t, "ping")
	kept := strings.ReplaceAll("/var/lib/fnctl/functions/ping/revisions/N /etc/systemd/system/fn-ping-N@.socket /etc/systemd/system/fn-ping-N@.service",
		"N", fmt.Sprintf("%05d", numbers[len(numbers)-1]))
	m.MustRun(t, "sh", "-c", "ls -d "+kept+" >/dev/null && rm -r "+kept)
	if after := footprint(t, m); after != before {
		t.Errorf("the failed revision leaves something behind:\n%s", after)
	}
}
