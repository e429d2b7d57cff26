//go:build e2e && soak

package e2e

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Each command is killed after every single one of its changes.
func TestSoakCrash(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootCrash(t, suite)
			for _, k := range killings {
				t.Run(k.name, func(t *testing.T) {
					testKilled(t, m, k, nil)
					m.settle(t)
				})
			}
			t.Run("several at once", func(t *testing.T) { testContention(t, m, newChance(t), time.Minute) })
			for _, command := range fillings {
				t.Run("full "+command.name, func(t *testing.T) { testFull(t, m, command, nil) })
			}
		})
	}
}

// The power fails again and again.
func TestSoakPowerLoss(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			testPowerLosses(t, bootCrash(t, suite), 30)
		})
	}
}
