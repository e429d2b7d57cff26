package snapshot

import (
	"fmt"
	"strings"
)

// The files that say what of an app is not deployed, in git's format. A .fnctlignore decides over every .gitignore, and a
// file over those in the directories above its own.
var ignoreFiles = [...]string{".fnctlignore", ".gitignore"}

// ignoreRule is one pattern of an ignore file.
type ignoreRule struct {
	file    string // from the app's directory
	line    int
	text    string
	dir     string // in which the file lies, "" or with a slash at its end
	negated bool
	dirOnly bool
	// anywhere reports that the pattern is for names, and not for paths.
	anywhere bool
	glob     ignoreGlob
}

// String says where the rule stands, and what it is.
func (r *ignoreRule) String() string { return fmt.Sprintf("%s:%d: %s", r.file, r.line, r.text) }

// parseIgnore reads an ignore file. No line is wrong: a pattern that is malformed matches nothing, as with git.
func parseIgnore(file string, data []byte) []ignoreRule {
	var rules []ignoreRule
	dir, line := file[:strings.LastIndex(file, "/")+1], 0
	for text := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		line++
		text = trimSpaces(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"))
		rule := ignoreRule{file: file, line: line, text: text, dir: dir}
		if rule.parse(text) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// parse reports whether there is a pattern that can match.
func (r *ignoreRule) parse(text string) (ok bool) {
	if strings.HasPrefix(text, "#") {
		return false
	}
	text, r.negated = strings.CutPrefix(text, "!")
	text, r.dirOnly = strings.CutSuffix(text, "/")
	r.anywhere = !strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	r.glob, ok = parseGlob(text)
	return ok && text != ""
}

// trimSpaces cuts the spaces at the end of a line, unless they are escaped.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// matches reports whether the rule is about a path, whether it excludes it or not.
func (r *ignoreRule) matches(path string, isDir bool) bool {
	if r.dirOnly && !isDir {
		return false
	}
	if r.anywhere {
		return r.glob.match(path[strings.LastIndex(path, "/")+1:])
	}
	return r.glob.match(strings.TrimPrefix(path, r.dir))
}

// ignoreRules are those that hold in a directory, of each kind of file: the last that matches decides.
type ignoreRules [len(ignoreFiles)][]ignoreRule

// with adds the rules of a file to those of the directories above. What holds there is left alone.
func (r ignoreRules) with(kind int, more []ignoreRule) ignoreRules {
	r[kind] = append(r[kind][:len(r[kind]):len(r[kind])], more...)
	return r
}

// find returns the rule that excludes a path, or nil.
func (r ignoreRules) find(path string, isDir bool) *ignoreRule {
	for _, rules := range r {
		for i := len(rules) - 1; i >= 0; i-- {
			if rule := &rules[i]; rule.matches(path, isDir) {
				if rule.negated {
					return nil
				}
				return rule
			}
		}
	}
	return nil
}
