package public

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/fnctl/fnctl/platform"
)

// edit is a change of the settings file. Comments, and all that it says nothing of, stay as they are.
type edit struct {
	path  string // a key such as acme.email
	value string // a scalar; "" takes the key away
}

// editSettings changes the settings file, which need not exist, as a whole or not at all. What comes out is checked first: the error is that
// of platform.LoadSettings then.
func editSettings(paths platform.Paths, edits ...edit) error {
	file := paths.Settings()
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the settings: %w", err)
	}
	if _, err := platform.ParseSettings(file, before); err != nil {
		return err
	}
	after := before
	for _, e := range edits {
		if after, err = e.apply(after); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if _, err := platform.ParseSettings(file, after); err != nil {
		return err
	}
	if bytes.Equal(before, after) {
		return nil
	}
	return platform.WriteFile(file, after, 0o644)
}

// apply changes the text of a file that is valid YAML. A key that is there is changed on its line; another is added behind the others of
// its parent.
func (e edit) apply(data []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\n")
	if last := lines[len(lines)-1]; last == "" {
		lines = lines[:len(lines)-1]
	} else {
		lines[len(lines)-1] += "\n"
	}
	var value yaml.Node
	value.SetString(e.value)
	text, err := yaml.Marshal(&value)
	if err != nil {
		return nil, err
	}
	keys := strings.Split(e.path, ".")
	parent, place, indent := mappingOf(&root), len(lines), ""
	for depth, key := range keys {
		at, node := childOf(parent, key)
		last := depth == len(keys)-1
		switch {
		case node == nil && e.value == "":
			return data, nil
		case node == nil:
			return []byte(strings.Join(slices.Insert(lines, place, addedKeys(keys[depth:], indent, string(text))...), "")), nil
		case last && (node.Kind != yaml.ScalarNode || node.Line != at.Line):
			return nil, fmt.Errorf("line %d: %s cannot be changed there: write it on one line", at.Line, e.path)
		case last && e.value == "":
			return []byte(strings.Join(slices.Delete(lines, at.Line-1, at.Line), "")), nil
		case last:
			lines[at.Line-1] = strings.Repeat(" ", at.Column-1) + key + ": " + string(text)
			return []byte(strings.Join(lines, "")), nil
		case node.Kind == yaml.ScalarNode && node.Tag == "!!null": // a key without anything below it
			place, indent, parent = at.Line, strings.Repeat(" ", at.Column-1)+"  ", nil
		case node.Kind != yaml.MappingNode || node.Style&yaml.FlowStyle != 0 || len(node.Content) == 0:
			return nil, fmt.Errorf("line %d: %s cannot be changed there: write the keys below %s on lines of their own", at.Line, e.path, key)
		default:
			place, indent, parent = node.Content[0].Line-1, strings.Repeat(" ", node.Content[0].Column-1), node
		}
	}
	return nil, errors.New("there is no key to change")
}

// addedKeys are the lines of a key with its parents.
func addedKeys(keys []string, indent, value string) []string {
	var lines []string
	for depth, key := range keys {
		line := indent + strings.Repeat("  ", depth) + key + ":"
		if depth == len(keys)-1 {
			line += " " + strings.TrimSuffix(value, "\n")
		}
		lines = append(lines, line+"\n")
	}
	return lines
}

func mappingOf(document *yaml.Node) *yaml.Node {
	if len(document.Content) == 0 {
		return nil
	}
	return document.Content[0]
}

// childOf returns a key of a mapping and its value, nil if it has none.
func childOf(parent *yaml.Node, key string) (at, value *yaml.Node) {
	if parent == nil || parent.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == key {
			return parent.Content[i], parent.Content[i+1]
		}
	}
	return nil, nil
}
