//go:build e2e

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Whenever the power fails, every function answers after the boot, by what its route says, and the next deploy works.
// What was not on the disk is not lost here as it may be with a real machine: TestDisk has that part.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	testPowerLosses(t, bootCrash(t, machine.Trixie), 2)
}

func testPowerLosses(t *testing.T, m *testMachine, rounds int) {
	chance := newChance(t)
	m.command(t, "fnctl deploy --name bystander")
	for round := range rounds {
		at := m.losePower(t, chance)
		if err := m.BootAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.mustComeBack(t)
		t.Logf("round %d: the power failed after %v; %s", round, at, m.route(t))
	}
}

// losePower lets the power fail while one change follows the other.
func (m *testMachine) losePower(t *testing.T, chance *rand.Rand) time.Duration {
	t.Helper()
	m.Start(t, "env", "--chdir=/srv/crash", "bash", "-c", `while :; do
		fnctl deploy --force; fnctl env crash set N=$RANDOM; fnctl rollback crash; fnctl pause crash; fnctl resume crash; fnctl gc --keep 2
	done`)
	after := time.Duration(chance.IntN(2000)) * time.Millisecond
	time.Sleep(after)
	if err := m.KillHard(t.Context()); err != nil {
		t.Fatal(err)
	}
	return after
}

func (m *testMachine) mustComeBack(t *testing.T) {
	t.Helper()
	m.mustFollowRoute(t, "after the boot")
	m.mustGet(t, "http://bystander.localhost:8080/")
	m.MustRun(t, "fnctl", "list")
	if out := m.command(t, "fnctl resume crash; fnctl deploy --force"); out.Code != 0 {
		t.Fatalf("deploy after the boot: exit code %d\n%s", out.Code, out.Stderr)
	}
	m.mustFollowRoute(t, "deployed after the boot")
	m.mustBeTidy(t, "deployed after the boot")
}
