//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Every block of commands in the documents works, in their order, on a machine where the first function of operate.md is
// deployed. A block that cannot be run here has a comment before it that says why: <!-- not run: … -->.
func TestDocs(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.WriteFile(t, docsDir+"/password.txt", "swordfish\n")
	m.WriteFile(t, docsDir+"/key.pem", "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n")
	m.WriteFile(t, docsDir+"/secrets.env", "DB_PASSWORD=swordfish\n")
	first := filepath.Join(machine.Root(), "docs/operate.md")
	files, err := filepath.Glob(filepath.Join(machine.Root(), "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, file := range append([]string{first, filepath.Join(machine.Root(), "README.md")}, files...) {
		if file == first && run > 0 {
			continue
		}
		for _, block := range commandBlocks(t, file) {
			run++
			out, err := m.RunIn(t.Context(), docsDir, "sh", "-ec", block.script)
			if err != nil {
				t.Errorf("%s:%d: %v\n%s%s%s", file, block.line, err, block.script, out.Stdout, out.Stderr)
			}
		}
	}
	if run < 10 {
		t.Errorf("only %d blocks were found", run)
	}
	t.Run("Caddyfile", func(t *testing.T) { testCaddyfile(t, m) })
}

// The Caddyfile of the documents is one that Caddy takes.
func testCaddyfile(t *testing.T, m *testMachine) {
	data, err := os.ReadFile(filepath.Join(machine.Root(), "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$").FindSubmatch(data)
	if found == nil {
		t.Fatal("there is none")
	}
	m.WriteFile(t, "/root/Caddyfile", string(found[1]))
	if got := m.MustRun(t, "caddy", "adapt", "--config", "/root/Caddyfile"); !strings.Contains(got, "/run/fnctl/proxy.sock") {
		t.Errorf("got %s", got)
	}
}

// docsDir is the directory of the function hello, and has the files that the documents take for granted.
const docsDir = "/srv/hello"

type commandBlock struct {
	line   int
	script string
}

var (
	shellBlock = regexp.MustCompile("(?ms)^(?:<!-- (not run): .*?-->\n+)?```(sh|console)\n(.*?)^```$")
	// following commands end only when they are stopped.
	following = regexp.MustCompile(`(?m)^(.*(?:fnctl|journalctl) .*-f\b.*)$`)
)

// commandBlocks finds the blocks of a document that are to be run. The function is called hello, and everybody is root.
func commandBlocks(t *testing.T, file string) []commandBlock {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []commandBlock
	for _, m := range shellBlock.FindAllSubmatchIndex(data, -1) {
		if m[2] >= 0 {
			continue
		}
		text := string(data[m[6]:m[7]])
		if string(data[m[4]:m[5]]) == "console" {
			text = typed(text)
		}
		text = strings.NewReplacer("sudo ", "", "NAME", "hello", "--rollout 60s", "--rollout 5s").Replace(text)
		text = following.ReplaceAllString(text, "timeout 2 $1 || test $$? = 124")
		blocks = append(blocks, commandBlock{line: 1 + bytes.Count(data[:m[6]], []byte("\n")), script: text})
	}
	return blocks
}

// typed are the commands of a transcript.
func typed(transcript string) string {
	var b strings.Builder
	for line := range strings.Lines(transcript) {
		if command, is := strings.CutPrefix(line, "$ "); is {
			fmt.Fprint(&b, command)
		}
	}
	return b.String()
}
