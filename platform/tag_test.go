package platform_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestCheckTag(t *testing.T) {
	for tag, ok := range map[string]bool{
		"canary": true, "v1": true, "a": true, "a-b": true, strings.Repeat("a", 30): true,
		"": false, "00001": false, "1a": false, "A": false, "a_b": false, "a.b": false, "-a": false, "a-": false, "a\n": false, "ä": false,
		strings.Repeat("a", 31): false,
	} {
		if err := platform.CheckTag(tag); (err == nil) != ok || err != nil && !errors.Is(err, platform.ErrTag) {
			t.Errorf("%q: got %v", tag, err)
		}
	}
}

func revisionOf(n int) platform.Revision {
	config := platform.DefaultConfig()
	config.Hosts = []string{fmt.Sprintf("host%d.example", n)}
	return platform.Revision{ID: platform.RevisionID{Function: "shop", Number: n}, Config: config}
}

// sketch is a route in short: revision=percent with its tags.
func sketch(t *testing.T, route platform.Route) string {
	t.Helper()
	if err := route.Check(); err != nil {
		t.Errorf("%+v: %v", route, err)
	}
	var parts []string
	for _, share := range route.Traffic {
		parts = append(parts, strings.Join(append([]string{fmt.Sprintf("%d=%d", share.Revision.Number, share.Percent)}, route.TagsOf(share.Revision)...), "+"))
	}
	return strings.Join(parts, " ")
}

