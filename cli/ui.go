package cli

// The rules of output. What a command was asked for goes to stdout, as a table for people or, with -o json, as JSON for
// programs. Everything else goes to stderr: progress while something takes its time, what makes an answer incomplete as
// "fnctl: warning: …", then at most one error, as "fnctl: error: …", each with a hint at what to do, as "fnctl: hint: …".
// No capitals, no full stops. The exit status is 0, 1 for a failure and 2 for wrong usage.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/platform"
)

func printError(w io.Writer, err error) { printProblem(w, "error", err) }

func printWarning(w io.Writer, err error) { printProblem(w, "warning", err) }

// printProblem prints each error of a joined error on its own line, then the hint.
func printProblem(w io.Writer, kind string, err error) {
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintf(w, "fnctl: %s: %s\n", kind, line)
	}
	if hint := platform.HintOf(err); hint != "" {
		fmt.Fprintf(w, "fnctl: hint: %s\n", hint)
	}
}

// outputFlag is on every command that prints data.
func outputFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT` of the output: table or json",
		Action: func(_ *cli.Context, value string) error {
			if value != "table" && value != "json" {
				return platform.UsageError(fmt.Errorf("--output is table or json, not %q", value))
			}
			return nil
		},
	}
}

func wantsJSON(c *cli.Context) bool { return c.String("output") == "json" }

func printJSON(w io.Writer, v any) error {
	encoder := newEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printJSONLine prints one of many objects, on a line of its own.
func printJSONLine(w io.Writer, v any) error { return newEncoder(w).Encode(v) }

func newEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(raw(w))
	encoder.SetEscapeHTML(false)
	return encoder
}

func newTable(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	return t
}

// isTerminal reports whether a person is watching.
func isTerminal(w io.Writer) bool {
	file, ok := raw(w).(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
