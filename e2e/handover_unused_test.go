//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"
)

// Clients open connections ahead of need: Go's does when all it has are busy, and browsers do. One that has not brought a
// request yet when the gateways change brings its first one afterwards.
func testHandoverUnused(t *testing.T, m *testMachine) {
	conn, err := m.DialContext(t.Context(), "tcp", "ledger.localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	time.Sleep(time.Second) // longer than anybody would wait for a request that is on its way
	m.MustRun(t, "systemctl", "reload", gatewayUnit)
	time.Sleep(500 * time.Millisecond)
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: ledger.localhost:8080\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the first request on an open connection got no answer: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("got %s, close %v", resp.Status, resp.Close)
	}
}