// A tag belongs to one revision, and stays with it whatever becomes of the traffic.
func TestTags(t *testing.T) {
	one := platform.RouteTo(revisionOf(1))
	split := platform.RouteOver([]platform.Split{{Revision: revisionOf(1), Percent: 90}, {Revision: revisionOf(2), Percent: 10}})
	aside := one.WithTag("canary", revisionOf(2))
	both := aside.WithTag("next", revisionOf(2))
	for _, test := range []struct {
		name  string
		route platform.Route
		want  string
	}{
		{"on what has traffic", one.WithTag("stable", revisionOf(1)), "1=100+stable"},
		{"on what has none", aside, "1=100 2=0+canary"},
		{"on what is older", platform.RouteTo(revisionOf(3)).WithTag("old", revisionOf(1)), "1=0+old 3=100"},
		{"moved", aside.WithTag("canary", revisionOf(3)), "1=100 3=0+canary"},
		{"moved to what has traffic", aside.WithTag("canary", revisionOf(1)), "1=100+canary"},
		{"two", both, "1=100 2=0+canary+next"},
		{"one of two taken away", both.WithoutTag("canary"), "1=100 2=0+next"},
		{"both taken away", both.WithoutTag("canary").WithoutTag("next"), "1=100"},
		{"not there", one.WithoutTag("canary"), "1=100"},
		{"after a deploy", platform.RouteTo(revisionOf(3)).After(aside), "2=0+canary 3=100"},
		{"after a deploy with the tag", platform.RouteTo(revisionOf(3)).WithTag("canary", revisionOf(3)).After(aside), "3=100+canary"},
		{"after a split", platform.RouteTo(revisionOf(3)).After(split.WithTag("a", revisionOf(1))), "1=0+a 3=100"},
		{"promoted", platform.RouteTo(revisionOf(2)).After(aside), "2=100+canary"},
		{"without a route before", one.After(platform.Route{}), "1=100"},
	} {
		if got := sketch(t, test.route); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if got := sketch(t, one) + ", " + sketch(t, aside); got != "1=100, 1=100 2=0+canary" {
		t.Errorf("what it was made of has changed: %s", got)
	}
	if !reflect.DeepEqual(aside.WithoutTag("canary"), one) || !reflect.DeepEqual(platform.RouteTo(revisionOf(1)).After(one), one) {
		t.Error("a route without tags is not what it was before")
	}
}

func TestAfterKeepsPauseAndSticky(t *testing.T) {
	before := platform.RouteTo(revisionOf(1))
	before.Paused, before.Sticky = true, &platform.Sticky{Header: "X-User"}
	after := platform.RouteTo(revisionOf(2)).After(before)
	if !after.Paused || after.Sticky.String() != "header:X-User" || after.Hosts[0] != "host2.example" {
		t.Errorf("got %+v", after)
	}
}

// What has a tag only does not speak for the function.
func TestNewest(t *testing.T) {
	route := platform.RouteTo(revisionOf(2)).WithTag("canary", revisionOf(3))
	if route.Newest().Number != 2 || route.Hosts[0] != "host2.example" || !route.Reaches(revisionOf(3).ID) || route.PercentOf(revisionOf(3).ID) != 0 {
		t.Errorf("got %+v", route)
	}
	if none := (platform.Route{}).Newest(); none.Number != 0 {
		t.Errorf("got %v", none)
	}
}

func TestTagged(t *testing.T) {
	route := platform.RouteTo(revisionOf(2)).WithTag("canary", revisionOf(3)).WithTag("stable", revisionOf(2))
	for label, want := range map[string]int{
		"canary": 3, "stable": 2, "00002": 2, "00003": 3,
		"": 0, "00001": 0, "2": 0, "000002": 0, "+0002": 0, "-0002": 0, "shop-00002": 0, "Canary": 0, "99999999999999999999": 0,
	} {
		if id, is := route.Tagged(label); is != (want > 0) || is && id.Number != want {
			t.Errorf("%q: got %v, %v", label, id, is)
		}
	}
}

func FuzzTagged(f *testing.F) {
	for _, seed := range []string{"canary", "00002", "2", "+0002", "", "\x00", "00002\n", "٠٠٠٠٢"} {
		f.Add(seed)
	}
	route := platform.RouteTo(revisionOf(2)).WithTag("canary", revisionOf(3))
	f.Fuzz(func(t *testing.T, label string) {
		id, is := route.Tagged(label)
		if !is {
			return
		}
		if !route.Reaches(id) || label != id.Label() && platform.CheckTag(label) != nil {
			t.Errorf("%q leads to %s", label, id)
		}
	})
}

func TestRouteWithTagsAndSticky(t *testing.T) {
	route := platform.RouteTo(revisionOf(1)).WithTag("canary", revisionOf(2))
	route.Sticky = &platform.Sticky{Cookie: "session"}
	data, err := json.Marshal(route)
	if err != nil {
		t.Fatal(err)
	}
	var decoded platform.Route
	if err := json.Unmarshal(data, &decoded); err != nil || !reflect.DeepEqual(decoded, route) {
		t.Errorf("from JSON: got %+v, %v, want %+v", decoded, err, route)
	}
	for want, damage := range map[string]func(*platform.Route){
		"invalid tag":                   func(r *platform.Route) { r.Tags["00001"] = r.Tags["canary"] },
		"has no revision shop-00007":    func(r *platform.Route) { r.Tags["x"] = platform.RevisionID{Function: "shop", Number: 7} },
		"a header or a cookie":          func(r *platform.Route) { r.Sticky.Header = "X-User" },
		"cannot name a header":          func(r *platform.Route) { r.Sticky.Cookie = "a b" },
		"adds up to 0 percent":          func(r *platform.Route) { r.Traffic[0].Percent = 0 },
		"sticky: a header or a cookie ": func(r *platform.Route) { r.Sticky.Cookie = "" },
	} {
		damaged := route.WithTag("canary", revisionOf(2)).After(route)
		sticky := *route.Sticky
		damaged.Sticky = &sticky
		damage(&damaged)
		if err := damaged.Check(); !strings.Contains(errorText(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestSticky(t *testing.T) {
	for text, ok := range map[string]bool{
		"off": true, "cookie": true, "header:X-User": true, "cookie:session": true,
		"": false, "header": false, "header:": false, "cookie:": false, "header:a b": false, "cookie:a=b": false, "header:a\r\nb": false, "query:a": false,
		"header:" + strings.Repeat("a", 101): false,
	} {
		sticky, err := platform.ParseSticky(text)
		if (err == nil) != ok || ok && sticky.String() != text {
			t.Errorf("%q: got %v, %v", text, sticky, err)
		}
	}
}

func TestTagEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://{name}.localhost:8080":       "http://canary.shop.localhost:8080",
		"https://fn-{name}.example.com":      "https://canary.fn-shop.example.com",
		"http://api.{name}.example.com:8443": "http://canary.api.shop.example.com:8443",
	} {
		if got := (platform.Settings{Endpoint: endpoint}).TagEndpointOf("shop", "canary"); got != want {
			t.Errorf("%s: got %s, want %s", endpoint, got, want)
		}
	}
}

// A revision with a tag only never had traffic; one that was deployed to get none is kept all the same.
func TestProved(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	for n := 1; n <= 3; n++ {
		dir := store.Paths.Revision(revisionOf(n).ID)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := store.PutRevision(dir, revisionOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.PutRoute(platform.RouteTo(revisionOf(1)).WithTag("canary", revisionOf(2))); err != nil {
		t.Fatal(err)
	}
	if err := store.MarkProved(revisionOf(2).ID); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int][2]bool{1: {true, true}, 2: {false, true}, 3: {false, false}} {
		id := revisionOf(n).ID
		if got := [2]bool{store.Served(id), store.Deployed(id)}; got != want {
			t.Errorf("%s: served and deployed are %v, want %v", id, got, want)
		}
	}
}
