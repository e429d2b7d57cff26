package platform_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

func TestStandbyOfConfig(t *testing.T) {
	for text, want := range map[string]int{
		"": keys.Unbounded, "standby: true": keys.Unbounded, "standby: null": keys.Unbounded, "standby: false": 0, "standby: 0": 0, "standby: 3": 3,
		"overlap: false": 0, "overlap: false\nstandby: null": 0, "overlap: true": keys.Unbounded,
		"expose: false": 0, "expose: true": keys.Unbounded,
	} {
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
	for mark, content := range map[platform.Mark]string{platform.MarkStandby: "", platform.MarkPoised: "FNCTL_POISE=1\n"} {
		t.Run(string(mark), func(t *testing.T) { testMark(t, mark, content) })
	}
}

func testMark(t *testing.T, mark platform.Mark, content string) {
	store := newStore(t)
	revision := platform.RevisionID{Function: "my-app", Number: 42}
	one, two := platform.InstanceID{Revision: revision, Index: 1}, platform.InstanceID{Revision: revision, Index: 12}
	check := func(what string, want ...platform.InstanceID) {
		t.Helper()
		if got, err := store.Marks(mark); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
		for _, other := range platform.Marks {
			if got, err := store.Marks(other); other != mark && (err != nil || len(got) > 0) {
				t.Errorf("%s: marked %s: %v, %v", what, other, got, err)
			}
		}
	}
	check("no directory")
	if err := store.Mark(one, mark); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a mark without a directory: %v", err)
	}
	writeFixture(t, store.Paths.InstanceSocket(one), "")
	writeFixture(t, filepath.Join(store.Paths.Instances(), "x."+string(mark)), "")
	check("none")
	if err := errors.Join(store.Mark(one, mark), store.Mark(two, mark)); err != nil {
		t.Fatal(err)
	}
	check("two", one, two)
	if got, err := os.ReadFile(store.Paths.Mark(one, mark)); err != nil || string(got) != content {
		t.Errorf("it says %q, %v", got, err)
	}
	before, err := os.Stat(store.Paths.Mark(one, mark))
	if err != nil || before.Mode().Perm() != 0o644 {
		t.Fatalf("its mode: %v, %v", before, err)
	}
	hold, err := os.Open(store.Paths.Mark(one, mark)) // its inode is not given to the next
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if err := store.Mark(one, mark); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(store.Paths.Mark(one, mark))
	if err != nil || os.SameFile(before, after) {
		t.Errorf("it was not made anew: %v", err)
	}
	if err := errors.Join(store.Unmark(one, mark), store.Unmark(one, mark)); err != nil {
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

// A mark is there as a whole or not at all, and nothing takes what comes before it for a mark or a socket. One that is made anew goes
// before it comes: those who follow the directory see both.
func TestMarkIsWrittenAside(t *testing.T) {
	store := newStore(t)
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 42}, Index: 3}
	if err := os.MkdirAll(store.Paths.Instances(), 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := fsnotify.NewBufferedWatcher(100)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(store.Paths.Instances()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Mark(id, platform.MarkPoised), store.Mark(id, platform.MarkPoised), store.Unmark(id, platform.MarkPoised)); err != nil {
		t.Fatal(err)
	}
	var got []fsnotify.Op
	for timeout := time.After(time.Minute); len(got) < 4; { // it comes, goes, comes, goes
		var event fsnotify.Event
		select {
		case event = <-w.Events:
		case <-timeout:
			t.Fatalf("no more comes than %v", got)
		}
		name := filepath.Base(event.Name)
		if _, isSocket := platform.ParseInstanceSocket(name); isSocket {
			t.Errorf("%s is a socket", name)
		}
		if found, mark, ok := platform.ParseMark(name); ok {
			got = append(got, event.Op)
			if found != id || mark != platform.MarkPoised {
				t.Errorf("%s is %s of %s", name, mark, found)
			}
		}
	}
	if want := []fsnotify.Op{fsnotify.Create, fsnotify.Remove, fsnotify.Create, fsnotify.Remove}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestParseMark(t *testing.T) {
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 42}, Index: 3}
	for mark, file := range map[platform.Mark]string{platform.MarkStandby: "my-app-00042@3.standby", platform.MarkPoised: "my-app-00042@3.poised"} {
		if name := filepath.Base(platform.DefaultPaths().Mark(id, mark)); name != file {
			t.Errorf("the file of %s is %s", mark, name)
		}
		if got, found, ok := platform.ParseMark(file); !ok || got != id || found != mark {
			t.Errorf("%s: got %v, %v, %v", file, got, found, ok)
		}
	}
	for _, file := range []string{"", "my-app-00042@3", "my-app-00042@3.sock", "my-app-00042@3.standby.sock", "my-app@3.standby", "my-app-00042.standby", ".standby",
		"../my-app-00042@3.standby", "my-app-00042@3.poised.12", ".my-app-00042@3.poised", "my-app-00042@3.standby.poised", "my-app-00042@3poised"} {
		if got, mark, ok := platform.ParseMark(file); ok {
			t.Errorf("%q is %s of %v", file, mark, got)
		}
	}
	for _, mark := range platform.Marks {
		if got, ok := platform.ParseInstanceSocket("my-app-00042@3." + string(mark)); ok {
			t.Errorf("a mark is the socket of %v", got)
		}
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
	group := platform.InstanceCgroup(paths, platform.SliceName("my-app"), platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 1}, Index: 1})
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
