package platform_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// What a later version has written is neither misread nor replaced.
func TestFilesOfLaterVersions(t *testing.T) {
	store := newStore(t)
	if err := store.MakeFunction("ping"); err != nil {
		t.Fatal(err)
	}
	rev := platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 1}, Config: platform.DefaultConfig()}
	dir, one := store.Paths.Revision(rev.ID), 1
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		path string
		put  func() error
		read func() error
	}{
		{store.Paths.Route("ping"), func() error { return store.PutRoute(platform.RouteTo(rev)) }, func() error { _, err := store.Route("ping"); return err }},
		{store.Paths.Scale("ping"), func() error { return store.PutScale("ping", platform.Scale{Max: &one}) }, func() error { _, err := store.Scale("ping"); return err }},
		{dir + "/revision.json", func() error { return store.PutRevision(dir, rev) }, func() error { _, err := store.Revision(rev.ID); return err }},
	} {
		if err := errors.Join(file.put(), file.read()); err != nil {
			t.Fatal(err)
		}
		later := bytes.Replace(readFixture(t, file.path), []byte(`"format": 1`), []byte(`"format": 3`), 1)
		writeFixture(t, file.path, string(later))
		if err := file.read(); !errors.Is(err, platform.ErrNewer) {
			t.Errorf("%s: reads as %v", file.path, err)
		}
		if file.path == dir+"/revision.json" {
			continue // which is written once, into a directory that no later version knows
		}
		if err := file.put(); !errors.Is(err, platform.ErrNewer) || !bytes.Equal(readFixture(t, file.path), later) {
			t.Errorf("%s: replaced, %v", file.path, err)
		}
	}
}

// A revision that must not reach private networks is of a form that versions without such ones refuse; others are of the old one.
func TestFormatOfInternet(t *testing.T) {
	store := newStore(t)
	for network, want := range map[platform.Network]string{platform.NetworkHost: `"format": 1`, platform.NetworkNone: `"format": 1`, platform.NetworkInternet: `"format": 2`} {
		rev := platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 1}, Config: platform.DefaultConfig()}
		rev.Config.Network = network
		dir := store.Paths.Revision(rev.ID)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := store.PutRevision(dir, rev); err != nil {
			t.Fatal(err)
		}
		if text := readFixture(t, dir+"/revision.json"); !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s: %s", network, text)
		}
		if got, err := store.Revision(rev.ID); err != nil || got.Config.Network != network {
			t.Errorf("%s: reads as %q, %v", network, got.Config.Network, err)
		}
	}
}
