package deploy

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

// unchanged reports whether what is to be deployed serves already, and cannot be told from it: then a revision would only
// take the place of one like it. If anything is not as it should be, or cannot be read, a new revision makes it good.
func (d *deployment) unchanged(ctx context.Context) (current platform.Revision, same bool) {
	route, err := d.Store.Route(d.Name)
	if err != nil || route.PercentOf(route.Newest()) != 100 {
		return current, false
	}
	if current, err = d.Store.Revision(route.Newest()); err != nil || len(current.Command) == 0 {
		return current, false
	}
	request := d.request
	request.App, _ = request.App.AsIn(current)
	desired := request.revision(d.Store.Paths, current.ID, d.secrets.described)
	desired.Created, desired.Size, desired.Source = current.Created, current.Size, current.Source
	expected := platform.RouteTo(desired).After(route)
	if d.request.Tag != "" {
		expected = expected.WithTag(d.request.Tag, desired)
	}
	link, _ := units.BootLink(d.Store.Paths, current.ID)
	if _, err := d.Store.Failure(current.ID); err == nil || platform.Exists(link) == route.Paused {
		return current, false // perhaps it can start when it is made anew
	}
	same = reflect.DeepEqual(route, expected) && sameJSON(desired, current) && sameUnits(d.Store.Paths, desired) && d.sameEnv(current.ID) &&
		d.request.hasUsersOf(d.Store.Paths, current.ID) && d.secrets.same(ctx, d.Store.Paths, current)
	return current, same && d.sameFiles(ctx, current.ID)
}

func sameJSON(a, b any) bool {
	one, errA := json.Marshal(a)
	other, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(one, other)
}

func (d *deployment) sameEnv(id platform.RevisionID) bool {
	files, err := d.envFiles()
	if err != nil {
		return false
	}
	for name, data := range files {
		if !hasContent(filepath.Join(d.Store.Paths.Revision(id), name), data) {
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
	same, err := snapshot.Same(ctx, d.request.Dir, d.Store.Paths.Snapshot(id), d.request.withoutUsers()...)
	return err == nil && same
}
