package platform_test

import (
	"bytes"
	"errors"
	"os"
	"reflect"
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
		later := bytes.Replace(readFixture(t, file.path), []byte(`"format": 1`), []byte(`"format": 99`), 1)
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

// What not everybody may come in to is of a form that versions refuse which would let everybody; the routes of others are as they were.
func TestFormatOfAdmission(t *testing.T) {
	for text, want := range map[string]string{"": `"format": 1`, "auth: {token: true}": `"format": 3`, "deny: 192.0.2.1": `"format": 3`, "cors: {origins: '*'}": `"format": 3`} {
		store := newStore(t)
		config, err := platform.ParseConfig("jcloud.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rev := platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 1}, Config: config}
		route := platform.RouteTo(rev)
		dir := store.Paths.Revision(rev.ID)
		if err := errors.Join(os.MkdirAll(dir, 0o755), store.PutRevision(dir, rev), store.PutRoute(route)); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir + "/revision.json", store.Paths.Route("ping")} {
			if file := readFixture(t, path); !bytes.Contains(file, []byte(want)) || text == "" && bytes.Contains(file, []byte("admission")) {
				t.Errorf("%s: %s", text, file)
			}
		}
		if got, err := store.Route("ping"); err != nil || !reflect.DeepEqual(got, route) {
			t.Errorf("%s: reads as %+v, %v", text, got, err)
		}
	}
}
