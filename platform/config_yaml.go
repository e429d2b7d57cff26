package platform

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	// maxYAMLDepth is far more than the three levels of a jcloud.yml.
	maxYAMLDepth = 20
	// maxYAMLSize bounds the document that aliases can make of a file. A file of the largest size without aliases stays
	// below it.
	maxYAMLSize = 4 * maxConfigSize
	// maxSearchSize bounds the files in which the line of a syntax error is searched, which parses them many times.
	maxSearchSize = 64 << 10
)

// parseYAML reads the single document of a file and returns its root, with every alias replaced by what it stands for.
// It returns nil if the document is empty or if there are problems.
func (p *problems) parseYAML(data []byte) *yaml.Node {
	if len(data) > maxConfigSize {
		p.add(1, 1, "", "the file is larger than 1 MiB")
		return nil
	}
	if line, column, invalid := invalidUTF8(data); invalid {
		p.add(line, column, "", "the file must be UTF-8 text")
		return nil
	}
	documents, err := yamlDocuments(data)
	if err != nil {
		p.addSyntax(data, err)
		return nil
	}
	if len(documents) == 0 {
		return nil
	}
	if len(documents) > 1 {
		p.add(documents[1].Line, documents[1].Column, "", "the file must have one YAML document, here begins a second one")
		return nil
	}
	budget := maxYAMLSize
	p.expand(documents[0], 0, &budget)
	root := documents[0].Content[0]
	if p.any() || isNull(root) {
		return nil
	}
	return root
}

// yamlDocuments returns the first two documents, which is enough to see that there are several.
func yamlDocuments(data []byte) (documents []*yaml.Node, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for len(documents) < 2 {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, &document)
	}
	return documents, nil
}

func invalidUTF8(data []byte) (line, column int, invalid bool) {
	if utf8.Valid(data) {
		return 0, 0, false
	}
	rest := data
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			break
		}
		rest = rest[size:]
	}
	before := data[:len(data)-len(rest)]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1, true
}

// yamlTags are the tags of plain YAML; any other asks for a type that a jcloud.yml has no use for.
var yamlTags = []string{"", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp", "!!merge"}

// expand replaces aliases by what they stand for, and checks tags. The budget bounds the size of the expanded document,
// because a small file can nest aliases into a huge one.
func (p *problems) expand(n *yaml.Node, depth int, budget *int) {
	*budget -= 1 + len(n.Value)
	switch {
	case *budget < 0:
		p.add(n.Line, n.Column, "", "aliases make the file larger than 4 MiB, write the values out")
		return
	case depth > maxYAMLDepth:
		*budget = -1
		p.add(n.Line, n.Column, "", "nested more than %d levels deep", maxYAMLDepth)
		return
	case n.Kind != yaml.DocumentNode && !slices.Contains(yamlTags, n.ShortTag()):
		p.add(n.Line, n.Column, "", "the tag %s is not supported, write a plain value", quoted(n.ShortTag()))
	}
	for i, child := range n.Content {
		if child.Kind == yaml.AliasNode {
			expanded := *child.Alias
			expanded.Line, expanded.Column = child.Line, child.Column
			child = &expanded
			n.Content[i] = child
		}
		p.expand(child, depth+1, budget)
		if *budget < 0 {
			return
		}
	}
}

var yamlErrorPrefix = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// yamlHints say what to do about the commonest syntax errors.
var yamlHints = map[string]string{
	"mapping values are not allowed in this context": `check the indentation, and quote a value that contains ": "`,
	"found character that cannot start any token":    "quote a value that starts with @, ` or %",
	"did not find expected key":                      "check the indentation",
	"could not find expected ':'":                    "a key is followed by a colon and a space",
}

func (p *problems) addSyntax(data []byte, err error) {
	lines := bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	number := min(syntaxLine(data, lines, err), len(lines))
	line := strings.TrimRight(string(lines[number-1]), "\r\n")
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
		p.add(number, tab+1, "", "a tab cannot indent YAML, use spaces")
		return
	}
	problem := syntaxProblem(err)
	if hint := yamlHints[problem]; hint != "" {
		problem += "; " + hint
	}
	p.add(number, len(indent)+1, "", "invalid YAML: %s", problem)
}

func syntaxProblem(err error) string { return yamlErrorPrefix.ReplaceAllString(err.Error(), "") }

// syntaxLine finds the line with a syntax error. The parser names the line where the enclosing block begins, or none; the
// line that breaks it is the one with which the file, cut off after it, first has the same problem.
func syntaxLine(data []byte, lines [][]byte, err error) int {
	if len(data) > maxSearchSize {
		named, _ := strconv.Atoi(yamlErrorPrefix.ReplaceAllString(yamlErrorPrefix.FindString(err.Error()), "$1"))
		return max(named, 1)
	}
	problem := syntaxProblem(err)
	ends := make([]int, len(lines))
	for i, end := 0, 0; i < len(lines); i++ {
		end += len(lines[i])
		ends[i] = end
	}
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		_, err := yamlDocuments(data[:ends[i]])
		return err != nil && syntaxProblem(err) == problem
	})
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// shown describes a value in an error message.
func shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	case n.ShortTag() == "!!str":
		return quoted(n.Value)
	}
	return strings.Trim(quoted(n.Value), `"`)
}

// quoted quotes what a user wrote so that it fits into an error message of one line.
func quoted(s string) string {
	const limit = 40
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// shownKey is the name of a key in an error message: quoted where it is no plain word.
func shownKey(name string) string {
	if q := quoted(name); name == "" || q != `"`+name+`"` {
		return q
	}
	return name
}
