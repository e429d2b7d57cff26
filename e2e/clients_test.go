//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/fnctl/fnctl/e2e/machine"
)

// The clients that people have, each on its own terms, on each supported system.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.deploy(t, "echo", "autoscale: {min: 1, max: 1}\n", "main:app")
			m.deploy(t, "chat", "autoscale: {min: 1, max: 1}\n", "main:app")
			m.build(t, "wire", "/usr/local/lib/wire/wire")
			m.deployWire(t, "wire", "[./wire]")
			t.Run("curl", func(t *testing.T) { testCurl(t, m) })
			only(t, machine.Trixie, suite, "curl -N", func(t *testing.T) { testCurlEvents(t, m) })
			only(t, machine.Bookworm, suite, "load", func(t *testing.T) { testLoadGenerators(t, m) })
			only(t, machine.Trixie, suite, "websocket", func(t *testing.T) { testChat(t, m) })
			t.Run("websockets in Python", func(t *testing.T) { testPythonWebSockets(t, m) })
			only(t, machine.Bookworm, suite, "gRPC", func(t *testing.T) { testGRPC(t, m) })
		})
	}
}

func testCurl(t *testing.T, m *testMachine) {
	m.MustRun(t, "sh", "-c", "head -c 3000000 /dev/urandom >/var/tmp/body")
	const same = " | cmp - /var/tmp/body && echo same"
	for name, test := range map[string]struct{ command, want string }{
		"HTTP/1.1":           {"curl -sf -o /dev/null -w '%{http_version} %{http_code}' " + echoURL + "/headers", "1.1 200"},
		"HTTP/1.0":           {"curl -sf --http1.0 -o /dev/null -w '%{http_code}' " + echoURL + "/headers", "200"},
		"HTTP/2":             {"curl -sf --http2-prior-knowledge -o /dev/null -w '%{http_version} %{http_code}' " + echoURL + "/headers", "2 200"},
		"upgrade to HTTP/2":  {"curl -sf --http2 -o /dev/null -w '%{http_version} %{http_code}' " + echoURL + "/headers", "1.1 200"},
		"HEAD":               {"curl -sI -o /dev/null -w '%{http_code}' " + echoURL + "/headers", "200"},
		"many over one":      {"curl -sf -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' " + strings.Repeat(echoURL+"/headers ", 3), "1 0 0 "},
		"upload":             {"curl -sf -H Expect: --data-binary @/var/tmp/body " + echoURL + "/echo" + same, "same\n"},
		"upload in chunks":   {"curl -sf -H Expect: -H 'Transfer-Encoding: chunked' --data-binary @/var/tmp/body " + echoURL + "/echo" + same, "same\n"},
		"upload over HTTP/2": {"curl -sf --http2-prior-knowledge --data-binary @/var/tmp/body " + echoURL + "/echo" + same, "same\n"},
		"100 Continue": {"curl -sfv --expect100-timeout 60 -o /dev/null --data-binary @/var/tmp/body -H 'Expect: 100-continue' http://wire.localhost:8080/" +
			" 2>&1 | grep -c '^< HTTP/1.1 100 Continue'", "1\n"},
		"100 not continued": {"curl -s --expect100-timeout 60 -o /dev/null -w '%{http_code} %{size_upload}' --data-binary @/var/tmp/body -H 'Expect: 100-continue' http://nobody.localhost:8080/",
			"404 0"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if got := m.MustRun(t, "bash", "-o", "pipefail", "-c", test.command); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if took := time.Since(began); took >= time.Minute { // of --expect100-timeout
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Each event is there when it is sent.
func testCurlEvents(t *testing.T, m *testMachine) {
	for _, version := range []string{"--http1.1", "--http2-prior-knowledge"} {
		curl := m.Command(t.Context(), "curl", "-sfN", version, echoURL+"/events?count=2&interval=2")
		out, err := curl.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := curl.Start(); err != nil {
			t.Fatal(err)
		}
		var at []time.Time
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data: ") {
				at = append(at, time.Now())
			}
		}
		if err := curl.Wait(); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		if len(at) != 2 {
			t.Fatalf("%s: got %d events, want 2", version, len(at))
		}
		if apart := at[1].Sub(at[0]); apart < time.Second {
			t.Errorf("%s: the events came %v apart, not 2 s", version, apart)
		}
	}
}

// Load generators count errors of their own: none.
func testLoadGenerators(t *testing.T, m *testMachine) {
	url := "http://wire.localhost:8080/zeros?n=100"
	m.mustGet(t, url)
	out := m.MustRun(t, "wrk", "-t2", "-c50", "-d5s", "-H", "Host: wire.localhost", "http://127.0.0.1:8080/zeros?n=100")
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, "requests in 5.") {
		t.Errorf("wrk:\n%s", out)
	}
	const count = "10000"
	for _, options := range [][]string{{"--no-tls-proto=h2c", "-m10"}, {"--h1"}} {
		args := append(options, "-n"+count, "-c20", "--connect-to=127.0.0.1:8080", url)
		out := m.MustRun(t, "h2load", args...)
		if !strings.Contains(out, count+" succeeded, 0 failed, 0 errored, 0 timeout") || !strings.Contains(out, "status codes: "+count+" 2xx") {
			t.Errorf("h2load %v:\n%s", options, out)
		}
	}
}

// A real server of WebSockets in Python, and a client in Go.
func testChat(t *testing.T, m *testMachine) {
	dial := func(mode websocket.CompressionMode) *websocket.Conn {
		conn, _, err := websocket.Dial(t.Context(), "http://chat.localhost:8080/", &websocket.DialOptions{HTTPClient: m.Client(), CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		conn.SetReadLimit(-1)
		return conn
	}
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
		conn := dial(mode)
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 16 << 20} {
			message := bytes.Repeat([]byte("fnctl "), size/6+1)[:size]
			for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
				if err := conn.Write(t.Context(), kind, message); err != nil {
					t.Fatal(err)
				}
				if got, data, err := conn.Read(t.Context()); err != nil || got != kind || !bytes.Equal(data, message) {
					t.Fatalf("%v of %d bytes: got %v of %d, %v", kind, size, got, len(data), err)
				}
			}
		}
		testFragments(t, conn)
		if err := conn.Ping(conn.CloseRead(t.Context())); err != nil {
			t.Errorf("ping: %v", err)
		}
		conn.CloseNow()
	}
	m.mustGet(t, "http://chat.localhost:8080/closed")
	if err := dial(websocket.CompressionDisabled).Close(4001, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	eventually(t, 5*time.Second, "the app knows the code", func() bool {
		return m.mustGet(t, "http://chat.localhost:8080/closed").body == "4001"
	})
	conn := dial(websocket.CompressionDisabled)
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("close 4002")); err != nil {
		t.Fatal(err)
	}
	var closed websocket.CloseError
	if _, _, err := conn.Read(t.Context()); !errors.As(err, &closed) || closed.Code != 4002 {
		t.Errorf("the app closes with 4002: got %v", err)
	}
}

