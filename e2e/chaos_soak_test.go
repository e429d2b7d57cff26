//go:build e2e && soak

package e2e

import (
	"testing"
	"time"
)

// The same for longer than anything is remembered: idle times, windows, indexes that are taken again.
func TestSoakChaos(t *testing.T) {
	m := bootLedger(t)
	checkLedger(t, m, testChaosScaling(t, m, 5*time.Minute))
}
