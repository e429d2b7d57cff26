package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

// unchanged tells whether what is to be deployed serves already, and cannot be told from it: then a revision would only
// take the place of one like it. If anything is not as it should be, or cannot be read, a new revision makes it good.
func (d *deployment) unchanged(ctx context.Context) (current platform.Revision, same bool) {
	route, err := d.store.Route(d.request.name)
	if err != nil || route.PercentOf(route.Newest()) != 100 {
		return current, false
	}
	if current, err = d.store.Revision(route.Newest()); err != nil || len(current.Command) == 0 {
		return current, false
	}
	wanted := d.request.revisionOf(current.ID.Number)
	wanted.Created = current.Created
	expected := platform.RouteTo(wanted).After(route)
	if d.tag != "" {
		expected = expected.WithTag(d.tag, wanted)
	}
	link, _ := units.BootLink(d.paths, current.ID)
	if _, err := d.store.Failure(current.ID); err == nil || exists(link) == route.Paused {
		return current, false // perhaps it can start when it is made anew
	}
	same = reflect.DeepEqual(route, expected) && sameJSON(wanted, current) && d.sameUnits(wanted) && d.sameEnv(current.ID) &&
		d.request.secretPlan.same(ctx, d.paths, current)
	return current, same && d.sameFiles(ctx, current.ID)
}

func sameJSON(a, b any) bool {
	one, errA := json.Marshal(a)
	other, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(one, other)
}

// sameUnits tells whether the units would be those that there are: another version of fnctl may write others.
func (d *deployment) sameUnits(rev platform.Revision) bool {
	files, err := units.Files(d.paths, rev)
	if err != nil {
		return false
	}
	for _, file := range files {
		if !hasContent(filepath.Join(d.paths.Units(), file.Name), []byte(file.Text)) {
			return false
		}
	}
	return true
}

func (d *deployment) sameEnv(id platform.RevisionID) bool {
	files, err := d.envFiles()
	if err != nil {
		return false
	}
	for name, data := range files {
		if !hasContent(filepath.Join(d.paths.Revision(id), name), data) {
			return false
		}
	}
	return true
}

func hasContent(path string, want []byte) bool {
	got, err := os.ReadFile(path)
	return err == nil && bytes.Equal(got, want)
}

func (d *deployment) sameFiles(ctx context.Context, id platform.RevisionID) bool {
	if d.request.from == id {
		return true
	}
	same, err := snapshot.Same(ctx, d.request.dir, d.paths.Snapshot(id))
	return err == nil && same
}
