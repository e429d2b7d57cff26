//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/e2e/machine"
)

// What real apps speak goes through the gateway to a real uvicorn.
func TestProtocols(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "echo", "timeout: 4\nhealthcheck: {timeout: 2m}\nautoscale: {min: 1}\n", "main:app")
	t.Run("websocket", func(t *testing.T) { testWebSocket(t, m) })
	t.Run("events", func(t *testing.T) { testEvents(t, m) })
	t.Run("large body", func(t *testing.T) { testLargeBody(t, m) })
	t.Run("timeout", func(t *testing.T) { testTimeout(t, m) })
	t.Run("headers", func(t *testing.T) { testHeaders(t, m) })
}

const (
	echoURL = "http://echo.localhost:8080"
	// protocolTimeout is the timeout of the app.
	protocolTimeout = 4 * time.Second
)

// A WebSocket is a request in flight.
func testWebSocket(t *testing.T, m *testMachine) {
	conn, _, err := websocket.Dial(t.Context(), echoURL+"/ws", &websocket.DialOptions{HTTPClient: m.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, text := range []string{"one", strings.Repeat("x", 30_000)} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != text {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	if got := m.status(t, "echo").Revisions[0].Instances[0].InFlight; got != 1 {
		t.Errorf("an open WebSocket counts as %d requests in flight", got)
	}
	// The whole request is bounded by timeout: then the WebSocket is closed.
	ctx, cancel := context.WithTimeout(t.Context(), protocolTimeout+slack)
	defer cancel()
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the WebSocket was not closed within %v: %v", protocolTimeout+slack, err)
	}
}

func testEvents(t *testing.T, m *testMachine) {
	started := time.Now()
	resp, err := m.Client().Get(echoURL + "/events?count=3&interval=60")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "data: 0\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	// The second one would come later than the end of the response.
	if took := time.Since(started); took >= protocolTimeout {
		t.Errorf("the first event came after %v: it was held back", took)
	}
}

func testLargeBody(t *testing.T, m *testMachine) {
	sent := make([]byte, 8<<20)
	rand.Read(sent)
	resp, err := m.Client().Post(echoURL+"/echo", "application/octet-stream", bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d of %d bytes back, %v", len(got), len(sent), err)
	}
}

func testTimeout(t *testing.T, m *testMachine) {
	a, err := fetch(t.Context(), m.Client(), echoURL+"/sleep?seconds=60")
	if err != nil || a.code != http.StatusGatewayTimeout || !strings.Contains(a.body, "The upstream server is timing out") {
		t.Errorf("got %d %q %v", a.code, a.body, err)
	}
	if a.took < protocolTimeout || a.took >= time.Minute {
		t.Errorf("it took %v, timeout is %v, and the app takes a minute", a.took, protocolTimeout)
	}
}

func testHeaders(t *testing.T, m *testMachine) {
	req, err := http.NewRequest(http.MethodGet, echoURL+"/headers", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "6.6.6.6")
	req.Header.Set("X-Real-IP", "6.6.6.6")
	req.Header.Set("X-Request-ID", "my-id-1")
	resp, err := m.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"x-forwarded-for":"127.0.0.1"`, `"x-real-ip":"127.0.0.1"`, `"x-forwarded-proto":"http"`, `"x-forwarded-host":"echo.localhost:8080"`,
		`"host":"echo.localhost:8080"`, `"x-request-id":"my-id-1"`, `"client":"127.0.0.1"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the app doesn't see %s: %s", want, body)
		}
	}
	if got := resp.Header.Get("X-Request-ID"); got != "my-id-1" {
		t.Errorf("the response has X-Request-ID %q", got)
	}
}
