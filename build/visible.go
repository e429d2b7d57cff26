package build

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// maxLinks bounds how many links a path may go through, as the kernel does.
const maxLinks = 40

// checkVisible refuses a program of the machine that an instance would not see, or not be allowed to execute: the kernel would only say
// that there is no such file. Each link on the way is followed. What cannot be looked at is not refused.
func checkVisible(program string, config platform.Config) error {
	at, via := "/", ""
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(program), "/"), "/")
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		hidden := config.HiddenFrom(next)
		if hidden != "" && len(rest) == 0 {
			return errHidden(program, via, next, hidden)
		}
		info, err := os.Lstat(next)
		if err != nil {
			return nil //nolint:nilerr // others say that it is missing
		}
		if info.Mode()&os.ModeSymlink != 0 {
			if hidden != "" {
				return errHidden(program, via, next, hidden) // nor does it see the link
			}
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return nil //nolint:nilerr // see above
			}
			via = next
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(strings.Trim(filepath.Clean(target), "/"), "/"), rest...)
			continue
		}
		// In the place of a hidden directory there is one that can be entered, for what is opened in it.
		if hidden == "" && info.Mode().Perm()&0o001 == 0 {
			return platform.WithHint(fmt.Errorf("functions cannot execute %s: %s has the mode %04o", program, next, info.Mode().Perm()), "chmod o+rx %s", next)
		}
		at = next
	}
	return nil
}

func errHidden(program, via, at, hidden string) error {
	err := fmt.Errorf("functions see nothing of %s, where %s is", hidden, program)
	if via != "" {
		err = fmt.Errorf("%s is a link to %s, and functions see nothing of %s", via, at, hidden)
	}
	return platform.WithHint(err, "install it elsewhere, such as in /usr/local or /opt, or open its directory: read_only_paths: [%s]", filepath.Dir(at))
}

// scriptHead is as much of a script as the kernel reads.
const scriptHead = 256

// firstLine is the first line of a script behind the mark of one, "" if it has none. isText reports whether the file begins as a text does.
func firstLine(script string) (line string, isText bool) {
	file, err := os.Open(script)
	if err != nil {
		return "", false
	}
	defer file.Close()
	head, _ := io.ReadAll(io.LimitReader(file, scriptHead))
	first, _, _ := strings.Cut(string(head), "\n")
	line, marked := strings.CutPrefix(first, "#!")
	if !marked {
		line = ""
	}
	return line, len(head) > 0 && !slices.ContainsFunc(head, func(b byte) bool { return b < ' ' && b != '\t' && b != '\n' && b != '\r' })
}

// interpreterOf is the program that a script names in its first line, "" if it names none.
func interpreterOf(script string) string {
	line, _ := firstLine(script)
	fields := strings.Fields(line)
	if len(fields) == 0 || !filepath.IsAbs(fields[0]) {
		return ""
	}
	if filepath.Base(fields[0]) != "env" || len(fields) < 2 {
		return fields[0]
	}
	return onSystemPath(fields[len(fields)-1])
}

// checkInterpreter refuses a script that the kernel cannot execute, as its first line does not name a program. What is looked for by name
// may be a program of the app's packages.
func checkInterpreter(script string, packages bool) error {
	line, isText := firstLine(script)
	switch {
	case strings.HasSuffix(line, "\r"):
		return platform.WithHint(fmt.Errorf("%s has the line ends of Windows, and so its first line names no program", script), "sed -i 's/\\r$//' %s", script)
	case line == "" && isText:
		return platform.WithHint(fmt.Errorf("%s is a text, and its first line names no program to run it", script), "#!/bin/sh, or #!/usr/bin/env python3")
	}
	fields := strings.Fields(line)
	if len(fields) == 0 || !filepath.IsAbs(fields[0]) {
		return nil
	}
	var missing string
	switch byName := len(fields) == 2 && filepath.Base(fields[0]) == "env"; {
	case !platform.Exists(fields[0]):
		missing = fields[0]
	case byName && !packages && onSystemPath(fields[1]) == "":
		missing = fields[1]
	default:
		return nil
	}
	return platform.WithHint(fmt.Errorf("%s is a script for %s, which is not installed", script, missing), "%s", installHint(missing))
}

// installHint is what to do about a program that is not installed.
func installHint(program string) string {
	if filepath.Base(program) == "python" {
		return "the machine's Python is python3; that of a requirements.txt is python, too"
	}
	return "a program of the machine must be installed"
}
