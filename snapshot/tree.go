package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// tree is what there is in the directory of an app or in a snapshot, as far as it was not left out. All is read
// through an os.Root: a link that takes the place of something meanwhile leads nowhere else.
type tree struct {
	root    *os.Root
	without []string
	nodes   []node // a directory is before what is in it
	leftOut []LeftOut
}

type node struct {
	name string // from the directory, which itself is "."
	info fs.FileInfo
	link string
}

// treeFilter says what is left out of a tree.
type treeFilter int

const (
	everything     treeFilter = iota
	withoutCaches             // without what no app needs at run time
	withoutIgnored            // without what ignore files name, either
)

// readTree looks at all that is in a directory, but for some paths and what the filter leaves out. What cannot be part of a snapshot is an
// error that wraps ErrUnsupported.
func readTree(ctx context.Context, dir string, filter treeFilter, without ...string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, without: without}
	if err := t.readDir(ctx, ".", filter, ignoreRules{}); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tree) close() { t.root.Close() }

// path is the path of a node as the user knows it.
func (t *tree) path(name string) string { return filepath.Join(t.root.Name(), name) }

func (t *tree) amount() (sum Amount) {
	for _, n := range t.nodes {
		if n.info.Mode().IsRegular() {
			sum.Files, sum.Bytes = sum.Files+1, sum.Bytes+n.info.Size()
		}
	}
	return sum
}

func (t *tree) readDir(ctx context.Context, dir string, filter treeFilter, rules ignoreRules) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	info, err := t.root.Lstat(dir)
	if err != nil {
		return changedIfGone(dir, err)
	}
	t.nodes = append(t.nodes, node{name: dir, info: info})
	entries, err := t.list(dir)
	if err != nil {
		return changedIfGone(dir, err)
	}
	if filter == withoutIgnored {
		if rules, err = t.readIgnoreFiles(dir, entries, rules); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case filter != everything && t.leaveOut(name, entry, rules):
		case entry.IsDir():
			err = t.readDir(ctx, name, filter, rules)
		default:
			err = t.readFile(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) list(dir string) ([]fs.DirEntry, error) {
	d, err := openDir(t.root, dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return readDir(d)
}

// leaveOut reports whether a file or directory stays behind.
func (t *tree) leaveOut(name string, entry fs.DirEntry, rules ignoreRules) bool {
	if slices.Contains(t.without, name) || noAppNeeds[entry.Name()] || entry.IsDir() && t.isVenv(name) {
		t.leftOut = append(t.leftOut, LeftOut{Name: name})
		return true
	}
	rule := rules.find(name, entry.IsDir())
	if rule != nil {
		t.leftOut = append(t.leftOut, LeftOut{Name: name, Rule: rule.String()})
	}
	return rule != nil
}

func (t *tree) isVenv(dir string) bool {
	_, err := t.root.Lstat(path.Join(dir, "pyvenv.cfg"))
	return err == nil
}

// maxIgnoreFile bounds an ignore file, in bytes.
const maxIgnoreFile = 1 << 20

// readIgnoreFiles adds the rules of a directory's ignore files to those of the directories above. As with git, a link is
// not one.
func (t *tree) readIgnoreFiles(dir string, entries []fs.DirEntry, rules ignoreRules) (ignoreRules, error) {
	for _, entry := range entries {
		for kind, file := range ignoreFiles {
			if entry.Name() != file || !entry.Type().IsRegular() {
				continue
			}
			more, err := t.readIgnoreFile(path.Join(dir, file))
			if err != nil {
				return rules, err
			}
			rules = rules.with(kind, more)
		}
	}
	return rules, nil
}

func (t *tree) readIgnoreFile(name string) ([]ignoreRule, error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return nil, changedIfGone(name, err)
	}
	file, err := t.open(node{name: name, info: info})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxIgnoreFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", t.path(name), maxIgnoreFile)
	}
	return parseIgnore(name, data), nil
}

// open opens a file, if it is still the one that was looked at: a pipe would block, a link would lead elsewhere.
func (t *tree) open(n node) (*os.File, error) {
	file, err := t.root.OpenFile(n.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, changedIfGone(n.name, err)
	}
	if info, err := file.Stat(); err != nil || !os.SameFile(info, n.info) {
		file.Close()
		return nil, &ChangedError{n.name}
	}
	return file, nil
}

// readFile takes up what is not a directory.
func (t *tree) readFile(name string) error {
	info, err := t.root.Lstat(name)
	if err != nil {
		return changedIfGone(name, err)
	}
	node := node{name: name, info: info}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		if node.link, err = t.readLink(name); err != nil {
			return err
		}
	case mode.IsDir():
		return &ChangedError{name}
	case !mode.IsRegular():
		return fmt.Errorf("%w: %s is a %s", ErrUnsupported, t.path(name), kindOf(mode))
	}
	t.nodes = append(t.nodes, node)
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "device"
}

// readLink reads a link that leads, through whatever other links, to a place in the directory. There need not be anything.
func (t *tree) readLink(name string) (string, error) {
	link, err := t.root.Readlink(name)
	if err != nil {
		return "", err
	}
	switch _, err := t.root.Stat(name); {
	case err == nil, notThere(err), errors.Is(err, unix.ELOOP):
		return link, nil
	}
	return "", fmt.Errorf("%w: the link %s leads to %s, outside of the app's directory", ErrUnsupported, t.path(name), link)
}
