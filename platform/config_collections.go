package platform

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// textList is a list of one kind of text, or a single one.
type textList struct{ of checkedText }

func (k textList) decode(v configValue) (any, bool) {
	items := []configValue{v}
	switch v.node.Kind {
	case yaml.SequenceNode:
		items = v.items()
	case yaml.MappingNode:
		return v.mustBe(k.words())
	}
	texts, ok := []string{}, true
	for _, item := range items {
		decoded, valid := k.of.decode(item)
		text, _ := decoded.(string)
		texts, ok = append(texts, text), ok && valid
	}
	return texts, ok
}

func (k textList) schema() schema {
	return schema{"type": []string{"string", "array"}, "pattern": k.of.pattern, "items": k.of.schema()}
}
func (k textList) words() string { return k.of.what + ", or a list of them" }

// argv is a command line: its words in a list, or one string that is split at blanks. No shell reads it.
type argv struct{}

// shellCharacters mean something to a shell, so whoever writes them into a string expects what won't happen.
const shellCharacters = "\"'\\`$|&;<>()[]{}*?!~#"

func (k argv) decode(v configValue) (any, bool) {
	words, ok := k.split(v)
	switch {
	case !ok:
		return nil, false
	case len(words) == 0 || words[0] == "":
		v.problem("must name a program")
		return nil, false
	case slices.ContainsFunc(words, func(word string) bool { return strings.ContainsRune(word, 0) }):
		v.problem("must not contain a NUL character")
		return nil, false
	}
	return words, true
}

func (k argv) split(v configValue) ([]string, bool) {
	if v.node.Kind == yaml.SequenceNode {
		return k.literals(v)
	}
	line, ok := v.text()
	if !ok {
		v.mustBe(k.words())
		return nil, false
	}
	if i := strings.IndexAny(line, shellCharacters); i >= 0 {
		v.problem("no shell reads the command, %q would be taken literally: write a list of words to mean that", line[i])
		return nil, false
	}
	return strings.Fields(line), true
}

func (argv) literals(v configValue) (words []string, ok bool) {
	ok = true
	for _, item := range v.items() {
		word, isLiteral := item.literal()
		if !isLiteral {
			item.mustBe("a word of the command")
		}
		words, ok = append(words, word), ok && isLiteral
	}
	return words, ok
}

func (argv) schema() schema {
	word := "[^" + regexp.QuoteMeta(shellCharacters)
	return schema{"type": []string{"array", "string"}, "pattern": "^" + word + "]*" + word + `\s]` + word + "]*$",
		"items": schema{"type": []string{"string", "number", "boolean"}}, "minItems": 1}
}
func (argv) words() string {
	return "a list of words, or one string without quotes and other characters of a shell"
}

// dictionary maps names to texts. Numbers and booleans are taken as they are written.
type dictionary struct {
	checkName  func(string) error
	checkValue func(string) error
	// names is the schema of a name.
	names schema
	what  string
}

// errNoLiteral doesn't show the value, which may be a secret.
var errNoLiteral = errors.New(`must be a text, a number or a boolean; "" is an empty text`)

func (k dictionary) decode(v configValue) (any, bool) {
	decoded, ok := map[string]string{}, true
	isMapping := v.entries(k.words(), func(name string, entry configValue) {
		text, isLiteral := entry.literal()
		err := k.checkName(name)
		if err == nil && !isLiteral {
			err = errNoLiteral
		}
		if err == nil {
			err = k.checkValue(text)
		}
		if err != nil {
			entry.problem("%v", err)
			ok = false
		}
		decoded[name] = text
	})
	return decoded, ok && isMapping
}

func (k dictionary) schema() schema {
	return schema{"type": []string{"object"}, "propertyNames": k.names,
		"additionalProperties": schema{"type": []string{"string", "number", "boolean"}}}
}
func (k dictionary) words() string { return k.what }
