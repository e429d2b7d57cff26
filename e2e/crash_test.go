//go:build e2e

package e2e

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Wherever a command is killed, what served goes on serving, and the next command repairs what is left.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootCrash(t, suite)
			chance := newChance(t)
			// Deploy, and each time another one by chance. TestSoakCrash has all of them.
			for _, k := range []killing{killings[0], killings[1+chance.IntN(len(killings)-1)]} {
				t.Run(k.name, func(t *testing.T) { testKilled(t, m, k, k.some(t, m, chance, isChange)) })
			}
			only(t, machine.Bookworm, suite, "several at once", func(t *testing.T) { testContention(t, m, chance, 3*time.Second) })
		})
	}
}

// killing is a command that is killed after each of its changes.
type killing struct {
	name    string
	before  string // makes the function what the command needs
	command string
	next    []string // commands that repair what is left, by turns
	silent  bool     // the function is not there all the time, or takes no requests
	few     int      // how many points are enough for once
}

// Commands that give traffic leave it to the next deploy, or gc, to remove what nobody needs.
var killings = []killing{
	{name: "deploy", few: 4, command: "fnctl deploy --force",
		next: []string{"fnctl deploy --force", "fnctl env crash set N=$RANDOM", "fnctl gc", "fnctl rollback crash; fnctl gc"}},
	{name: "env", few: 2, command: "fnctl env crash set N=$RANDOM", next: []string{"fnctl deploy --force", "fnctl gc"}},
	{name: "rollback", few: 3, before: "fnctl deploy --force", command: "fnctl rollback crash",
		next: []string{"fnctl rollback crash", "fnctl deploy --force", "fnctl gc"}},
	{name: "traffic", few: 2, before: "fnctl deploy --force", command: "fnctl traffic crash $LAST=50 $BEFORE=50",
		next: []string{"fnctl traffic crash $LAST=20 $BEFORE=80", "fnctl deploy --force", "fnctl gc"}},
	{name: "restart", few: 1, command: "fnctl restart crash", next: []string{"fnctl restart crash", "fnctl deploy --force", "fnctl gc"}},
	{name: "scale", few: 1, before: "fnctl scale crash --reset", command: "fnctl scale crash --max 3",
		next: []string{"fnctl scale crash --max 2; fnctl gc", "fnctl deploy --force", "fnctl gc"}},
	{name: "gc", few: 2, before: "fnctl deploy --force; fnctl deploy --force; until fnctl gc --keep 1 --dry-run | grep -q ' revision '; do sleep 0.1; done", command: "fnctl gc --keep 1",
		next: []string{"fnctl gc --keep 1", "fnctl deploy --force"}},
	{name: "pause", few: 1, before: "fnctl resume crash", command: "fnctl pause crash", silent: true,
		next: []string{"fnctl pause crash", "fnctl deploy --force", "fnctl gc"}},
	{name: "resume", few: 2, before: "fnctl pause crash", command: "fnctl resume crash", silent: true,
		next: []string{"fnctl resume crash", "fnctl deploy --force", "fnctl gc"}},
	{name: "first deploy", few: 3, before: "fnctl remove crash 2>/dev/null", command: "fnctl deploy", silent: true,
		next: []string{"fnctl deploy", "fnctl gc", "fnctl deploy --force; fnctl remove crash"}},
	{name: "remove", few: 2, before: "fnctl deploy --force", command: "fnctl remove crash", silent: true,
		next: []string{"fnctl remove crash || ! fnctl status crash", "fnctl gc", "fnctl deploy"}},
}

// some picks points of a command: some by chance, and those around the switch of the route.
func (k killing) some(t *testing.T, m *testMachine, chance *rand.Rand, counts func(change string) bool) []int {
	t.Helper()
	m.command(t, k.before)
	changes, out := m.harm(t, "", k.command)
	if out.Code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", k.command, out.Code, out.Stdout, out.Stderr)
	}
	lines := strings.Split(strings.TrimSpace(changes), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return !counts(line) })
	var some []int
	for i, line := range lines {
		if strings.HasPrefix(line, "rename ") && strings.HasSuffix(line, crashDir+"/route.json") {
			some = append(some, i+1, i+2)
		}
	}
	some = append(some, 1) // there may be fewer the next time, but never none
	for range k.few {
		some = append(some, 1+chance.IntN(len(lines)))
	}
	slices.Sort(some)
	return slices.Compact(some)
}

func isChange(string) bool { return true }

// newChance makes a source of numbers that is another one each time, unless $FNCTL_SEED is that of an earlier time.
func newChance(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("FNCTL_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("FNCTL_SEED=%d repeats this", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// testKilled kills a command after those of its changes that are given, or after each, and repairs what is left.
func testKilled(t *testing.T, m *testMachine, k killing, at []int) {
	began := time.Now()
	var pulse *pulse
	m.command(t, "fnctl gc")
	if !k.silent {
		m.command(t, "fnctl deploy --force")
		pulse = m.startPulse(t)
	}
	killed := 0
	for n := range pointsOf(at) {
		if m.killAt(t, k, n) {
			break
		}
		killed++
	}
	if pulse != nil {
		pulse.stop(t)
	}
	if killed == 0 {
		t.Errorf("%s was never killed: that proves nothing", k.command)
	}
	t.Logf("killed at %d points in %v", killed, time.Since(began).Round(time.Second))
}

// pointsOf goes through points, or counts without end.
func pointsOf(at []int) iter.Seq[int] {
	if len(at) > 0 {
		return slices.Values(at)
	}
	return func(yield func(int) bool) {
		for n := 1; yield(n); n++ {
		}
	}
}

// killAt reports whether the command came to its end.
func (m *testMachine) killAt(t *testing.T, k killing, n int) bool {
	t.Helper()
	m.command(t, k.before)
	before := m.route(t)
	changes, out := m.harm(t, fmt.Sprintf("-kill-after %d", n), k.command)
	switch out.Code {
	case 0:
		return true
	case 137:
	default:
		t.Fatalf("%d: exit code %d\n%s%s", n, out.Code, out.Stdout, out.Stderr)
	}
	at := fmt.Sprintf("killed after %d: %s", n, lastLine(changes))
	if !strings.Contains(changes, crashDir+"/route.json") && m.route(t) != before {
		t.Fatalf("%s: the route has changed", at)
	}
	m.mustFollowRoute(t, at)
	next := k.next[n%len(k.next)]
	if out := m.command(t, next); out.Code != 0 {
		t.Fatalf("%s: %s: exit code %d\n%s%s", at, next, out.Code, out.Stdout, out.Stderr)
	}
	m.mustFollowRoute(t, at+"; "+next)
	m.mustBeTidy(t, at+"; "+next)
	return false
}

func lastLine(lines string) string {
	lines = strings.TrimSpace(lines)
	return lines[strings.LastIndex(lines, "\n")+1:]
}
