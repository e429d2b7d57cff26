package keys

import (
	"regexp"
	"slices"
	"strings"
)

// Command is a command line: its words in a list, or one string that is split at blanks. No shell reads it.
type Command struct{}

// shellCharacters mean something to a shell: a string that has one of them would not do what it seems to.
const shellCharacters = "\"'\\`$|&;<>()[]{}*?!~#"

// Decode implements Kind. The words are one at least, and the first is not empty.
func (k Command) Decode(n Node) ([]string, bool) {
	words, ok := k.split(n)
	switch {
	case !ok:
		return nil, false
	case len(words) == 0 || words[0] == "":
		n.Report("must name a program")
		return nil, false
	case slices.ContainsFunc(words, func(word string) bool { return strings.ContainsRune(word, 0) }):
		n.Report("must not contain a NUL character")
		return nil, false
	}
	return words, true
}

func (k Command) split(n Node) ([]string, bool) {
	if n.IsList() {
		return k.literals(n)
	}
	line, ok := n.Text()
	if !ok {
		n.MustBe(k.Describe())
		return nil, false
	}
	if i := strings.IndexAny(line, shellCharacters); i >= 0 {
		n.Report("no shell reads the command, %q would be taken literally: write a list of words to mean that", line[i])
		return nil, false
	}
	return strings.Fields(line), true
}

func (Command) literals(n Node) (words []string, ok bool) {
	ok = true
	for _, item := range n.Items() {
		word, isLiteral := item.Literal()
		if !isLiteral {
			item.MustBe("a word of the command")
		}
		words, ok = append(words, word), ok && isLiteral
	}
	return words, ok
}

// Schema implements Kind.
func (Command) Schema() Schema {
	word := "[^" + regexp.QuoteMeta(shellCharacters)
	return Schema{"type": []string{"array", "string"}, "pattern": "^" + word + "]*" + word + `\s]` + word + "]*$",
		"items": Schema{"type": []string{"string", "number", "boolean"}}, "minItems": 1}
}

// Describe implements Kind.
func (Command) Describe() string {
	return "a list of words, or one string without quotes and other characters of a shell"
}
