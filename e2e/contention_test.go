//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// contenders change a function all the time, each without regard to the others.
var contenders = []string{
	"fnctl deploy --force", "fnctl env crash set N=$RANDOM", "fnctl rollback crash || true", "fnctl gc --keep 1", "fnctl restart crash",
}

// Commands that change one function at the same time, some of which are killed, do so one after the other. Other functions
// come and go meanwhile.
func testContention(t *testing.T, m *testMachine, chance *rand.Rand, during time.Duration) {
	m.command(t, "fnctl deploy; fnctl resume crash; fnctl deploy --force") // a command before may have paused or removed it
	pulse := m.startPulse(t)
	var stops []func(syscall.Signal) string
	loop := func(name, script string) {
		stops = append(stops, m.Start(t, "env", "--chdir=/srv/crash", "bash", "-c",
			"trap exit TERM; until [ -e /run/enough ]; do out=$({ "+script+"; } 2>&1) || echo \""+name+": $out\"; done"))
	}
	for _, command := range contenders {
		loop(command, command)
	}
	loop("comes", "fnctl deploy --name other")
	loop("goes", "gone=$(fnctl remove other 2>&1) || [[ $gone = *'no such function'* ]] || { echo \"$gone\"; false; }")
	loop("killed", fmt.Sprintf("timeout --signal=KILL 0.%02d fnctl deploy --force || true", 10+chance.IntN(40)))
	time.Sleep(during)
	m.MustRun(t, "touch", "/run/enough")
	for _, stop := range stops {
		if failures := stop(0); failures != "" {
			t.Errorf("a command that was not killed failed:\n%s", failures)
		}
	}
	m.MustRun(t, "rm", "/run/enough")
	pulse.stop(t)
	if out := m.command(t, "fnctl remove other; fnctl deploy --force"); out.Code != 0 {
		t.Errorf("exit code %d\n%s", out.Code, out.Stderr)
	}
	// Of the revisions that had traffic more are left than are kept: those with requests to finish are not removed.
	m.awaitDrained(t)
	m.MustRun(t, "fnctl", "gc")
	m.mustFollowRoute(t, "at last")
	m.settle(t)
}
