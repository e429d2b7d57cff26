//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	backupFile   = "/root/all.backup"
	backupSecret = "s3cret-of-the-echo"
)

var withPassphrase = []string{"--passphrase-file", "/root/passphrase"}

// What one machine backs up answers on another one, with another version of systemd: revisions, split, scale, variables,
// secrets and data.
func TestBackup(t *testing.T) {
	t.Parallel()
	from := bootInstalled(t, machine.Bookworm)
	from.WriteFile(t, "/root/passphrase", "correct horse battery\n")
	from.deploy(t, "echo", serverless, "main:app")
	from.MustRun(t, "fnctl", "env", "echo", "set", "COLOUR=blue sky")
	from.MustRun(t, "sh", "-c", "printf %s "+backupSecret+" | fnctl secret echo set TOKEN")
	from.MustRun(t, "fnctl", "traffic", "echo", "2=25", "3=75", "--tag", "blue=2", "--sticky", "header:X-User")
	from.MustRun(t, "fnctl", "scale", "echo", "--max", "7")
	from.deploy(t, "ping", serverless, "main:app")
	from.MustRun(t, "fnctl", "pause", "ping")
	from.mustGet(t, echoURL+"/write?file=$JCLOUD_WORKSPACE/note&text=kept")
	from.MustRun(t, "fnctl", append([]string{"backup", backupFile, "--data"}, withPassphrase...)...)
	if got, want := strings.TrimSpace(from.MustRun(t, "stat", "-c", "%a", backupFile)), "600"; got != want {
		t.Errorf("the mode of a backup: got %s, want %s", got, want)
	}
	from.MustFail(t, 1, "grep", "-q", backupSecret, backupFile)
	traffic := from.MustRun(t, "fnctl", "traffic", "echo", "-o", "json")

	t.Run("refusals", func(t *testing.T) { testRestoreRefuses(t, from) })
	t.Run("another machine", func(t *testing.T) {
		data, err := from.ReadFile(t.Context(), backupFile)
		if err != nil {
			t.Fatal(err)
		}
		to := bootInstalled(t, machine.Trixie)
		to.WriteFile(t, "/root/passphrase", "correct horse battery\n")
		to.WriteFile(t, backupFile, string(data))
		// Data has a file system of its own there.
		to.MustRun(t, "sh", "-c", "mkdir -p -m 700 /var/lib/private && mkdir -m 755 /var/lib/private/fnctl-data && mount -t tmpfs -o mode=755 tmpfs /var/lib/private/fnctl-data")
		testRestoreKilled(t, to)
		to.MustRun(t, "fnctl", append([]string{"restore", backupFile}, withPassphrase...)...)
		if got := to.MustRun(t, "fnctl", "traffic", "echo", "-o", "json"); got != traffic {
			t.Errorf("the traffic: got %s, want %s", got, traffic)
		}
		testRestored(t, to)
	})
}

// A refused restore says why, and leaves everything as it was.
func testRestoreRefuses(t *testing.T, m *testMachine) {
	// Not the instances, which come and go with the load.
	files := func() string {
		return m.MustRun(t, "find", "/etc/systemd/system", "/var/lib/fnctl", "/var/lib/private")
	}
	before := files()
	m.MustRun(t, "sh", "-c", "echo wrong >/root/wrong; head -c 3000 "+backupFile+" >/root/short; echo text >/root/text; "+
		"(head -c 3000 "+backupFile+"; head -c 20000 /dev/urandom) >/root/damaged")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{backupFile + " --passphrase-file /root/wrong", 1, "the passphrase is wrong"},
		{backupFile + " --passphrase-file /root/none", 1, "no such file"},
		{backupFile, 2, "there is no terminal"},
		{"/root/text --passphrase-file /root/passphrase", 1, "not a file that fnctl backup has written"},
		{"/root/short --passphrase-file /root/passphrase", 1, "not an archive of functions"},
		{"/root/damaged --passphrase-file /root/passphrase", 1, "not an archive of functions"},
		{backupFile + " nothing --passphrase-file /root/passphrase", 1, `the backup has no function "nothing"`},
		{backupFile + " --passphrase-file /root/passphrase", 1, "restore echo: this machine has a function of that name"},
	} {
		out := m.MustFail(t, c.code, "sh", "-c", "fnctl restore "+c.args+" </dev/null")
		if !strings.Contains(out.Stderr, c.says) {
			t.Errorf("%s: got %q, want %q in it", c.args, out.Stderr, c.says)
		}
		if after := files(); after != before {
			t.Errorf("%s: it changed\n%s\nto\n%s", c.args, before, after)
		}
	}
}

// A restore that is killed leaves what the next one, or gc, takes away.
func testRestoreKilled(t *testing.T, m *testMachine) {
	for _, seconds := range []string{"0.9", "1.2", "1.5", "1.8"} {
		m.MustRun(t, "sh", "-c", "timeout -s KILL "+seconds+" fnctl restore "+backupFile+" --passphrase-file /root/passphrase || true")
		m.MustRun(t, "sh", "-c", "fnctl remove echo --purge; fnctl remove ping --purge; fnctl gc")
	}
}

func testRestored(t *testing.T, m *testMachine) {
	for host, want := range map[string]struct{ revision, secret string }{"blue": {"echo-00002", ""}, "00003": {"echo-00003", backupSecret}} {
		env := m.envAt(t, "http://"+host+".echo.localhost:8080")
		if env["K_REVISION"] != want.revision || env["COLOUR"] != "blue sky" || env["TOKEN"] != want.secret {
			t.Errorf("the variables at %s, of %s: COLOUR=%q, the right secret: %t", host, env["K_REVISION"], env["COLOUR"], env["TOKEN"] == want.secret)
		}
	}
	if got := m.mustGet(t, echoURL+"/read?file=$JCLOUD_WORKSPACE/note").body; got != "kept" {
		t.Errorf("the data: got %q", got)
	}
	s := m.status(t, "echo")
	if s.Scale.Max != 2*7 || len(s.Revisions) != 2 || s.Revisions[0].Traffic != 25 {
		t.Errorf("got %+v", s)
	}
	m.MustRun(t, "fnctl", "rollback", "echo", "1")
	if got, there := m.appEnv(t)["COLOUR"]; there {
		t.Errorf("the first revision: COLOUR=%q", got)
	}
	if got := m.status(t, "ping").Phase; got != "Paused" {
		t.Errorf("ping is %s", got)
	}
	m.MustRun(t, "fnctl", "resume", "ping")
	m.mustGet(t, "http://ping.localhost:8080/ping")
	if got := m.MustRun(t, "fnctl", "gc", "--dry-run"); !strings.Contains(got, "Nothing to remove") {
		t.Errorf("gc: %s", got)
	}
	m.MustFail(t, 1, "test", "-e", "/var/lib/fnctl/.restore")
	m.MustFail(t, 1, "grep", "-r", backupSecret, "/etc/systemd", "/var/log/journal")
}
