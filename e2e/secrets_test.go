//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	vaultURL   = "http://vault.localhost:8080"
	vaultConf  = "name: vault\nautoscale: {min: 0}\n"
	vaultToken = "sesame-1 $HOME 'x' \"y\" %n `id`"
	vaultKey   = "-----BEGIN sesame-----\nMII$x+/='\"\\\n-----END sesame-----"
	// What no file, journal or process list may have. Brackets keep the search from finding itself.
	vaultLeak = "[s]esame-"
)

// Secrets reach the app and nobody else, on a machine that can encrypt them and on one that cannot.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.CopyIn(t, function("echo"), "/srv/vault")
			m.WriteFile(t, "/srv/vault/jcloud.yml", vaultConf)
			m.writeToken(t, vaultToken)
			m.deployVault(t, "--secret", "/root/secrets")
			t.Run("arrive", func(t *testing.T) { testSecretsArrive(t, m) })
			t.Run("do not leak", func(t *testing.T) { testSecretsDoNotLeak(t, m) })
			if suite == machine.Bookworm { // fnctl's own doing, whatever the version of systemd
				t.Run("nothing changed", func(t *testing.T) { testSecretsUnchanged(t, m) })
				t.Run("rollback", func(t *testing.T) { testSecretsRollback(t, m) })
				t.Run("as earlier versions kept them", func(t *testing.T) { testOldSecrets(t, m) })
			}
			t.Run("as many as there may be", func(t *testing.T) { testManySecrets(t, m) })
			t.Run("reboot", func(t *testing.T) { testSecretsReboot(t, m) })
			t.Run("key lost", func(t *testing.T) { testKeyLost(t, m) })
			t.Run("plain", func(t *testing.T) { testPlainSecrets(t, m) })
		})
	}
}

// writeToken writes a file for --secret with one secret.
func (m *testMachine) writeToken(t *testing.T, value string) {
	t.Helper()
	m.WriteFile(t, "/root/secrets", `TOKEN="`+strings.NewReplacer(`"`, `\"`, `$`, `\$`).Replace(value)+"\"\n")
}

func (m *testMachine) deployVault(t *testing.T, args ...string) string {
	t.Helper()
	return m.MustRunIn(t, "/srv/vault", "sh", append([]string{"-c", `fnctl deploy main:app "$@" 2>&1`, "sh"}, args...)...)
}

// mustHave expects a secret in both forms: as a variable and as a file.
func (m *testMachine) mustHave(t *testing.T, name, value string) {
	t.Helper()
	eventually(t, 5*time.Second, "the app has "+name, func() bool { return m.vaultEnv(t)[name] == value })
	if a := m.mustGet(t, vaultURL+"/read?file=$CREDENTIALS_DIRECTORY/"+name); a.body != value {
		t.Errorf("the credential %s is %q, want %q", name, a.body, value)
	}
}

func testSecretsArrive(t *testing.T, m *testMachine) {
	m.mustHave(t, "TOKEN", vaultToken)
	m.WriteFile(t, "/root/key", vaultKey+"\n")
	m.MustRun(t, "fnctl", "secret", "vault", "set", "KEY", "--file", "/root/key")
	m.mustHave(t, "KEY", vaultKey)
	m.mustHave(t, "TOKEN", vaultToken)
	out := m.MustRun(t, "sh", "-c", "fnctl secret vault list 2>&1")
	if !strings.HasPrefix(out, "KEY\nTOKEN\nat rest: encrypted with the key of this machine") {
		t.Errorf("list prints %q", out)
	}
}

