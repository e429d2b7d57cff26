//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/fnctl/fnctl/e2e/machine"
)

// guarded lets alice in, and who has a token.
const guarded = "autoscale: {min: 0, scale_to_zero_after: 1s}\nauth: {basic: {users: conf/users}, token: true, open: [/health]}\nrate_limit: {requests: 10000, burst: 10000}\n"

// Who is turned away starts no instance, credentials take effect at once and are seen by nobody, and a gateway that does not know the rules
// serves nothing.
func TestAdmission(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.CopyIn(t, function("echo"), "/srv/echo")
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), 8)
	if err != nil {
		t.Fatal(err)
	}
	m.WriteFile(t, "/srv/echo/jcloud.yml", guarded)
	out := m.mustFailIn(t, "/srv/echo", "fnctl", "deploy", "main:app")
	if !strings.Contains(out.Stderr, "auth.basic.users: there is no /srv/echo/conf/users") {
		t.Errorf("without users: %s", out.Stderr)
	}
	m.MustRun(t, "mkdir", "/srv/echo/conf")
	m.WriteFile(t, "/srv/echo/conf/users", "alice:"+string(hash)+"\n")
	m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app")
	t.Run("a 401 at zero", func(t *testing.T) { testDeniedAtZero(t, m) })
	secret := m.createToken(t, "ci")
	t.Run("tokens", func(t *testing.T) { testTokens(t, m, secret) })
	t.Run("users", func(t *testing.T) { testUsers(t, m) })
	t.Run("nobody sees them", func(t *testing.T) { testCredentialsAreSecret(t, m, secret, string(hash)) })
	t.Run("through changes", func(t *testing.T) { testAdmissionStays(t, m, secret) })
	t.Run("backup", func(t *testing.T) { testAdmissionRestored(t, m, secret) })
	t.Run("a gateway that does not know it", func(t *testing.T) { testUnknownAdmission(t, m, secret) })
	t.Run("remove", func(t *testing.T) {
		m.MustRun(t, "fnctl", "remove", "echo")
		if left := m.MustRun(t, "sh", "-c", "find /var/lib/fnctl -name tokens.json -o -name users"); left != "" {
			t.Errorf("it leaves %s", left)
		}
	})
}

// asked is the status that a request with some arguments of curl gets.
func (m *testMachine) asked(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60"}, args...)
	return m.MustRun(t, "curl", append(args, echoURL+"/headers")...)
}

