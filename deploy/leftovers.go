package deploy

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// leftovers is what there is of a function outside of its directory.
type leftovers struct {
	units map[platform.RevisionID]bool // that have units
	works []platform.InstanceID        // that have a copy of their app
	armed []platform.RevisionID        // at boot
	// unfinished are files that a killed command began to write.
	unfinished []string
}

// findLeftovers looks for what there is of all functions.
func findLeftovers(store platform.Store) (map[string]leftovers, error) {
	paths := store.Paths
	entries, err := os.ReadDir(paths.Units())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	found := map[string]leftovers{}
	for _, entry := range entries {
		foundUnit(found, paths, entry.Name())
	}
	links, err := os.ReadDir(paths.Wants())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range links {
		if id, _, ok := platform.ParseUnit(entry.Name()); ok {
			of := found[id.Revision.Function]
			of.armed = append(of.armed, id.Revision)
			found[id.Revision.Function] = of
		}
	}
	works, err := store.Workdirs()
	for _, id := range works {
		of := found[id.Revision.Function]
		of.works = append(of.works, id)
		found[id.Revision.Function] = of
	}
	return found, err
}

// unfinishedUnit is the name of a unit that is being written.
var unfinishedUnit = regexp.MustCompile(`^\.(fn-.+)\.[0-9]+$`)

// foundUnit takes up a file of the directory of units, if it is one of ours.
func foundUnit(found map[string]leftovers, paths platform.Paths, file string) {
	name := file
	m := unfinishedUnit.FindStringSubmatch(file)
	if m != nil {
		name = m[1]
	}
	function, id := ownerOfUnit(name)
	if function == "" {
		return
	}
	of := found[function]
	switch {
	case m != nil:
		of.unfinished = append(of.unfinished, filepath.Join(paths.Units(), file))
	case id.Number > 0:
		if of.units == nil {
			of.units = map[platform.RevisionID]bool{}
		}
		of.units[id] = true
	}
	found[function] = of
}

// template is the name of a revision's socket or service.
var template = regexp.MustCompile(`^fn-([^@]+)@\.(?:socket|service)$`)

// ownerOfUnit is the function that has a unit file, and its revision, unless the file is the function's slice.
func ownerOfUnit(file string) (string, platform.RevisionID) {
	if m := template.FindStringSubmatch(file); m != nil {
		id, _ := platform.ParseRevisionID(m[1])
		return id.Function, id
	}
	name, isOurs := strings.CutPrefix(file, "fn-")
	name, isSlice := strings.CutSuffix(name, ".slice")
	function := strings.ReplaceAll(name, `\x2d`, "-")
	if !isOurs || !isSlice || platform.SliceName(function) != file || platform.CheckName(function) != nil {
		function = ""
	}
	return function, platform.RevisionID{}
}

// functionsWith lists the functions that have a directory, and those of which there are only leftovers.
func functionsWith(paths platform.Paths, left map[string]leftovers) ([]string, error) {
	names := slices.Collect(maps.Keys(left))
	entries, err := os.ReadDir(paths.Functions())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if platform.CheckName(entry.Name()) == nil {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