// testFragments sends a message in several frames.
func testFragments(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	w, err := conn.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	var sent []byte
	for i := range 50 {
		piece := bytes.Repeat([]byte{byte(i)}, 10_000) // more than is collected for a frame
		sent = append(sent, piece...)
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(t.Context()); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("fragments: got %d of %d bytes, %v", len(got), len(sent), err)
	}
}

const pythonChat = `
import asyncio, websockets

async def main():
    async with websockets.connect("ws://chat.localhost:8080/", host="127.0.0.1", port=8080, max_size=None) as socket:
        for message in ["", "text", b"bytes", "x" * 100_000, bytes(1_000_000)]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["frag", "ments", "", "!"])
        assert await socket.recv() == "fragments!"
        await (await socket.ping())
        await socket.send("close 4003")
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 4003, closed
            print("closed")

asyncio.run(main())
`

func testPythonWebSockets(t *testing.T, m *testMachine) {
	if got := m.MustRun(t, "python3", "-c", pythonChat); got != "closed\n" {
		t.Errorf("got %q", got)
	}
}

// A gRPC client, through the gateway to a gRPC server that sleeps at first.
func testGRPC(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("grpc"), "/srv/grpc")
	m.build(t, "grpc", "/srv/grpc/grpc")
	m.MustRunIn(t, "/srv/grpc", "fnctl", "deploy")
	conn, err := grpc.NewClient("passthrough:///grpc.localhost:8080", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return m.DialContext(ctx, "tcp", "127.0.0.1:8080")
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	health := grpc_health_v1.NewHealthClient(conn)
	for range 100 {
		if out, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || out.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Fatalf("call: got %v, %v", out, err)
		}
	}
	if _, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); grpcstatus.Code(err) != codes.NotFound {
		t.Errorf("status: got %v", err)
	}
	testGRPCEndless(t, m, health)
	testGRPCReflection(ctx, t, conn)
}

// A stream that says one thing and goes on for ever ends when the client gives it up. Of a deadline the server is told, too,
// and may end the stream before the client does.
func testGRPCEndless(t *testing.T, m *testMachine, health grpc_health_v1.HealthClient) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := watch.Recv(); err != nil || out.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("stream: got %v, %v", out, err)
	}
	time.AfterFunc(time.Second, cancel)
	if _, err := watch.Recv(); grpcstatus.Code(err) != codes.Canceled {
		t.Errorf("stream: got %v when it was given up", err)
	}
	eventually(t, 10*time.Second, "the instance is rid of the stream", func() bool { return m.inFlight(t, "grpc") == 0 })
}

// Questions and answers in turn, over one stream.
func testGRPCReflection(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		question := &grpc_reflection_v1.ServerReflectionRequest{Host: fmt.Sprint(i),
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
		if err := stream.Send(question); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || answer.GetValidHost() != fmt.Sprint(i) || len(answer.GetListServicesResponse().GetService()) < 2 {
			t.Fatalf("got %v, %v", answer, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v", err)
	}
}
