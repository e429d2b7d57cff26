package platform_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// The files of testdata/ondisk were written by the version before durations had a type of their own. Each is read, and
// written again as it was.
func TestFilesOnDisk(t *testing.T) {
	for prefix, rewrite := range map[string]func(*testing.T, platform.Store, []byte) string{
		"revision": rewriteRevision, "route": rewriteRoute, "scale": rewriteScale,
	} {
		files, err := filepath.Glob("testdata/ondisk/" + prefix + "-*.json")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of %s: %v", prefix, err)
		}
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				store, want := newStore(t), readFixture(t, file)
				if err := os.MkdirAll(store.Paths.Function("shop"), 0o755); err != nil {
					t.Fatal(err)
				}
				got := laterKeys.ReplaceAll(readFixture(t, rewrite(t, store, want)), nil)
				if !bytes.Equal(got, want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// laterKeys are the lines with what later versions have added, which has its default.
var laterKeys = regexp.MustCompile(`(?m)^ +"(format|start_timeout|stop_timeout|background_timeout)": .*\n`)

func rewriteRevision(t *testing.T, store platform.Store, data []byte) string {
	var named struct{ Name platform.RevisionID }
	if err := json.Unmarshal(data, &named); err != nil {
		t.Fatal(err)
	}
	dir := store.Paths.Revision(named.Name)
	file := filepath.Join(dir, "revision.json")
	writeFixture(t, file, string(data))
	rev, err := store.Revision(named.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRevision(dir, rev); err != nil {
		t.Fatal(err)
	}
	return file
}

func rewriteRoute(t *testing.T, store platform.Store, data []byte) string {
	file := store.Paths.Route("shop")
	writeFixture(t, file, string(data))
	route, err := store.Route("shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRoute(route); err != nil {
		t.Fatal(err)
	}
	return file
}

func rewriteScale(t *testing.T, store platform.Store, data []byte) string {
	file := store.Paths.Scale("shop")
	writeFixture(t, file, string(data))
	scale, err := store.Scale("shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := store.PutScale("shop", scale); err != nil {
		t.Fatal(err)
	}
	return file
}

// A route.json has what the configurations of its revisions say.
func TestRouteOnDiskHasTheLimits(t *testing.T) {
	store := newStore(t)
	writeFixture(t, store.Paths.Route("shop"), string(readFixture(t, "testdata/ondisk/route-split.json")))
	route, err := store.Route("shop")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"defaults", "all-keys", "fractions"} {
		var rev platform.Revision
		if err := json.Unmarshal(readFixture(t, "testdata/ondisk/revision-"+name+".json"), &rev); err != nil {
			t.Fatal(err)
		}
		got, want := route.Traffic[i], rev.Config
		if got.Revision != rev.ID || got.Timeouts != want.Timeouts || got.Limits != want.Limits || got.Protocol != want.Protocol {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestDurationText(t *testing.T) {
	for text, want := range map[string]platform.Duration{
		"120s": platform.Seconds(120), "1.5s": platform.Seconds(1.5), "0s": 0, "1h1m1.001s": platform.Seconds(3661.001), "31536000s": platform.Seconds(31536000),
	} {
		var got platform.Duration
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
		if written, err := got.MarshalText(); err != nil || string(written) != text {
			t.Errorf("%s: written as %s, %v", text, written, err)
		}
	}
	if got := platform.Seconds(1e300); got <= 0 {
		t.Errorf("a duration that is too long is %v", got)
	}
}