func testSecretsDoNotLeak(t *testing.T, m *testMachine) {
	seen := m.MustRun(t, "sh", "-c", `
		grep -ral '`+vaultLeak+`' /var/lib/fnctl /etc/systemd /run/fnctl /var/log
		{ journalctl --no-pager; cat /proc/[0-9]*/cmdline; systemctl show --all 'fn-vault-*'; } | grep -a '`+vaultLeak+`'
		true`)
	if seen != "" {
		t.Errorf("a secret is in plain text in:\n%s", seen)
	}
	if modes := m.MustRun(t, "sh", "-c", "stat -c %a /var/lib/fnctl/functions/vault/revisions/*/credentials/* | sort -u"); modes != "600\n" {
		t.Errorf("the files have the modes %q", modes)
	}
	unit := "fn-vault-00002@1.service"
	m.mustGet(t, vaultURL+"/env")
	pid := strings.TrimSpace(m.MustRun(t, "systemctl", "show", "--value", "--property=MainPID", unit))
	files := []string{"/run/credentials/" + unit + "/TOKEN", "/proc/" + pid + "/environ", "/var/lib/fnctl/functions/vault/revisions/00002/credentials/TOKEN"}
	m.MustRun(t, "cat", files...) // they are there
	m.MustRunIn(t, "/srv/vault", "fnctl", "deploy", "main:app", "--name", "thief")
	for _, file := range files {
		m.MustFail(t, 1, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", file)
		a, err := fetch(t.Context(), m.Client(), "http://thief.localhost:8080/read?file="+url.QueryEscape(file))
		if err != nil || a.code != http.StatusInternalServerError {
			t.Errorf("another function reads %s: %d %q %v", file, a.code, a.body, err)
		}
	}
	m.MustRun(t, "fnctl", "remove", "thief", "--purge")
}

func testSecretsUnchanged(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "secret", "vault", "unset", "KEY")
	if env := m.vaultEnv(t); env["KEY"] != "" || env["TOKEN"] != vaultToken {
		t.Errorf("after unset there are KEY %q and TOKEN %q", env["KEY"], env["TOKEN"])
	}
	for _, args := range [][]string{nil, {"--secret", "/root/secrets"}} {
		if out := m.deployVault(t, args...); !strings.Contains(out, "nothing changed") {
			t.Errorf("deploy %q: %s", args, out)
		}
	}
}

// A deploy after a rollback keeps the secrets of the revision that serves, not those of the newest.
func testSecretsRollback(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "echo sesame-2 | fnctl secret vault set TOKEN")
	m.MustRun(t, "fnctl", "env", "vault", "set", "STAGE=two")
	m.mustHave(t, "TOKEN", "sesame-2")
	m.MustRun(t, "fnctl", "rollback", "vault", "3")
	m.mustHave(t, "TOKEN", vaultToken)
	m.deployVault(t, "--force")
	m.mustHave(t, "TOKEN", vaultToken)
	if stage, is := m.vaultEnv(t)["STAGE"]; is {
		t.Errorf("STAGE is %q: it is of a revision that does not serve", stage)
	}
}

// The limit of fnctl is within that of systemd, so that nothing is refused only when an instance starts.
func testManySecrets(t *testing.T, m *testMachine) {
	const file = `{ cat /root/secrets; echo EMPTY=; for i in 1 2 3 4; do printf 'LARGE_%s=%0118700d\n' $i 0; done; echo LAST=$(printf %0$1d 0); } >/root/many`
	m.MustRun(t, "sh", "-c", file, "sh", "14000")
	out := m.MustFail(t, 1, "env", "--chdir=/srv/vault", "fnctl", "deploy", "main:app", "--secret", "/root/many")
	if !strings.Contains(out.Stderr, "KiB, twice and in blocks of 4 KiB; systemd hands over 960 at most") {
		t.Fatalf("deploy says %s", out.Stderr)
	}
	m.MustRun(t, "sh", "-c", file, "sh", "9000")
	m.deployVault(t, "--secret", "/root/many")
	m.mustHave(t, "TOKEN", vaultToken)
	m.mustHave(t, "EMPTY", "")
	if got := len(m.vaultEnv(t)["LARGE_4"]); got != 118700 {
		t.Errorf("LARGE_4 has %d bytes", got)
	}
	m.deployVault(t, "--secret", "/root/secrets")
}

func testSecretsReboot(t *testing.T, m *testMachine) {
	m.Reboot(t)
	eventually(t, 20*time.Second, "vault answers", func() bool {
		a, err := fetch(t.Context(), m.Client(), vaultURL+"/env")
		return err == nil && a.code == http.StatusOK
	})
	m.mustHave(t, "TOKEN", vaultToken)
}

