package build

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// interpreterOf is the program that a script names in its first line, "" if it names none.
func interpreterOf(script string) string {
	file, err := os.Open(script)
	if err != nil {
		return ""
	}
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, 256)).ReadBytes('\n') // as much as the kernel reads
	named, is := bytes.CutPrefix(line, []byte("#!"))
	fields := strings.Fields(string(named))
	if !is || len(fields) == 0 || !filepath.IsAbs(fields[0]) {
		return ""
	}
	if filepath.Base(fields[0]) != "env" || len(fields) < 2 {
		return fields[0]
	}
	return onSystemPath(fields[len(fields)-1])
}
