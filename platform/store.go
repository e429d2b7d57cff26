package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrNoFunction is wrapped by errors about a function that does not exist.
var ErrNoFunction = errors.New("no such function")

// Store is the service registry: functions, revisions and routes as files.
type Store struct{ Paths Paths }

// Functions lists the names of all functions that have a route, sorted, those whose route is lost among them.
func (s Store) Functions() ([]string, error) {
	entries, err := os.ReadDir(s.Paths.Functions())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if s.Has(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// MakeFunction makes the directories of a function, open to the gateway, whatever the umask is, and opens those that are there.
func (s Store) MakeFunction(name string) error {
	for _, dir := range []string{s.Paths.Functions(), s.Paths.Function(name), s.Paths.Revisions(name)} {
		if err := MakeDir(dir, 0o755); err != nil {
			return fmt.Errorf("make the directory of %s: %w", name, err)
		}
	}
	ids, err := s.Revisions(name)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := MakeDir(s.Paths.Revision(id), 0o755); err != nil {
			return fmt.Errorf("make the directory of %s: %w", id, err)
		}
	}
	return nil
}

// Has reports whether a function has a route, though it may be damaged or lost.
func (s Store) Has(name string) bool {
	return CheckName(name) == nil && (Exists(s.Paths.Route(name)) || Exists(s.Paths.Routed(name)))
}

// Route reads the route of a function. The error wraps ErrNoFunction if there is none: a route that vanished without
// RemoveRoute is another error.
func (s Store) Route(name string) (Route, error) {
	var route Route
	if err := CheckName(name); err != nil {
		return route, err
	}
	err := ReadFormed(s.Paths.Route(name), newest, &route)
	if errors.Is(err, fs.ErrNotExist) {
		return route, s.explainNoRoute(name)
	}
	if err == nil {
		err = route.Check()
	}
	if err == nil && route.Function != name {
		err = fmt.Errorf("%s is the route of another function, %s", s.Paths.Route(name), route.Function)
	}
	return route, err
}

func (s Store) explainNoRoute(name string) error {
	if Exists(s.Paths.Routed(name)) {
		return fmt.Errorf("the route of %s is missing: there is no %s", name, s.Paths.Route(name))
	}
	return fmt.Errorf("%w: %s", ErrNoFunction, name)
}

// PutRoute replaces the route of a function. From then on the gateway sends new requests along it.
func (s Store) PutRoute(route Route) error {
	if err := route.Check(); err != nil {
		return err
	}
	// The command that wrote the route before may have been killed before it could mark the revisions which that one reaches.
	before, err := s.Route(route.Function)
	if err == nil {
		err = s.markServed(before)
	} else if !errors.Is(err, ErrNewer) {
		err = nil // what is damaged is replaced
	}
	if err != nil {
		return err
	}
	if err := writeJSON(s.Paths.Route(route.Function), routeFile{header{formatOfRoute(route)}, route}, 0o644); err != nil {
		return err
	}
	if routed := s.Paths.Routed(route.Function); !Exists(routed) {
		if err := WriteFile(routed, nil, 0o644); err != nil {
			return err
		}
	}
	// The route is switched: that this cannot be marked is no failure of that, and the next change does it.
	_ = s.markServed(route)
	return nil
}

// markServed marks that the revisions of a route have traffic, so that they can be told from those that a deploy has left
// which was killed. It is called only once the route is there.
func (s Store) markServed(route Route) error {
	for _, share := range route.Traffic {
		if share.Percent == 0 || s.Served(share.Revision) || !Exists(s.Paths.Revision(share.Revision)) {
			continue
		}
		if err := WriteFile(s.Paths.Served(share.Revision), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Served reports whether a revision has, or had, traffic.
func (s Store) Served(id RevisionID) bool { return Exists(s.Paths.Served(id)) }

// MarkProved marks that a revision was deployed to get no traffic yet.
func (s Store) MarkProved(id RevisionID) error { return WriteFile(s.Paths.Proved(id), nil, 0o644) }

// Deployed reports whether a deploy came to its end with a revision. Others were left by one that was killed.
func (s Store) Deployed(id RevisionID) bool { return s.Served(id) || Exists(s.Paths.Proved(id)) }

// RemoveRoute ends a function: no new request reaches it. It is no error if there is no route.
func (s Store) RemoveRoute(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	// In this order, so that a route which is removed is never taken for a lost one.
	for _, path := range []string{s.Paths.Routed(name), s.Paths.Route(name)} {
		if err := removeFile(path); err != nil {
			return fmt.Errorf("remove the route of %s: %w", name, err)
		}
	}
	return nil
}

// removeFile removes a file for good, if there is one.
func removeFile(path string) error {
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Revision reads one revision.
func (s Store) Revision(id RevisionID) (Revision, error) {
	var rev Revision
	err := ReadFormed(filepath.Join(s.Paths.Revision(id), "revision.json"), newest, &rev)
	if err == nil && rev.ID != id {
		err = fmt.Errorf("%s describes another revision, %s", s.Paths.Revision(id), rev.ID)
	}
	return rev, err
}

// PutRevision writes the description of a revision into its directory.
func (s Store) PutRevision(dir string, rev Revision) error {
	return writeJSON(filepath.Join(dir, "revision.json"), revisionFile{header{formatOf(rev)}, rev}, 0o644)
}

// Revisions lists the revisions of a function by number.
func (s Store) Revisions(name string) ([]RevisionID, error) {
	entries, err := os.ReadDir(s.Paths.Revisions(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list revisions of %s: %w", name, err)
	}
	var ids []RevisionID
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil || number < 1 {
			continue
		}
		ids = append(ids, RevisionID{Function: name, Number: number})
	}
	slices.SortFunc(ids, func(a, b RevisionID) int { return a.Number - b.Number })
	return ids, nil
}

// ReadRevisions reads all revisions of a function, by number. One that cannot be read is an error that names it.
func (s Store) ReadRevisions(name string) ([]Revision, error) {
	ids, err := s.Revisions(name)
	if err != nil {
		return nil, err
	}
	revisions := make([]Revision, len(ids))
	for i, id := range ids {
		if revisions[i], err = s.Revision(id); err != nil {
			return nil, fmt.Errorf("revision %s: %w", id, err)
		}
	}
	return revisions, nil
}
