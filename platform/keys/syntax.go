package keys

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxSearchSize bounds the files in which the line of a syntax error is searched, which parses them many times.
const maxSearchSize = 64 << 10

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

var yamlErrorPrefix = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// yamlHints are remedies for the commonest syntax errors.
var yamlHints = map[string]string{
	"mapping values are not allowed in this context": `check the indentation, and quote a value that contains ": "`,
	"found character that cannot start any token":    "quote a value that starts with @, ` or %",
	"did not find expected key":                      "check the indentation",
	// It takes them for the beginning of an alias or an anchor.
	"did not find expected alphabetic or numeric character": "quote a value that starts with * or &",
	"could not find expected ':'":                           "a key is followed by a colon and a space",
}

// addSyntax reports an error of the YAML parser, which names the line where the enclosing block begins, or none.
func (e *Errors) addSyntax(data []byte, err error) {
	lines := bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	number := min(syntaxLine(data, lines, err), len(lines))
	line := strings.TrimRight(string(lines[number-1]), "\r\n")
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
		e.Add(number, tab+1, "", "a tab cannot indent YAML, use spaces")
		return
	}
	problem := syntaxProblem(err)
	if hint := yamlHints[problem]; hint != "" {
		problem += "; " + hint
	}
	e.Add(number, len(indent)+1, "", "invalid YAML: %s", problem)
}

func syntaxProblem(err error) string { return yamlErrorPrefix.ReplaceAllString(err.Error(), "") }

// syntaxLine finds the line with a syntax error: the one with which the file, cut off after it, first has the same problem.
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
