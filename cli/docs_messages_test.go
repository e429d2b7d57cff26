package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every message that troubleshooting.md explains is one that the code has.
func TestDocumentedMessages(t *testing.T) {
	data, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	literals := stringLiterals(t, "..")
	quoted := documentedMessages(string(data))
	if len(quoted) < 15 {
		t.Errorf("only %d messages were found", len(quoted))
	}
	for _, message := range quoted {
		if !isSaid(message, literals) {
			t.Errorf("docs/troubleshooting.md explains %q, which the code never says", message)
		}
	}
	if isSaid("no function has the host …", literals) {
		t.Error("a message that there is not was found")
	}
}

var (
	// messageRow is the first column of a table, messageHeading a heading.
	messageRow     = regexp.MustCompile("(?m)^\\| (`.*?`) \\|")
	messageHeading = regexp.MustCompile("(?m)^## (.*`.*)$")
	inBackquotes   = regexp.MustCompile("`([^`]+)`")
	// chosen is what stands for something in a message of the documents: names, numbers and what is left out.
	chosen = regexp.MustCompile(`…|\bNAME\b|"x"|\d+(/[A-Z_]+)?|\(…\)`)
	// verb is what stands for something in a message of the code.
	verb = regexp.MustCompile(`%[-+ #0-9.]*[a-zA-Z]`)
)

func documentedMessages(text string) (messages []string) {
	// Rows that begin with a command or a unit are no messages.
	for _, row := range append(messageRow.FindAllStringSubmatch(text, -1), messageHeading.FindAllStringSubmatch(text, -1)...) {
		for _, m := range inBackquotes.FindAllStringSubmatch(row[1], -1) {
			if !strings.HasPrefix(m[1], "systemctl ") && !strings.HasPrefix(m[1], "…/") {
				messages = append(messages, m[1])
			}
		}
	}
	return messages
}

// isSaid reports whether some literal of the code is, or has in it, what is fixed of a message, in its order.
func isSaid(message string, literals []string) bool {
	parts := chosen.Split(message, -1)
	for _, literal := range literals {
		if hasParts(literal, parts) {
			return true
		}
		// A literal whose verbs stand for more: "%s not found" is "uvicorn not found".
		if fixed := verb.Split(literal, -1); len(strings.Join(fixed, "")) >= len(" not found") && len(fixed) > 1 && hasParts(message, fixed[:2]) {
			return true
		}
	}
	return false
}

// hasParts reports whether a text has parts one after the other.
func hasParts(text string, parts []string) bool {
	found := false
	for _, part := range parts {
		part = strings.TrimSpace(part)
		_, after, has := strings.Cut(text, part)
		if !has {
			return false
		}
		found = found || len(part) >= len("deaf")
		text = after
	}
	return found
}

// stringLiterals are those of all packages of the program below a directory.
func stringLiterals(t *testing.T, root string) (literals []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(name, ".") && name != ".." || name == "e2e" || name == "testdata" || name == "dist"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, is := n.(*ast.BasicLit); is && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					literals = append(literals, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return literals
}
