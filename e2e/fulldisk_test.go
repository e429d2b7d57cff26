//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Wherever the disk is full, a command says so and changes nothing, and what served goes on serving.
func TestDisk(t *testing.T) {
	t.Parallel()
	m := bootCrash(t, machine.Bookworm)
	t.Run("durable", func(t *testing.T) { testDurable(t, m) })
	chance := newChance(t)
	deploy := fillings[0] // the others when there is time: TestSoakCrash
	t.Run("full", func(t *testing.T) { testFull(t, m, deploy, deploy.some(t, m, chance, takesSpace)) })
	m.makeSmall(t)
	for _, dir := range smallFileSystems {
		t.Run(dir, func(t *testing.T) { testFullFileSystem(t, m, dir) })
	}
}

// takesSpace reports whether a change may fail for want of space.
func takesSpace(change string) bool {
	verb, _, _ := strings.Cut(change, " ")
	return slices.Contains([]string{"create", "write", "resize", "mkdir", "rename", "link", "symlink", "fsync", "syncfs"}, verb)
}

// fillings are commands that need space.
var fillings = []killing{
	{name: "deploy", few: 4, command: "fnctl deploy --force"},
	{name: "first deploy", few: 2, before: "fnctl remove crash 2>/dev/null", command: "fnctl deploy", silent: true},
	{name: "env", few: 1, command: "fnctl env crash set N=$RANDOM"},
	{name: "rollback", few: 1, before: "fnctl deploy --force", command: "fnctl rollback crash"},
	{name: "scale", few: 1, before: "fnctl scale crash --reset", command: "fnctl scale crash --max 3"},
	{name: "pause", few: 1, before: "fnctl resume crash", command: "fnctl pause crash", silent: true},
	{name: "resume", few: 1, before: "fnctl pause crash", command: "fnctl resume crash", silent: true},
}

// testFull refuses a command the space that it asks for at the points that are given, or at each: only there, or from there
// on.
func testFull(t *testing.T, m *testMachine, k killing, at []int) {
	began := time.Now()
	m.command(t, "fnctl resume crash; fnctl deploy --force; fnctl gc")
	var pulse *pulse
	if !k.silent {
		pulse = m.startPulse(t)
	}
	refused := 0
	for n := range pointsOf(at) {
		if m.fullAt(t, k, n) {
			break
		}
		refused++
	}
	if out := m.command(t, k.before+"\n"+k.command); out.Code != 0 {
		t.Errorf("with space again: exit code %d\n%s", out.Code, out.Stderr)
	}
	m.command(t, "fnctl resume crash; fnctl deploy")
	if pulse != nil {
		pulse.stop(t)
	}
	if refused == 0 {
		t.Errorf("%s was refused nothing: that proves nothing", k.command)
	}
	t.Logf("refused at %d points in %v", refused, time.Since(began).Round(time.Second))
}

// fullAt reports whether the command came to its end.
func (m *testMachine) fullAt(t *testing.T, k killing, n int) bool {
	t.Helper()
	m.command(t, k.before)
	before := m.route(t)
	how := fmt.Sprintf("-full %d", n)
	if n%2 == 0 {
		how += " -stay"
	}
	changes, out := m.harm(t, how, k.command)
	_, refused, found := strings.Cut("\n"+changes, "\nfull ")
	if !found {
		return true
	}
	refused, _, _ = strings.Cut(refused, "\n")
	at := fmt.Sprintf("no space (%s): %s", how, refused)
	m.mustFollowRoute(t, at)
	switch switched := m.route(t) != before; {
	case out.Code == 0 && switched && strings.Contains(refused, crashDir+"/revisions/"): // the mark of a revision that serves; the next change makes it
	case out.Code == 0 && strings.Contains(refused, "/run/fnctl/locks/"): // who holds a lock is only for who waits to read
	case out.Code != 1:
		t.Fatalf("%s: exit code %d\n%s%s", at, out.Code, out.Stdout, out.Stderr)
	case !switched:
		mustExplainFull(t, at, out)
	case strings.Contains(refused, "fsync "+crashDir), strings.Contains(refused, "routed"):
		// Whether the route is on the disk is not known: all that both routes need stays.
		m.command(t, "fnctl gc")
	default:
		t.Fatalf("%s: the route has changed", at)
	}
	m.mustBeTidy(t, at)
	return false
}

func mustExplainFull(t *testing.T, at string, out machine.Result) {
	t.Helper()
	for _, want := range []string{"fnctl: error: ", ": no space left on device", "fnctl: hint: df -h shows"} {
		if !strings.Contains(out.Stderr, want) {
			t.Fatalf("%s: the error doesn't say %q:\n%s", at, want, out.Stderr)
		}
	}
}

// smallFileSystems are the directories that are to be file systems of their own.
var smallFileSystems = []string{"/var/lib/fnctl", "/etc/systemd/system", "/var/cache/private", "/run/fnctl"}

// makeSmall puts small file systems in the place of directories.
func (m *testMachine) makeSmall(t *testing.T) {
	t.Helper()
	m.command(t, "fnctl deploy --force")
	m.settle(t)
	m.command(t, "fnctl gc --keep 1")
	m.MustRun(t, "bash", "-euc", `systemctl stop fnctl-activator.service fnctl-gateway.service fnctl-gateway.socket fnctl-gateway-status.socket fnctl.target fn-crash-\*
		for dir in `+strings.Join(smallFileSystems, " ")+`; do
			small=/mnt/${dir//\//-}
			mkdir -p "$small"
			mount -t tmpfs -o size=96m,mode=755 small "$small"
			cp -a "$dir"/. "$small"
			mount --bind "$small" "$dir"
		done
		systemctl start fnctl-gateway.socket fnctl-gateway-status.socket fnctl-gateway.service fnctl-activator.service fnctl.target`)
	m.mustFollowRoute(t, "on small file systems")
}

// testFullFileSystem fills one, and deploys. Files without content, such as locks and sockets, take no space.
func testFullFileSystem(t *testing.T, m *testMachine, dir string) {
	pulse := m.startPulse(t)
	m.settle(t) // what an instance leaves that goes would be space again
	m.MustRun(t, "sh", "-c", "cat /dev/zero 2>&- >"+dir+"/filler || true")
	before := m.route(t)
	out := m.command(t, "fnctl deploy --force")
	switch after := m.route(t); {
	case dir == "/run/fnctl" && out.Code != 0:
		t.Errorf("exit code %d\n%s", out.Code, out.Stderr)
	case dir != "/run/fnctl" && (out.Code != 1 || !strings.Contains(strings.ToLower(out.Stderr), ": no space left on device")):
		t.Errorf("exit code %d\n%s", out.Code, out.Stderr)
	case out.Code == 1 && after != before:
		t.Errorf("the route has changed: %s", after)
	}
	m.mustFollowRoute(t, "full")
	for _, command := range []string{"fnctl list", "fnctl status crash", "fnctl gc"} {
		if out := m.command(t, command); out.Code != 0 {
			t.Errorf("%s: exit code %d\n%s", command, out.Code, out.Stderr)
		}
	}
	m.MustRun(t, "rm", dir+"/filler")
	if out := m.command(t, "fnctl deploy --force"); out.Code != 0 {
		t.Errorf("with space again: exit code %d\n%s", out.Code, out.Stderr)
	}
	m.mustFollowRoute(t, "with space again")
	m.mustBeTidy(t, "with space again")
	pulse.stop(t)
}
