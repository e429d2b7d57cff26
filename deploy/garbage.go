package deploy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

// sweeper finds and removes what is not needed any more.
type sweeper struct {
	teardown
	// keep is how many revisions without traffic stay.
	keep int
}

// Garbage is something of a function that is not needed.
type Garbage struct {
	Function string `json:"function"`
	What     string `json:"what"`
	// Bytes is what becomes free; what revisions share does when the last of them goes.
	Bytes  int64 `json:"bytes"`
	remove func(context.Context) error
}

// find lists what of a function is not needed. Its lock is held; the leftovers may have been found before that.
func (c sweeper) find(ctx context.Context, function string, left leftovers) ([]Garbage, error) {
	route, err := c.Store.Route(function)
	if errors.Is(err, platform.ErrNoFunction) {
		return c.wholeFunction(function, left), nil
	}
	if err != nil {
		return nil, err // it may reach any revision
	}
	instances, err := c.present(ctx, function)
	if err != nil {
		return nil, err
	}
	found, err := c.findRevisions(route, instances)
	if err != nil {
		return nil, err
	}
	found = append(found, c.findUnits(function, left)...)
	found = append(found, c.findArmed(route, left)...)
	for _, id := range left.works {
		// What the route reaches is the activator's: it may be about to take the instance.
		if !instances[id] && !route.Reaches(id.Revision) {
			found = append(found, c.garbage(function, "copy of the app of "+id.String(), c.Store.Paths.Workdir(id), func(context.Context) error {
				return c.Store.RemoveWorkdir(id)
			}))
		}
	}
	venvs, err := c.findVenvs(function)
	if err != nil {
		return nil, err
	}
	found = append(found, venvs...)
	unfinished, err := c.findUnfinished(function, left)
	return append(found, unfinished...), err
}

// present lists the instances of a function that listen or run. systemd may know others: those that were armed at boot.
func (c sweeper) present(ctx context.Context, function string) (map[platform.InstanceID]bool, error) {
	list, err := c.Units.List(ctx, "fn-"+function+"-*")
	if err != nil {
		return nil, err
	}
	found := map[platform.InstanceID]bool{}
	for _, unit := range list {
		id, _, ok := platform.ParseUnit(unit.Name)
		if ok && id.Revision.Function == function && !unit.Gone() {
			found[id] = true
		}
	}
	return found, nil
}

// wholeFunction takes a function without a route as a whole: its first deploy, or its removal, was killed.
func (c sweeper) wholeFunction(function string, left leftovers) []Garbage {
	dir := c.Store.Paths.Function(function)
	if !platform.Exists(dir) && len(left.units)+len(left.works)+len(left.armed)+len(left.unfinished) == 0 && !platform.Exists(units.SliceFile(c.Store.Paths, function)) {
		return nil // it was removed meanwhile
	}
	return []Garbage{c.garbage(function, "all of it: it has no route", dir, func(ctx context.Context) error {
		errs := removeFiles(left.unfinished)
		for _, id := range left.armed {
			errs = append(errs, c.disarm(id))
		}
		for id := range left.units {
			errs = append(errs, c.revision(ctx, id))
		}
		return errors.Join(append(errs, c.all(ctx, function))...)
	})}
}

func removeFiles(files []string) (errs []error) {
	for _, file := range files {
		errs = append(errs, platform.Remove(file))
	}
	return errs
}

// keptFailed is how many revisions are kept that failed when they were deployed: the last ones are those to look at.
const keptFailed = 3

// findRevisions lists the oldest revisions that have neither traffic nor instances, of those that had traffic and of those
// that failed, and all that a deploy which was killed has left.
func (c sweeper) findRevisions(route platform.Route, instances map[platform.InstanceID]bool) ([]Garbage, error) {
	ids, err := c.Store.Revisions(route.Function)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, route.Reaches)
	var found []Garbage
	served, failed := 0, 0
	for _, id := range slices.Backward(ids) {
		what, r := "revision "+id.String(), c.teardown
		busy := hasInstance(instances, id) // it may have requests to finish
		switch _, isFailed := c.Store.FailedDeploy(id); {
		case isFailed:
			what += ", which failed"
			if failed++; failed <= min(c.keep, keptFailed) || busy {
				continue
			}
		case c.Store.Deployed(id):
			if served++; served <= c.keep || busy {
				continue
			}
		default:
			what += ", which never had traffic"
			r.kill = true // its instances are those that a killed deploy has started: no request waits for them
		}
		found = append(found, c.garbage(route.Function, what, c.Store.Paths.Revision(id), func(ctx context.Context) error { return r.revision(ctx, id) }))
	}
	slices.Reverse(found)
	return found, nil
}

func hasInstance(instances map[platform.InstanceID]bool, id platform.RevisionID) bool {
	for instance := range instances {
		if instance.Revision == id {
			return true
		}
	}
	return false
}

// findUnits lists the revisions of which only units are left.
func (c sweeper) findUnits(function string, left leftovers) []Garbage {
	var found []Garbage
	for id := range left.units {
		if !platform.Exists(c.Store.Paths.Revision(id)) {
			found = append(found, c.garbage(function, "units of "+id.String()+", which is gone", "", func(ctx context.Context) error {
				return c.revision(ctx, id)
			}))
		}
	}
	return found
}

// findArmed lists the revisions that are armed at boot for nothing.
func (c sweeper) findArmed(route platform.Route, left leftovers) []Garbage {
	var found []Garbage
	for _, id := range left.armed {
		if route.Paused || !route.Serves(id) {
			found = append(found, c.garbage(route.Function, "link that arms "+id.String()+" at boot", "", func(context.Context) error {
				return c.disarm(id)
			}))
		}
	}
	return found
}

func (c sweeper) disarm(id platform.RevisionID) error {
	link, _ := units.BootLink(c.Store.Paths, id)
	return platform.Remove(link)
}

// findUnfinished lists what commands that were killed had begun to write.
func (c sweeper) findUnfinished(function string, left leftovers) ([]Garbage, error) {
	files := slices.Clone(left.unfinished)
	for _, dir := range []string{c.Store.Paths.Function(function), c.Store.Paths.Revisions(function), filepath.Join(c.Store.Paths.Revisions(function), "[0-9]*")} {
		more, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	var found []Garbage
	for _, file := range files {
		found = append(found, c.garbage(function, "unfinished "+file, file, func(context.Context) error { return platform.RemoveTree(file) }))
	}
	return found, nil
}

// garbage describes something. How large it is matters less than that it goes, so that what cannot be read has no size.
func (c sweeper) garbage(function, what, path string, remove func(context.Context) error) Garbage {
	one := Garbage{Function: function, What: what, remove: remove}
	if path != "" {
		_, one.Bytes, _ = snapshot.DiskUse(context.Background(), path)
	}
	return one
}

// collect removes what was found, and returns what of it is gone.
func (c sweeper) collect(ctx context.Context, found []Garbage) ([]Garbage, error) {
	var gone []Garbage
	var errs []error
	for _, one := range found {
		if err := one.remove(ctx); err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", one.What, err))
			continue
		}
		gone = append(gone, one)
	}
	return gone, errors.Join(errs...)
}
