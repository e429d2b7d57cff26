//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/e2e/machine"
)

// WebSockets outlive any number of gateways: each takes them from the one before, which ends at once. They end with their instance.
func TestHandoverOfTunnels(t *testing.T) {
	t.Parallel()
	const tunnels = 100
	m := bootInstalled(t, machine.Trixie)
	// The grace is short, so that a gateway which concluded them would show.
	m.deploy(t, "echo", "timeout: 1h\ndrain_grace: 1s\nautoscale: {min: 1, max: 2, metric: concurrency, target: 1000}\n", "main:app")
	sockets := m.openWebSockets(t, tunnels)
	checkWebSockets(t, sockets)
	for range 10 {
		before := m.property(t, gatewayUnit, "MainPID")
		m.MustRun(t, "systemctl", "reload", gatewayUnit)
		m.checkSucceeded(t, before)
		if got := m.inFlight(t, "echo"); got < tunnels {
			t.Errorf("with %d open WebSockets there are %d requests in flight", tunnels, got)
		}
		checkWebSockets(t, sockets)
	}
	eventually(t, 20*time.Second, "only the last gateway is left", func() bool {
		return slices.Equal(m.gateways(t), []string{m.property(t, gatewayUnit, "MainPID")})
	})
	time.Sleep(2 * time.Second) // longer than the grace
	checkWebSockets(t, sockets)
	if got := m.inFlight(t, "echo"); got != tunnels {
		t.Errorf("with %d open WebSockets there are %d requests in flight", tunnels, got)
	}
	m.MustRun(t, "fnctl", "restart", "echo")
	for n, s := range sockets {
		select {
		case got := <-s.heard:
			if websocket.CloseStatus(got.err) != websocket.StatusGoingAway {
				t.Fatalf("WebSocket %d: got %q, %v", n, got.text, got.err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("WebSocket %d is open still", n)
		}
	}
	eventually(t, 20*time.Second, "nothing is in flight", func() bool { return m.inFlight(t, "echo") == 0 })
}
