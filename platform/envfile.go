package platform

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// ParseEnvFile reads a file of environment variables, one KEY=VALUE a line. Nothing in a value is expanded: $ and % are
// themselves. The file is only for messages. The error joins all errors of the file, each a *keys.Error with its line;
// none contains anything of a value, which may be a secret.
//
//	# a comment
//	PLAIN=value            # a comment after a blank
//	export EXPORTED=value
//	SINGLE='literal \n'
//	DOUBLE="a line\nanother, and \" \\ \$"
//
// A value in quotes may have several lines.
func ParseEnvFile(file string, data []byte) (map[string]string, error) {
	errs := &keys.Errors{File: file}
	if line, _, problem := keys.CheckText(data); problem != "" {
		errs.Add(line, 0, "", "%s", problem)
		return nil, errs.Err()
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := envReader{Errors: errs, rest: strings.ReplaceAll(string(data), "\r\n", "\n"), line: 1, lines: map[string]int{}}
	env := map[string]string{}
	for r.rest != "" {
		r.assignment(env)
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return env, nil
}

// envReader reads a file of environment variables from its start to its end.
type envReader struct {
	*keys.Errors
	rest string
	// line is the number of the line that rest begins in.
	line int
	// lines tells where each variable was set.
	lines map[string]int
}

// take removes n bytes from the rest and returns them.
func (r *envReader) take(n int) string {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	r.line += strings.Count(taken, "\n")
	return taken
}

// takeLine removes what is left of the line, and its end.
func (r *envReader) takeLine() string {
	if end := strings.IndexByte(r.rest, '\n'); end >= 0 {
		return strings.TrimSuffix(r.take(end+1), "\n")
	}
	return r.take(len(r.rest))
}

// assignment reads one assignment, or one line without any.
func (r *envReader) assignment(env map[string]string) {
	line := r.line
	name, err := r.name()
	if name == "" && err == nil {
		return
	}
	var value string
	if err == nil {
		value, err = r.value()
	}
	if err == nil {
		err = r.check(name, value)
	}
	if err != nil {
		r.Add(line, 0, "", "%v", err)
		return
	}
	env[name], r.lines[name] = value, line
}

func (r *envReader) check(name, value string) error {
	if line, duplicate := r.lines[name]; duplicate {
		return fmt.Errorf("%s is already set in line %d", name, line)
	}
	if err := CheckEnvName(name); err != nil {
		return err
	}
	return checkEnvValue(value)
}

// name reads the part before the value; it is "" for a blank line and for a comment.
func (r *envReader) name() (string, error) {
	end := strings.IndexAny(r.rest, "=\n")
	head := strings.TrimSpace(r.rest[:max(end, 0)])
	if end < 0 {
		head = strings.TrimSpace(r.rest)
	}
	if head == "" && (end < 0 || r.rest[end] == '\n') || strings.HasPrefix(head, "#") {
		r.takeLine()
		return "", nil
	}
	if end < 0 || r.rest[end] == '\n' {
		r.takeLine()
		return "", errors.New("a line must be KEY=VALUE, a comment or empty")
	}
	r.take(end + 1)
	if exported, ok := strings.CutPrefix(head, "export"); ok && exported != strings.TrimLeft(exported, " \t") {
		head = strings.TrimSpace(exported)
	}
	if !envNamePattern.MatchString(head) {
		r.takeLine()
		return "", CheckEnvName(head)
	}
	return head, nil
}

// value reads the value after the equals sign, to the end of its last line.
func (r *envReader) value() (string, error) {
	r.take(len(r.rest) - len(strings.TrimLeft(r.rest, " \t")))
	if r.rest == "" || !strings.ContainsRune(`'"`, rune(r.rest[0])) {
		return unquotedEnv(r.takeLine()), nil
	}
	length := quotedLength(r.rest)
	if length < 0 {
		r.takeLine()
		return "", errors.New("the quotation mark before the value has no second one after it")
	}
	value := r.take(length)
	if after := strings.TrimSpace(r.takeLine()); after != "" && !strings.HasPrefix(after, "#") {
		return "", errors.New("only a comment may follow after a value in quotes")
	}
	if value[0] == '"' {
		return unescapeEnv.Replace(value[1 : length-1]), nil
	}
	return value[1 : length-1], nil
}

// unquotedEnv is a value without quotes: it ends before a comment, which begins after a blank.
func unquotedEnv(line string) string {
	for i := range line {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return strings.TrimSpace(line)
}

// quotedLength is the length of the text in quotes that s begins with, or -1 if it doesn't end.
func quotedLength(s string) int {
	mark := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == mark:
			return i + 1
		case s[i] == '\\' && mark == '"':
			i++
		}
	}
	return -1
}

// unescapeEnv replaces the escapes of double quotes. A backslash before anything else is itself.
var unescapeEnv = strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\\`, `\`, `\$`, `$`)
