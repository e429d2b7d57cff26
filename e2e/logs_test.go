//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// What apps write beside plain text: a progress bar, another encoding, a command to the terminal, JSON, and a line that journald splits.
const oddLines = `
import json, sys
for i in range(0, 101, 5):
    sys.stderr.write("\rDownloading: %3d%%|%s" % (i, "#" * (i // 5)))
sys.stderr.write("\n\x1b[31mred\n")
sys.stderr.flush()
sys.stdout.buffer.write("Straße".encode("latin-1") + b" not found\n")
print(json.dumps({"level": "error", "msg": "x" * 5000}))
print("begin" + "y" * 200000 + "end")
sys.stdout.flush()

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
`

// Text is text, whatever was written, and whole.
func testOddLines(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/odd/main.py", oddLines)
	m.WriteFile(t, "/srv/odd/jcloud.yml", serverless)
	m.MustRunIn(t, "/srv/odd", "fnctl", "deploy", "main:app")
	wanted := []string{
		": Downloading: 100%|####################\n", `: \x1b[31mred` + "\n", ": Stra\uFFFDe not found\n",
		`"msg": "` + strings.Repeat("x", 5000) + `"}` + "\n", ": begin" + strings.Repeat("y", 200000) + "end\n",
	}
	check := func(how, text string) {
		t.Helper()
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("%s doesn't show %.60q", how, want)
			}
		}
		if strings.Contains(text, "blob data") || strings.Contains(text, "\x1b") || strings.Contains(text, "\r") {
			t.Errorf("%s shows what is no text", how)
		}
	}
	eventually(t, 10*time.Second, "all is in the journal", func() bool { return strings.Contains(m.MustRun(t, "fnctl", "logs", "odd"), "yend\n") })
	check("logs", m.MustRun(t, "fnctl", "logs", "odd"))
	check("logs --revision", m.MustRun(t, "fnctl", "logs", "odd", "--revision", "1", "--since", "-10min"))
	m.WriteFile(t, "/run/odd", "")
	stop := m.Start(t, "sh", "-c", "exec fnctl logs odd -f >/run/odd")
	eventually(t, 10*time.Second, "-f shows it", func() bool { return strings.Contains(m.MustRun(t, "cat", "/run/odd"), "yend\n") })
	check("logs -f", m.MustRun(t, "cat", "/run/odd"))
	stop(syscall.SIGINT)
	var said []string
	for _, entry := range parseLines[map[string]string](t, m.MustRun(t, "fnctl", "logs", "odd", "-o", "json")) {
		said = append(said, ": "+entry["MESSAGE"]+"\n")
	}
	wanted[1] = ": \x1b[31mred\n"
	text := strings.Join(said, "")
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("JSON doesn't have %.60q", want)
		}
	}
	m.MustRun(t, "fnctl", "remove", "odd", "--purge")
}

// An app that answers /bad in lines that end in a bare LF.
const bareLF = `
import socket
listener = socket.socket(fileno=3)
while True:
    conn, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        part = conn.recv(65536)
        if not part:
            break
        head += part
    end = b"\n" if b"/bad" in head else b"\r\n"
    conn.sendall(end.join([b"HTTP/1.1 200 OK", b"Connection: close", b"Content-Length: 0", b"", b""]))
    conn.close()
`

// Why an answer was refused is in the function's log, and for its visitors it is not.
func testRefusedAnswer(t *testing.T, m *testMachine) {
	m.WriteFile(t, "/srv/bare/main.py", bareLF)
	m.WriteFile(t, "/srv/bare/jcloud.yml", "command: /usr/bin/python3 main.py\nautoscale: {min: 1, max: 1}\n")
	m.MustRunIn(t, "/srv/bare", "fnctl", "deploy")
	const reason = "a line ends in a bare LF"
	if got := m.MustRun(t, "curl", "-s", "-w", " %{http_code}", "http://bare.localhost:8080/bad"); strings.Contains(got, "LF") || !strings.Contains(got, "see fnctl logs bare\n 502") {
		t.Errorf("the visitor gets %q", got)
	}
	for _, args := range [][]string{{"bare"}, {"bare", "--revision", "1"}, {"bare", "--since", "-10min", "-o", "json"}} {
		eventually(t, 10*time.Second, "the reason is in the log", func() bool {
			got := m.MustRun(t, "fnctl", append([]string{"logs"}, args...)...)
			return strings.Contains(got, reason) && strings.Contains(got, "Started")
		})
	}
	m.MustRun(t, "fnctl", "remove", "bare", "--purge")
}
