//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The shells complete what somebody types, and what is there on this machine: the command that is run in the end was
// nowhere typed in full.
func testPackageShells(t *testing.T, m *testMachine) {
	for shell, start := range map[string]string{
		"bash --norc -i": ". /usr/share/bash-completion/completions/fnctl",
		"zsh -f -i":      "autoload -Uz compinit && compinit -u",
		"fish -i":        "true",
	} {
		name, _, _ := strings.Cut(shell, " ")
		t.Run(name, func(t *testing.T) {
			terminal := m.openTerminal(t, shell)
			terminal.types(start + "; echo rea'dy'\n")
			terminal.shows(t, "ready")
			for _, line := range []struct{ typed, completed string }{
				{"fnctl stat", "fnctl status"},
				{"fnctl status pi", "fnctl status ping"},
				{"fnctl rollback ping 0", "fnctl rollback ping 00001"},
				{"fnctl scale ping --rep", "fnctl scale ping --replicas"},
			} {
				terminal.types(line.typed + "\t")
				terminal.shows(t, line.completed)
				terminal.types("\x15") // deletes the line
			}
			terminal.types("fnctl status pi\t")
			terminal.shows(t, "fnctl status ping")
			terminal.types("\n")
			terminal.shows(t, "http://ping.localhost:8080")
		})
	}
}

func (m *testMachine) tempDir(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(m.MustRun(t, "mktemp", "--directory"))
}

// terminal is an interactive program on the machine.
type terminal struct {
	in   io.Writer
	mu   sync.Mutex
	seen strings.Builder
}

func (m *testMachine) openTerminal(t *testing.T, command string) *terminal {
	t.Helper()
	cmd := m.Command(t.Context(), "script", "--quiet", "--flush", "--return", "--command", command, "/dev/null")
	cmd.Env = append(cmd.Env, "HOME="+m.tempDir(t)) // fish writes to it
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{in: in}
	cmd.Stdout, cmd.Stderr = term, term
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // at the latest the end of the test ends it
	})
	return term
}

func (term *terminal) Write(p []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.Write(p)
}

func (term *terminal) types(text string) {
	term.mu.Lock()
	term.seen.Reset()
	term.mu.Unlock()
	_, _ = io.WriteString(term.in, text) // if it has ended, nothing is shown
}

func (term *terminal) shows(t *testing.T, text string) {
	t.Helper()
	seen := func() string {
		term.mu.Lock()
		defer term.mu.Unlock()
		return printable(term.seen.String())
	}
	for deadline := time.Now().Add(20*time.Second + slack); !strings.Contains(seen(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal doesn't show %q but %q", text, seen())
		}
	}
}

var controls = regexp.MustCompile(`\x1b(\[[0-9;?>=]*[a-zA-Z]|[()].|\][^\x07\x1b]*(\x07|\x1b\\)|[=>])|[\x00-\x09\x0b-\x1f]`)

// printable is what a terminal shows, about: without its control sequences.
func printable(text string) string {
	return controls.ReplaceAllString(text, "")
}

func testPackageManual(t *testing.T, m *testMachine) {
	for _, page := range []string{"fnctl", "fnctl-deploy", "jcloud.yml", "fnctl.yml"} {
		out, err := m.Run(t.Context(), "man", "--warnings", page)
		if err != nil || out.Stderr != "" || !strings.Contains(out.Stdout, "SEE ALSO") {
			t.Errorf("man %s: %v\n%s%s", page, err, out.Stdout, out.Stderr)
		}
	}
	m.MustRun(t, "sh", "-c", "zgrep -q 'Go Authors' /usr/share/doc/fnctl/third-party-notices.gz && zgrep -q '^fnctl (' /usr/share/doc/fnctl/changelog.gz")
}

// What the dashboard asks Prometheus for is PromQL, in its opinion, too.
func testPackageDashboard(t *testing.T, m *testMachine) {
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(m.MustRun(t, "cat", "/usr/share/fnctl/grafana/fnctl.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	rules := strings.Builder{}
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			n++
			expression := strings.NewReplacer("$__rate_interval", "1m", "$function", ".*").Replace(target.Expr)
			fmt.Fprintf(&rules, "      - record: dashboard_%d\n        expr: %q\n", n, expression)
		}
	}
	m.WriteFile(t, "/var/tmp/rules.yml", rules.String())
	if out := m.MustRun(t, "promtool", "check", "rules", "/var/tmp/rules.yml"); !strings.Contains(out, fmt.Sprintf("%d rules found", n)) {
		t.Errorf("of %d expressions promtool says:\n%s", n, out)
	}
}
