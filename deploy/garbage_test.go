package deploy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// Kept are, besides what has traffic, the last that had some, and the last that failed.
func TestFindRevisions(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	id := func(n int) platform.RevisionID { return platform.RevisionID{Function: "shop", Number: n} }
	// f failed, F failed while it was rolled out, s had traffic, R has it, k is what a deploy that was killed has left.
	const revisions = "sffksFfsRsfk"
	for i, kind := range revisions {
		if err := os.MkdirAll(store.Paths.Revision(id(i+1)), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune("sFR", kind) {
			if err := os.WriteFile(store.Paths.Served(id(i+1)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if strings.ContainsRune("fF", kind) {
			if err := store.PutFailedDeploy(id(i+1), platform.FailedDeploy{Explanation: "it was not healthy"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	route := platform.Route{Function: "shop", Traffic: []platform.TrafficShare{{Revision: id(9), Percent: 100}}}
	busy := map[platform.InstanceID]bool{{Revision: id(3), Index: 1}: true} // it drains
	for keep, want := range map[int][]string{
		10: {"revision shop-00002, which failed", "revision shop-00004, which never had traffic", "revision shop-00012, which never had traffic"},
		2: {"revision shop-00001", "revision shop-00002, which failed", "revision shop-00004, which never had traffic", "revision shop-00005",
			"revision shop-00006, which failed", "revision shop-00012, which never had traffic"},
		1: {"revision shop-00001", "revision shop-00002, which failed", "revision shop-00004, which never had traffic", "revision shop-00005",
			"revision shop-00006, which failed", "revision shop-00007, which failed", "revision shop-00008", "revision shop-00012, which never had traffic"},
	} {
		found, err := sweeper{teardown: teardown{Engine: &Engine{Store: store}}, keep: keep}.findRevisions(route, busy)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range found {
			got = append(got, one.What)
		}
		if !slices.Equal(got, want) {
			t.Errorf("keep %d: got\n%s\nwant\n%s", keep, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