func testOldSecrets(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/root/none", "")
	m.deployVault(t, "--secret", "/root/none")
	if env := m.vaultEnv(t); env["TOKEN"] != "" || env["CREDENTIALS_DIRECTORY"] != "" {
		t.Errorf("without secrets there are TOKEN %q and CREDENTIALS_DIRECTORY %q", env["TOKEN"], env["CREDENTIALS_DIRECTORY"])
	}
	m.MustRun(t, "sh", "-c", `cd /var/lib/fnctl/functions/vault/revisions && cd "$(ls | tail -n 1)" && umask 077 && echo 'TOKEN="sesame-\$old"' >secrets`)
	if out := m.MustRun(t, "sh", "-c", "fnctl secret vault list 2>&1"); out != "TOKEN\nat rest: plain text, mode 0600: the next deploy encrypts them\n" {
		t.Errorf("list prints %q", out)
	}
	m.deployVault(t)
	m.mustHave(t, "TOKEN", "sesame-$old")
	m.MustRun(t, "sh", "-c", `cd /var/lib/fnctl/functions/vault/revisions && cd "$(ls | tail -n 1)" && ! test -e secrets && ! grep -ra sesame- .`)
}

// A machine that has lost its key says so, and is mended without one.
func testKeyLost(t *testing.T, m *testMachine) {
	m.MustRun(t, "rm", "/var/lib/systemd/credential.secret")
	m.MustRun(t, "systemctl", "stop", "fn-vault-*.service")
	const reason = "cannot be given its secrets: set them again (status 243/CREDENTIALS)"
	eventually(t, 15*time.Second, "requests are refused with the reason", func() bool {
		a, err := fetch(t.Context(), m.Client(), vaultURL+"/env")
		return err == nil && a.code == http.StatusServiceUnavailable && strings.Contains(a.body, reason)
	})
	if out := m.MustRun(t, "fnctl", "status", "vault"); !strings.Contains(out, reason) {
		t.Errorf("status prints %s", out)
	}
	out := m.MustFail(t, 1, "env", "--chdir=/srv/vault", "fnctl", "deploy", "main:app", "--force")
	if !strings.Contains(out.Stderr, "could not decrypt its secrets") {
		t.Errorf("deploy says %s", out.Stderr)
	}
	out = m.MustFail(t, 1, "sh", "-c", "echo sesame-3 | fnctl secret vault set OTHER")
	if !strings.Contains(out.Stderr, "fnctl: error: read the secrets of vault-") || !strings.Contains(out.Stderr, "fnctl: hint: set all of them again") {
		t.Errorf("secret set says %s", out.Stderr)
	}
	m.MustRun(t, "sh", "-c", "echo sesame-3 | fnctl secret vault set TOKEN") // it is the only one
	m.mustHave(t, "TOKEN", "sesame-3")
}

func testPlainSecrets(t *testing.T, m *testMachine) {
	m.MustRun(t, "mv", "/usr/bin/systemd-creds", "/root/")
	m.deployVault(t, "--force") // what is encrypted stays so
	m.mustHave(t, "TOKEN", "sesame-3")
	m.writeToken(t, vaultToken)
	m.deployVault(t, "--secret", "/root/secrets")
	m.mustHave(t, "TOKEN", vaultToken)
	if out := m.MustRun(t, "sh", "-c", "fnctl secret vault list 2>&1"); out != "TOKEN\nat rest: plain text, mode 0600: systemd-creds is missing\n" {
		t.Errorf("list prints %q", out)
	}
	if out := m.deployVault(t); !strings.Contains(out, "nothing changed") {
		t.Errorf("a deploy without systemd-creds: %s", out)
	}
	m.MustRun(t, "mv", "/root/systemd-creds", "/usr/bin/")
	m.deployVault(t)
	m.mustHave(t, "TOKEN", vaultToken)
	if out := m.MustRun(t, "sh", "-c", "fnctl secret vault list 2>&1"); !strings.Contains(out, "at rest: encrypted") {
		t.Errorf("list prints %q", out)
	}
}

func (m *testMachine) vaultEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	if err := json.Unmarshal([]byte(m.mustGet(t, vaultURL+"/env").body), &env); err != nil {
		t.Fatal(err)
	}
	return env
}
