package gateway

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func localhost(function string) string { return function + ".localhost" }

// taggedTable has ping, whose first revision has all traffic and whose second a tag, and pong with a host of its own that
// looks like one of ping's.
func taggedTable() *table {
	ping, pong := targetOf(100), targetOf(100)
	ping.route = ping.route.WithTag("canary", platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 2}})
	ping.aside = []share{{pool: &pool{revision: platform.RevisionID{Function: "ping", Number: 2}}}}
	pong.function = &function{name: "pong"}
	return &table{hosts: map[string]*target{
		"ping.localhost": ping, "shop.example": ping, "pong.localhost": pong, "own.ping.localhost": pong,
	}}
}

func TestFindHost(t *testing.T) {
	table := taggedTable()
	for host, want := range map[string]string{
		"ping.localhost":            "ping",
		"shop.example":              "ping",
		"canary.ping.localhost":     "ping canary",
		"00001.ping.localhost":      "ping 00001",
		"nothing.ping.localhost":    "ping nothing",
		"own.ping.localhost":        "pong", // a host of another function is what it is
		"canary.shop.example":       "",     // below a host of the function's own there is nothing
		"a.canary.ping.localhost":   "",
		"canary.own.ping.localhost": "",
		"localhost":                 "",
		"canary.":                   "",
		"":                          "",
	} {
		got := ""
		if found, label := table.find(host, localhost); found != nil {
			got = strings.TrimSpace(found.function.name + " " + label)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestOnly(t *testing.T) {
	ping := taggedTable().hosts["ping.localhost"]
	for label, want := range map[string]int{"canary": 2, "00001": 1, "00002": 2, "00003": 0, "stable": 0, "1": 0} {
		got := 0
		if one := ping.only(label); one != nil {
			got = one.pick(nil).pool.revision.Number
		}
		if got != want {
			t.Errorf("%s: got %d, want %d", label, got, want)
		}
	}
}

// Whatever host a client asks for, it gets where that host leads, and nowhere else.
func FuzzFindHost(f *testing.F) {
	for _, seed := range []string{"ping.localhost", "canary.ping.localhost:80", "00002.PING.localhost.", "own.ping.localhost", ".ping.localhost", "[::1].ping.localhost"} {
		f.Add(seed)
	}
	table := taggedTable()
	f.Fuzz(func(t *testing.T, asked string) {
		host, ok := parseHost(asked)
		if !ok {
			return
		}
		found, label := table.find(host, localhost)
		switch {
		case found == nil:
		case label == "" && table.hosts[host] == found:
		case label != "" && host == label+"."+localhost(found.function.name) && table.hosts[host] == nil:
			if one := found.only(label); one != nil && (len(one.shares) != 1 || one.function != found.function) {
				t.Errorf("%q leads to %+v", asked, one)
			}
		default:
			t.Errorf("%q leads to %s with %q", asked, found.function.name, label)
		}
	})
}
