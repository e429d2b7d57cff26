package keys

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	// maxYAMLDepth is far more than the few levels of a file of keys.
	maxYAMLDepth = 20
	// maxYAMLSize bounds the document that aliases can make of a file. A file of the largest size without aliases stays
	// below it.
	maxYAMLSize = 4 * MaxFileSize
)

// parseYAML reads the single document of a file and returns its root, with every alias replaced by what it stands for.
// It returns nil if the document is empty or if there are errors.
func (e *Errors) parseYAML(data []byte) *yaml.Node {
	if line, column, problem := CheckText(data); problem != "" {
		e.Add(line, column, "", "%s", problem)
		return nil
	}
	documents, err := yamlDocuments(data)
	if err != nil {
		e.addSyntax(data, err)
		return nil
	}
	if len(documents) == 0 {
		return nil
	}
	if len(documents) > 1 {
		e.Add(documents[1].Line, documents[1].Column, "", "the file must have one YAML document, here begins a second one")
		return nil
	}
	budget := maxYAMLSize
	e.expand(documents[0], 0, &budget)
	root := documents[0].Content[0]
	if e.any() || isNull(root) {
		return nil
	}
	return root
}

// yamlTags are the tags of plain YAML; any other asks for a type that a file of keys has no use for.
var yamlTags = []string{"", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp", "!!merge"}

// expand replaces aliases by what they stand for, and checks tags. The budget bounds the size of the expanded document,
// because a small file can nest aliases into a huge one.
func (e *Errors) expand(n *yaml.Node, depth int, budget *int) {
	*budget -= 1 + len(n.Value)
	switch {
	case *budget < 0:
		e.Add(n.Line, n.Column, "", "aliases make the file larger than 4 MiB, write the values out")
		return
	case depth > maxYAMLDepth:
		*budget = -1
		e.Add(n.Line, n.Column, "", "nested more than %d levels deep", maxYAMLDepth)
		return
	case n.Kind != yaml.DocumentNode && !slices.Contains(yamlTags, n.ShortTag()):
		e.Add(n.Line, n.Column, "", "the tag %s is not supported, write a plain value", Quote(n.ShortTag()))
	}
	for i, child := range n.Content {
		if child.Kind == yaml.AliasNode {
			expanded := *child.Alias
			expanded.Line, expanded.Column = child.Line, child.Column
			child = &expanded
			n.Content[i] = child
		}
		e.expand(child, depth+1, budget)
		if *budget < 0 {
			return
		}
	}
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
		return Quote(n.Value)
	}
	return strings.Trim(Quote(n.Value), `"`)
}
