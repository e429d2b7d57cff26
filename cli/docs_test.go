package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

const reference = "../docs/cli.md"

// The reference of the commands is made from what --help prints. Write it anew: go test ./cli -run Reference -update
func TestReference(t *testing.T) {
	const begin = "<!-- the commands: begin -->\n"
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(data), begin)
	if !found {
		t.Fatalf("%s: no mark where the commands begin", reference)
	}
	want := before + begin + commandReference(newApp(io.Discard, io.Discard))
	if *Update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(data) {
		t.Errorf("%s is not what the commands say; go test ./cli -run Reference -update writes it", reference)
	}
}

func commandReference(app *cli.App) string {
	var b strings.Builder
	for _, command := range app.VisibleCommands() {
		fmt.Fprintf(&b, "\n## fnctl %s\n\n%s.\n\n```\n%s\n```\n", command.Name, capital(command.Usage), command.UsageText)
		if command.Description != "" {
			fmt.Fprintf(&b, "\n%s\n", command.Description)
		}
		if len(command.Aliases) > 0 {
			fmt.Fprintf(&b, "\nOther name: `fnctl %s`.\n", strings.Join(command.Aliases, "`, `fnctl "))
		}
		if len(command.Flags) == 0 {
			continue
		}
		b.WriteString("\n| flag | |\n|---|---|\n")
		for _, flag := range command.Flags {
			b.WriteString(flagReference(flag))
		}
	}
	return b.String()
}

// flagReference is a row: the names with what the flag takes, what it does, and its default.
func flagReference(flag cli.Flag) string {
	doc := flag.(cli.DocGenerationFlag)
	placeholder, usage := "", doc.GetUsage()
	// The library takes the name of the value out of backquotes, too.
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		placeholder, usage = " "+parts[1], parts[0]+parts[1]+parts[2]
	}
	var names []string
	for _, name := range flag.Names() {
		names = append(names, "`"+strings.Repeat("-", min(len(name), 2))+name+placeholder+"`")
	}
	if initial := strings.Trim(doc.GetDefaultText(), `"`); doc.TakesValue() && initial != "" && initial != "0" {
		usage += " (default: " + initial + ")"
	}
	return fmt.Sprintf("| %s | %s |\n", strings.Join(names, ", "), strings.ReplaceAll(usage, "|", `\|`))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
