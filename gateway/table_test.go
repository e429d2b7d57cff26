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
	ping.aside = []share{{pool: &pool{roster: roster{revision: platform.RevisionID{Function: "ping", Number: 2}}}}}
	pong.function = &function{name: "pong"}
	targets := map[string]*target{"ping": ping, "pong": pong}
	return newTable(targets, nil, map[string]string{
		"ping.localhost": "ping", "shop.example": "ping", "pong.localhost": "pong", "own.ping.localhost": "pong",
		"ping.localhost/api": "pong", "ping.localhost/api/old": "ping", "*.tenants.example": "ping", "*.tenants.example/api": "pong",
		"first.tenants.example/only": "pong", "other.example/here": "pong",
	})
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
		if to := table.find(host, "/", localhost); to.target != nil {
			got = strings.TrimSpace(to.function.name + " " + to.label)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

// The longest path decides, after the host: an exact one, then *.NAME, then *.
func TestFindPath(t *testing.T) {
	table := taggedTable()
	for _, c := range []struct{ host, path, want string }{
		{"ping.localhost", "/api", "pong /api"},
		{"ping.localhost", "/api/", "pong /api"},
		{"ping.localhost", "/api/x", "pong /api"},
		{"ping.localhost", "/apix", "ping"},
		{"ping.localhost", "/x/api", "ping"},
		{"ping.localhost", "/api/old/x", "ping /api/old"},
		{"ping.localhost", "*", "ping"},
		{"canary.ping.localhost", "/api/x", "ping"}, // a tag is of the function
		{"a.tenants.example", "/", "ping"},
		{"a.tenants.example", "/api", "pong /api"},
		{"a.b.tenants.example", "/", ""},
		{"tenants.example", "/", ""},
		{"first.tenants.example", "/only/x", "pong /only"},
		{"first.tenants.example", "/", "ping"}, // which no rule of that host has
		{"other.example", "/", ""},
		{"other.example", "/here", "pong /here"},
	} {
		got := ""
		if to := table.find(c.host, c.path, localhost); to.target != nil {
			got = strings.TrimSpace(to.function.name + " " + to.rule)
		}
		if got != c.want {
			t.Errorf("%s%s: got %q, want %q", c.host, c.path, got, c.want)
		}
	}
	table.hosts["*"] = &site{whole: table.hosts["pong.localhost"].whole}
	for host, want := range map[string]string{"nobody.example": "pong", "203.0.113.5": "pong", "::1]": "pong", "a.tenants.example": "ping", "ping.localhost": "ping"} {
		if to := table.find(host, "/", localhost); to.target == nil || to.function.name != want {
			t.Errorf("%s: got %+v, want %s", host, to, want)
		}
	}
}

func TestOnly(t *testing.T) {
	ping := taggedTable().hosts["ping.localhost"].whole
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
		to := table.find(host, "/", localhost)
		found, label := to.target, to.label
		_, below, _ := strings.Cut(host, ".")
		switch exact, wild := table.hosts[host], table.hosts["*."+below]; {
		case found == nil:
		case label == "" && exact != nil && exact.whole == found:
		case label == "" && (exact == nil || exact.whole == nil) && wild != nil && wild.whole == found:
		case label != "" && host == label+"."+localhost(found.function.name) && exact == nil:
			if one := found.only(label); one != nil && (len(one.shares) != 1 || one.function != found.function) {
				t.Errorf("%q leads to %+v", asked, one)
			}
		default:
			t.Errorf("%q leads to %s with %q", asked, found.function.name, label)
		}
	})
}
