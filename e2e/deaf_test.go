//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// An instance that has stopped reading is replaced, and what it has not read is answered by the next one.
func testDeaf(t *testing.T, m *testMachine) {
	m.waitAnswer(t, 35*time.Second)
	eventually(t, 5*time.Second, "an instance is ready", func() bool { return m.status(t, "moody").Scale.Ready == 1 })
	m.mustGet(t, moodyURL+"block")
	time.Sleep(200 * time.Millisecond) // it blocks
	a, err := fetch(t.Context(), m.Client(), moodyURL)
	if err != nil || a.code != http.StatusOK {
		t.Errorf("got %d %q, %v", a.code, a.body, err)
	}
	if a.took >= stopTimeout {
		t.Errorf("answered after %v: the deaf one was asked to stop", a.took)
	}
	if a.took < time.Second {
		t.Errorf("answered after %v: nothing was deaf", a.took)
	}
	t.Logf("answered after %v", a.took.Round(time.Millisecond))
	eventually(t, 10*time.Second, "the deaf one is gone", func() bool { return m.status(t, "moody").areReady(1) })
	if !slices.ContainsFunc(m.events(t, "moody"), func(e event) bool { return e.Event == "replace" && strings.Contains(e.Why, "it has not read for 2s") }) {
		t.Error("there is no event of it")
	}
}

// An instance that blocks is found though a stream is open on it that says nothing. The stream ends as one does whose instance
// is taken out of use, and what was not read is answered by the next instance.
func testDeafWithStream(t *testing.T, m *testMachine) {
	m.waitAnswer(t, 35*time.Second)
	name := m.oneInstance(t, "moody").Name
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, moodyURL+"events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := m.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	const hello = "data: hello\n\n"
	if _, err := io.ReadFull(res.Body, make([]byte, len(hello))); err != nil {
		t.Fatal(err)
	}
	m.mustGet(t, moodyURL+"block")
	time.Sleep(200 * time.Millisecond) // it blocks
	began := time.Now()
	unread := m.fetchInBackground(t, moodyURL)
	m.waitReplaced(t, "moody", name)
	t.Logf("found after %v", time.Since(began).Round(time.Millisecond))
	if a := m.mustGet(t, moodyURL); a.took > time.Minute/2 {
		t.Errorf("a new request was answered after %v", a.took)
	}
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %q, %v", rest, err)
	}
	t.Logf("the stream ended after %v", time.Since(began).Round(time.Millisecond))
	if a := <-unread; a.code != http.StatusOK {
		t.Errorf("what was not read: got %d %q", a.code, a.body)
	}
	t.Logf("what was not read was answered after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, 10*time.Second, "the deaf one is gone", func() bool { return m.status(t, "moody").areReady(1) })
}

// threads has two workers for all connections, each of which echoes bytes in what it takes for WebSockets: their frames go back
// as they are, with their masks.
const threads = `#!/usr/bin/python3
import base64, hashlib, socket, threading

listener = socket.socket(fileno=3)

def serve(c):
    head = b""
    while b"\r\n\r\n" not in head:
        more = c.recv(4096)
        if not more:
            return
        head += more
    fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    if "upgrade" not in fields:
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
        return
    key = [line.split(": ")[1] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        frame = c.recv(4096)
        if not frame or frame[0] == 0x88:
            return
        length, mask, content = frame[1] & 0x7f, frame[2:6], frame[6:]
        c.sendall(bytes([frame[0], length]) + bytes(b ^ mask[n % 4] for n, b in enumerate(content)))

def work():
    while True:
        c, _ = listener.accept()
        with c:
            try:
                serve(c)
            except OSError:
                pass

workers = [threading.Thread(target=work) for _ in range(2)]
for worker in workers:
    worker.start()
`

// An instance whose threads all wait for quiet WebSockets takes nothing new: it is replaced, and they live until their time of
// grace is over. Then the threads are free, and answer what they had not read.
func testDeafThreads(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/threads/server.py", threads)
	m.WriteFile(t, "/srv/threads/jcloud.yml", "command: [./server.py]\nautoscale: {min: 1, max: 3}\nliveness_timeout: 2s\ndrain_grace: 10s\n")
	m.MustRunIn(t, "/srv/threads", "sh", "-c", "chmod +x server.py; fnctl deploy")
	const url = "http://threads.localhost:8080/"
	name := m.oneInstance(t, "threads").Name
	var sockets []*websocket.Conn
	for range 2 {
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: m.Client()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		sockets = append(sockets, c)
	}
	echo := func(c *websocket.Conn, text string) error {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			return err
		}
		_, _, err := c.Read(t.Context())
		return err
	}
	began := time.Now()
	unread := m.fetchInBackground(t, url)
	m.waitReplaced(t, "threads", name)
	replaced := time.Since(began)
	m.mustGet(t, url)
	for time.Since(began) < replaced+5*time.Second {
		for _, c := range sockets {
			if err := echo(c, "alive"); err != nil {
				t.Fatalf("a WebSocket broke %v after the instance was found, which was after %v: %v", time.Since(began)-replaced, replaced, err)
			}
		}
		time.Sleep(time.Second)
	}
	for _, c := range sockets {
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("a WebSocket ended with %v", err)
		}
	}
	t.Logf("found after %v, the WebSockets were closed after %v", replaced.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if a := <-unread; a.code != http.StatusOK {
		t.Errorf("what was not read: got %d %q", a.code, a.body)
	}
	eventually(t, 10*time.Second, "the deaf one is gone", func() bool { return m.status(t, "threads").areReady(1) })
	m.MustRun(t, "fnctl", "remove", "--yes", "threads")
}

// fetchInBackground sends a GET whose answer comes later.
func (m *testMachine) fetchInBackground(t *testing.T, url string) <-chan answer {
	t.Helper()
	got := make(chan answer, 1)
	go func() {
		a, err := fetch(context.Background(), m.Client(), url)
		if err != nil {
			a.body = err.Error()
		}
		got <- a
	}()
	return got
}

// waitReplaced waits until an instance was found to be deaf, and drains.
func (m *testMachine) waitReplaced(t *testing.T, function, name string) {
	t.Helper()
	eventually(t, 5*time.Second, name+" drains", func() bool {
		return slices.ContainsFunc(m.status(t, function).Revisions[0].Instances, func(i instance) bool { return i.Name == name && i.State == "draining" })
	})
	if !slices.ContainsFunc(m.events(t, function), func(e event) bool {
		return e.Event == "replace" && e.Instance == name && strings.Contains(e.Why, "it has not read for 2s")
	}) {
		t.Error("there is no event of it")
	}
}