func (m *testMachine) createToken(t *testing.T, label string, flags ...string) string {
	t.Helper()
	var made struct{ Token string }
	out := m.MustRun(t, "fnctl", append([]string{"token", "echo", "create", label, "-o", "json"}, flags...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil || !strings.HasPrefix(made.Token, "fnctl_") {
		t.Fatalf("%v: %s", err, out)
	}
	return made.Token
}

func bearer(token string) []string { return []string{"-H", "Authorization: Bearer " + token} }

func testDeniedAtZero(t *testing.T, m *testMachine) {
	m.waitZero(t, "echo", time.Minute)
	m.MustRun(t, "sh", "-c", fmt.Sprintf("for i in $(seq 50); do curl -s -o /dev/null -H 'Authorization: Bearer fnctl_x' %s; done", echoURL))
	a, err := fetch(t.Context(), m.Client(), echoURL)
	if err != nil || a.code != http.StatusUnauthorized || !strings.Contains(strings.Join(a.header["Www-Authenticate"], " "), `Basic realm="echo"`) {
		t.Errorf("got %+v, %v", a, err)
	}
	if states := m.status(t, "echo").states(); !atZero(states) {
		t.Errorf("it has instances: %s", states)
	}
	if requests, wakes := m.seriesOfEcho(t, "fnctl_gateway_requests_total"), m.seriesOfEcho(t, "fnctl_gateway_wakes_total"); requests+wakes != "" {
		t.Errorf("they count as requests, or have woken some:\n%s%s", requests, wakes)
	}
	eventually(t, 10*time.Second, "they are in the log of requests", func() bool {
		return strings.Contains(m.MustRun(t, "fnctl", "logs", "echo", "--requests"), "401")
	})
}

// seriesOfEcho are those of a metric of the gateway.
func (m *testMachine) seriesOfEcho(t *testing.T, metric string) string {
	t.Helper()
	return m.MustRun(t, "sh", "-c", "curl -s --unix-socket /run/fnctl/gateway.sock http://fnctl/metrics | grep '^"+metric+"{.*function=\"echo\"' || true")
}

func testTokens(t *testing.T, m *testMachine, secret string) {
	eventually(t, 10*time.Second, "the token takes effect", func() bool { return m.asked(t, bearer(secret)...) == "200" })
	if requests, wakes := m.seriesOfEcho(t, "fnctl_gateway_requests_total"), m.seriesOfEcho(t, "fnctl_gateway_wakes_total"); requests == "" || wakes == "" {
		t.Errorf("it counts as %q, and has woken %q", requests, wakes)
	}
	brief := m.createToken(t, "brief", "--expires", "3s")
	eventually(t, 10*time.Second, "the brief one does", func() bool { return m.asked(t, bearer(brief)...) == "200" })
	eventually(t, 30*time.Second, "the brief one expires", func() bool { return m.asked(t, bearer(brief)...) == "401" })
	other := m.createToken(t, "other")
	eventually(t, 10*time.Second, "another takes effect", func() bool { return m.asked(t, bearer(other)...) == "200" })
	m.MustRun(t, "fnctl", "token", "echo", "revoke", "other", "brief")
	eventually(t, 10*time.Second, "the other is revoked", func() bool { return m.asked(t, bearer(other)...) != "200" })
	if got := m.asked(t, bearer(secret)...); got != "200" {
		t.Errorf("the first: %s", got)
	}
	if list := m.MustRun(t, "fnctl", "token", "echo", "list", "-o", "json"); strings.Contains(list, "fnctl_") || !strings.Contains(list, `"ci"`) || strings.Contains(list, "other") {
		t.Errorf("the list: %s", list)
	}
}

func testUsers(t *testing.T, m *testMachine) {
	out := m.MustRun(t, "curl", "-sf", "-u", "alice:open sesame", "-H", "X-Forwarded-User: root", "-H", "X_Forwarded_User: root", echoURL+"/headers")
	if !strings.Contains(out, `"x-forwarded-user":"alice"`) || strings.Contains(out, "root") || strings.Contains(out, "authorization") {
		t.Errorf("the app is told %s", out)
	}
	if got := m.asked(t, "-u", "alice:sesame"); got != "401" {
		t.Errorf("a wrong password: %s", got)
	}
	m.MustRun(t, "sh", "-c", fmt.Sprintf("for i in $(seq 8); do curl -s -o /dev/null -u alice:$i %s; done", echoURL))
	if got := m.asked(t, "-u", "alice:open sesame"); got != "429" {
		t.Errorf("after guessing: %s", got)
	}
}

// Credentials are in no file that another user may read, in no unit, and in nothing that instances see.
func testCredentialsAreSecret(t *testing.T, m *testMachine, secret, hash string) {
	modes := m.MustRun(t, "sh", "-c", "stat -c '%a %U %G' /var/lib/fnctl/functions/echo/tokens.json /var/lib/fnctl/functions/echo/revisions/00001/users | sort -u")
	if modes != "640 root fnctl-gateway\n" {
		t.Errorf("modes: %s", modes)
	}
	for name, text := range map[string]string{"token": secret, "hash": hash[8:]} {
		if seen := m.MustRun(t, "sh", "-c", "grep -rlsF -e '"+text+"' /etc /run /var/lib /var/cache /var/log /tmp || true"); strings.Contains(seen, "/app/") ||
			name == "token" && seen != "" || name == "hash" && strings.Contains(seen, "/cache/") {
			t.Errorf("the %s is in %s", name, seen)
		}
		if log := m.MustRun(t, "sh", "-c", "journalctl --no-pager -o export | grep -acF -e '"+text+"' || true"); log != "0\n" {
			t.Errorf("the %s is in the journal", name)
		}
	}
	if seen := m.MustRun(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "grep -rls '[s]ha256\\|[$]2[ab][$]' /var/lib/fnctl || true"); seen != "" {
		t.Errorf("everybody may read %s", seen)
	}
}

// A change of variables keeps the users, and tokens stay through all deploys.
func testAdmissionStays(t *testing.T, m *testMachine, secret string) {
	m.MustRun(t, "fnctl", "env", "echo", "set", "COLOUR=blue")
	if got := m.asked(t); got != "401" {
		t.Errorf("without credentials: %s", got)
	}
	if got := m.asked(t, bearer(secret)...); got != "200" {
		t.Errorf("with a token: %s", got)
	}
	m.MustRun(t, "cmp", "/srv/echo/conf/users", "/var/lib/fnctl/functions/echo/revisions/00002/users")
	if out := m.MustRunIn(t, "/srv/echo", "sh", "-c", "fnctl deploy main:app 2>&1"); !strings.Contains(out, "nothing changed") {
		t.Errorf("a deploy of the same: %s", out)
	}
	m.MustRun(t, "sh", "-c", "sed 's/alice/bob/' /srv/echo/conf/users >>/srv/echo/conf/users.new && cat /srv/echo/conf/users.new >>/srv/echo/conf/users && rm /srv/echo/conf/users.new")
	m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app")
	m.MustRun(t, "cmp", "/srv/echo/conf/users", "/var/lib/fnctl/functions/echo/revisions/00003/users")
	m.MustRun(t, "systemctl", "reload", "fnctl-gateway") // who has guessed is forgotten
	eventually(t, 10*time.Second, "bob comes in", func() bool { return m.asked(t, "-u", "bob:open sesame") == "200" })
}

func testAdmissionRestored(t *testing.T, m *testMachine, secret string) {
	m.WriteFile(t, "/root/passphrase", "correct horse battery\n")
	m.MustRun(t, "fnctl", append([]string{"backup", backupFile}, withPassphrase...)...)
	m.MustRun(t, "fnctl", "remove", "echo")
	m.MustRun(t, "fnctl", append([]string{"restore", backupFile}, withPassphrase...)...)
	for want, args := range map[string][]string{"401": nil, "200": bearer(secret)} {
		if got := m.asked(t, args...); got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
	eventually(t, 10*time.Second, "bob comes in", func() bool { return m.asked(t, "-u", "bob:open sesame") == "200" })
}

// A version before this one reads the format of the route as this one does a format that it does not know: one that runs keeps the last route,
// and one that starts serves nothing.
func testUnknownAdmission(t *testing.T, m *testMachine, secret string) {
	const route = "/var/lib/fnctl/functions/echo/route.json"
	m.MustRun(t, "grep", "-q", `"format": 3`, route)
	m.MustRun(t, "sed", "-i", `s/"format": 3/"format": 99/`, route)
	eventually(t, 10*time.Second, "the one that runs has seen it", func() bool {
		return strings.Contains(m.MustRun(t, "curl", "-s", "--unix-socket", "/run/fnctl/gateway.sock", "http://fnctl/metrics"), "fnctl_gateway_bad_routes 1")
	})
	if got := m.asked(t); got != "401" {
		t.Errorf("the one that runs: %s", got)
	}
	m.MustRun(t, "systemctl", "restart", "fnctl-gateway")
	if got := m.asked(t, bearer(secret)...); got != "503" {
		t.Errorf("one that starts: %s", got)
	}
	m.MustRun(t, "sed", "-i", `s/"format": 99/"format": 3/`, route)
	eventually(t, 10*time.Second, "it serves again", func() bool { return m.asked(t, bearer(secret)...) == "200" })
}
