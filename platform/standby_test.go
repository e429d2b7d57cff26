package platform_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

func TestStandbyOfConfig(t *testing.T) {
	for text, want := range map[string]int{"": 0, "standby: true": keys.Unbounded, "standby: false": 0, "standby: null": 0, "standby: 0": 0, "standby: 3": 3} {
		config, err := platform.ParseConfig("f", []byte(text))
		if err != nil || config.Autoscale.Standby != want {
			t.Errorf("%q: got %d, %v, want %d", text, config.Autoscale.Standby, err, want)
		}
	}
}

// A revision of a version that knew no standby has none.
func TestStandbyOfOldRevision(t *testing.T) {
	store := newStore(t)
	id := platform.RevisionID{Function: "shop", Number: 1}
	config := platform.DefaultConfig()
	config.Autoscale.Standby = 7
	if err := os.MkdirAll(store.Paths.Revision(id), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRevision(store.Paths.Revision(id), platform.Revision{ID: id, Config: config}); err != nil {
		t.Fatal(err)
	}
	if rev, err := store.Revision(id); err != nil || rev.Config.Autoscale.Standby != 7 {
		t.Errorf("got %d, %v, want what was put", rev.Config.Autoscale.Standby, err)
	}
	files, err := filepath.Glob("testdata/ondisk/revision-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data := readFixture(t, file)
		var named struct{ Name platform.RevisionID }
		if err := json.Unmarshal(data, &named); err != nil {
			t.Fatal(err)
		}
		writeFixture(t, filepath.Join(store.Paths.Revision(named.Name), "revision.json"), string(data))
		if rev, err := store.Revision(named.Name); err != nil || rev.Config.Autoscale.Standby != 0 {
			t.Errorf("%s: got %d, %v", file, rev.Config.Autoscale.Standby, err)
		}
	}
}

func TestMarks(t *testing.T) {
	store := newStore(t)
	revision := platform.RevisionID{Function: "my-app", Number: 42}
	one, two := platform.InstanceID{Revision: revision, Index: 1}, platform.InstanceID{Revision: revision, Index: 12}
	check := func(what string, want ...platform.InstanceID) {
		t.Helper()
		if got, err := store.Marks(platform.MarkStandby); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
	check("no directory")
	if err := store.Mark(one, platform.MarkStandby); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a mark without a directory: %v", err)
	}
	writeFixture(t, store.Paths.InstanceSocket(one), "")
	writeFixture(t, filepath.Join(store.Paths.Instances(), "x.standby"), "")
	check("none")
	if err := errors.Join(store.Mark(one, platform.MarkStandby), store.Mark(two, platform.MarkStandby)); err != nil {
		t.Fatal(err)
	}
	check("two", one, two)
	before, err := os.Stat(store.Paths.Mark(one, platform.MarkStandby))
	if err != nil || before.Mode().Perm()&0o444 != 0o444 {
		t.Fatalf("not for everybody to read: %v, %v", before, err)
	}
	hold, err := os.Open(store.Paths.Mark(one, platform.MarkStandby)) // its inode is not given to the next
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if err := store.Mark(one, platform.MarkStandby); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(store.Paths.Mark(one, platform.MarkStandby))
	if err != nil || os.SameFile(before, after) {
		t.Errorf("it was not made anew: %v", err)
	}
	if err := errors.Join(store.Unmark(one, platform.MarkStandby), store.Unmark(one, platform.MarkStandby)); err != nil {
		t.Error(err)
	}
	check("one is taken back", two)
	if err := store.RemoveWorkdir(two); err != nil {
		t.Error(err)
	}
	check("the other has ended")
	if got, err := store.Instances(); err != nil || !slices.Equal(got, []platform.InstanceID{one}) {
		t.Errorf("sockets: %v, %v", got, err)
	}
}

func TestParseMark(t *testing.T) {
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 42}, Index: 3}
	if got, _, ok := platform.ParseMark(filepath.Base(platform.DefaultPaths().Mark(id, platform.MarkStandby))); !ok || got != id {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, file := range []string{"", "my-app-00042@3", "my-app-00042@3.sock", "my-app-00042@3.standby.sock", "my-app@3.standby", "my-app-00042.standby", ".standby", "../my-app-00042@3.standby"} {
		if got, _, ok := platform.ParseMark(file); ok {
			t.Errorf("%q is %v", file, got)
		}
	}
	if got, ok := platform.ParseInstanceSocket("my-app-00042@3.standby"); ok {
		t.Errorf("a mark is the socket of %v", got)
	}
}

func TestStateOf(t *testing.T) {
	all := platform.Seen{Proved: true, Deaf: true, Frozen: true}
	for _, c := range []struct {
		socket, service string
		seen            platform.Seen
		want            platform.InstanceState
	}{
		{socket: "active", service: "active", seen: platform.Seen{Frozen: true}, want: platform.Standby},
		{socket: "active", service: "active", seen: platform.Seen{Proved: true, Frozen: true}, want: platform.Standby},
		{socket: "active", service: "active", seen: all, want: platform.Standby},
		{socket: "active", service: "activating", seen: platform.Seen{Frozen: true}, want: platform.Standby},
		{socket: "active", service: "active", seen: platform.Seen{Proved: true, Deaf: true}, want: platform.Deaf},
		{socket: "active", service: "active", seen: platform.Seen{Proved: true}, want: platform.Ready},
		{socket: "active", service: "active", want: platform.Starting},
		{socket: "active", service: "inactive", seen: all, want: platform.Armed},
		{socket: "active", service: "", seen: all, want: platform.Armed},
		{socket: "active", service: "failed", seen: all, want: platform.Failed},
		{socket: "active", service: "deactivating", seen: all, want: platform.Failed},
		{socket: "failed", service: "inactive", seen: all, want: platform.Failed},
		{socket: "inactive", service: "active", seen: all, want: platform.Draining},
		{socket: "inactive", service: "deactivating", seen: all, want: platform.Draining},
		{socket: "inactive", service: "inactive", seen: all, want: ""},
	} {
		got := platform.StateOf(platform.UnitStatus{Active: c.socket}, platform.UnitStatus{Active: c.service}, c.seen)
		if got != c.want {
			t.Errorf("socket %s, service %s, %+v: got %q, want %q", c.socket, c.service, c.seen, got, c.want)
		}
	}
}

// Only the group of the processes is looked at, which need not be there.
func TestIsFrozen(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	group := paths.InstanceCgroup(platform.SliceName("my-app"), platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 1}, Index: 1})
	if group.Sleeper().IsFrozen() {
		t.Error("a group that is not there is frozen")
	}
	events := filepath.Join(group.Sleeper().Dir(), "cgroup.events")
	for text, want := range map[string]bool{"populated 1\nfrozen 1\n": true, "populated 1\nfrozen 0\n": false, "populated 1\n": false, "frozen x\n": false, "": false} {
		writeFixture(t, events, text)
		if got := group.Sleeper().IsFrozen(); got != want {
			t.Errorf("%q: got %v", text, got)
		}
		if group.IsFrozen() {
			t.Errorf("%q: the group of the unit is frozen", text)
		}
	}
	if got, want := group.Sleeper().FreezeFile(), group.Dir()+"/app/cgroup.freeze"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	writeFixture(t, filepath.Join(group.Dir(), "cgroup.procs"), "")
	writeFixture(t, filepath.Join(group.Sleeper().Dir(), "cgroup.procs"), "12\n13\n")
	if pids, err := group.PIDs(); err != nil || !slices.Equal(pids, []int{12, 13}) {
		t.Errorf("processes: %v, %v", pids, err)
	}
}
