//go:build e2e && soak

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/e2e/machine"
)

// A WebSocket on which nothing is said for ten minutes keeps its instance, and no other; then the function goes to zero.
func TestSoakWebSocket(t *testing.T) {
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "echo", "timeout: 15m\nautoscale: {min: 0, max: 3, metric: rps, target: 10, stable_window: 6s, scale_down_delay: 0s}\n", "main:app")
	m.waitZero(t, "echo", 30*time.Second)
	conn, _, err := websocket.Dial(t.Context(), echoURL+"/ws", &websocket.DialOptions{HTTPClient: m.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	said := make(chan string, 1)
	go func() { // reading also answers the app's pings
		_, text, err := conn.Read(t.Context())
		said <- fmt.Sprint(string(text), err)
	}()
	m.waitReady(t, "echo", 1, 20*time.Second)
	first := m.runningInstance(t)
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if now := m.runningInstance(t); now != first {
			t.Fatalf("with an open WebSocket there is %s, was %s", now, first)
		}
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("still there?")); err != nil {
		t.Fatal(err)
	}
	if answer := <-said; answer != "still there?<nil>" {
		t.Errorf("after ten minutes: %s", answer)
	}
	conn.CloseNow()
	m.waitZero(t, "echo", 30*time.Second)
}

// runningInstance names the one instance that is ready, and its process.
func (m *testMachine) runningInstance(t *testing.T) string {
	t.Helper()
	s := m.status(t, "echo")
	if !s.areReady(1) {
		t.Fatalf("with an open WebSocket the instances are %q", s.states())
	}
	one := s.awake()[0]
	return one.Name + strings.Trim(m.MustRun(t, "systemctl", "show", "--property=MainPID", one.Unit), "\n")
}
