package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// Every command that the documents show is one that there is, with flags that it has.
func TestDocumentedCommands(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(io.Discard, io.Discard)
	seen := map[string]bool{}
	for _, file := range append(files, "../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range documentedCommand.FindAllStringSubmatch(string(data), -1) {
			words := strings.Fields(m[1])
			if len(words) == 0 {
				continue
			}
			command := app.Command(words[0])
			if command == nil {
				t.Errorf("%s: there is no command %q in %q", file, words[0], m[0])
				continue
			}
			seen[command.Name] = true
			for _, flag := range unknownFlags(command, words[1:]) {
				t.Errorf("%s: fnctl %s has no flag %s, in %q", file, command.Name, flag, m[0])
			}
		}
	}
	for _, command := range app.Commands {
		if !command.Hidden && !seen[command.Name] {
			t.Errorf("no document shows fnctl %s", command.Name)
		}
	}
}

// documentedCommand is a command in a text, `fnctl status NAME`, or a line of a block: as far as the next command, redirection
// or comment.
var documentedCommand = regexp.MustCompile("(?m)(?:`|^\\s*(?:\\$ )?|\\| |&& |; )(?:sudo )?fnctl ([a-z][^`|;&<>#\n]*)")

func unknownFlags(command *cli.Command, words []string) []string {
	var unknown []string
	for _, word := range words {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-["), "=")
		name = strings.TrimRight(name, "],")
		if word == "--" {
			break
		}
		if !strings.HasPrefix(strings.TrimLeft(word, "["), "-") || name == "" || name == "help" {
			continue
		}
		known := slices.ContainsFunc(command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if !known {
			unknown = append(unknown, word)
		}
	}
	return unknown
}
