//go:build e2e && soak

package e2e

import (
	"strings"
	"testing"
	"time"
)

// Requests come in the moments in which their instance is marked, frozen and woken, while the activator is killed and gateways hand over:
// none fails, none is lost or served twice, and none takes longer than a start would.
func TestSoakStandby(t *testing.T) {
	m := bootLedger(t)
	m.deploy(t, "ledger", "timeout: 30\nautoscale: {min: 0, stable_window: 6s, scale_down_delay: 0s, scale_to_zero_after: 0s}\n", "main:app")
	load := m.startSteady(t, "standby", 1, 0)
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
		time.Sleep(7 * time.Second)
		m.MustRun(t, "systemctl", "kill", "--signal=SIGKILL", "fnctl-activator")
		time.Sleep(7 * time.Second)
		m.MustRun(t, "systemctl", "reload", "fnctl-gateway")
	}
	sent := load.stop(t)
	for _, one := range sent {
		if one.Took > 5*time.Second {
			t.Errorf("a request at %v took %v", one.Began, one.Took)
		}
	}
	frozen := strings.Count(m.MustRun(t, "journalctl", "-u", "fnctl-activator", "-o", "cat"), "instance: standby")
	t.Logf("%d requests, frozen %d times", len(sent), frozen)
	if frozen < 60 {
		t.Errorf("it was frozen %d times only", frozen)
	}
	checkLedger(t, m, sent)
}
