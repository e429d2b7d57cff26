package gateway

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"ping.localhost":         "ping.localhost",
		"PING.LocalHost:8080":    "ping.localhost",
		"ping.localhost.":        "ping.localhost",
		"ping.localhost.:80":     "ping.localhost",
		"ping.localhost:":        "ping.localhost",
		"a_b.example":            "a_b.example",
		"127.0.0.1:80":           "127.0.0.1",
		"[::1]:80":               "[::1]",
		"[::FFFF:1.2.3.4]":       "[::ffff:1.2.3.4]",
		"":                       "",
		".":                      "",
		":80":                    "",
		"a..b":                   "",
		".a":                     "",
		"a b":                    "",
		"a/b":                    "",
		"a\nb":                   "",
		"a:b":                    "",
		"a:123456":               "",
		"a:-1":                   "",
		"::1":                    "",
		"[::1":                   "",
		"[]":                     "",
		"user@host":              "",
		"ä.example":              "",
		strings.Repeat("a", 254): "",
	} {
		if got, ok := parseHost(in); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, ok, want)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"ping.localhost:8080", "[::1]:80", "a..b", ":", "A.", "[", "]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := parseHost(s)
		if !ok {
			return
		}
		if host == "" || len(host) > 253 || strings.ToLower(host) != host || strings.ContainsAny(host, " /\\@\r\n\x00\"%") {
			t.Errorf("%q: got %q", s, host)
		}
		if again, ok := parseHost(host); !ok || again != host {
			t.Errorf("%q is read as %q, %v", host, again, ok)
		}
	})
}

func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", "x\r\ny: z", strings.Repeat("x", 129)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id := requestID([]wire.Field{{Name: []byte("X-Request-ID"), Value: []byte(s)}})
		if !saneRequestID([]byte(id)) || strings.Trim(id, "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Errorf("%q: got %q", s, id)
		}
		if saneRequestID([]byte(s)) != (id == s) {
			t.Errorf("%q: got %q", s, id)
		}
	})
}

func TestRequestIDGivenTwice(t *testing.T) {
	if got := requestID([]wire.Field{{Name: []byte("x-request-id"), Value: []byte("a")}, {Name: []byte("x-request-id"), Value: []byte("b")}}); got == "a" || got == "b" {
		t.Errorf("got %q", got)
	}
}

func TestClaimHosts(t *testing.T) {
	hostOf := func(name string) string { return name + ".localhost" }
	route := func(name string, hosts ...string) platform.Route { return platform.Route{Function: name, Hosts: hosts} }
	for _, test := range []struct {
		name      string
		routes    []platform.Route
		before    map[string]string
		owners    map[string]string
		conflicts []conflict
	}{
		{"own hosts", []platform.Route{route("a", "x"), route("b")}, nil,
			map[string]string{"a.localhost": "a", "x": "a", "b.localhost": "b"}, nil},
		{"first by name", []platform.Route{route("b", "x"), route("a", "x")}, nil,
			map[string]string{"a.localhost": "a", "b.localhost": "b", "x": "a"}, []conflict{{"x", "a", "b"}}},
		{"who had it", []platform.Route{route("b", "x"), route("a", "x")}, map[string]string{"x": "b"},
			map[string]string{"a.localhost": "a", "b.localhost": "b", "x": "b"}, []conflict{{"x", "b", "a"}}},
		{"who had it gave it up", []platform.Route{route("b"), route("a", "x")}, map[string]string{"x": "b"},
			map[string]string{"a.localhost": "a", "b.localhost": "b", "x": "a"}, nil},
		{"the platform's host", []platform.Route{route("b"), route("a", "b.localhost")}, map[string]string{"b.localhost": "a"},
			map[string]string{"a.localhost": "a", "b.localhost": "b"}, []conflict{{"b.localhost", "b", "a"}}},
		{"its own host again", []platform.Route{route("a", "a.localhost", "x", "x")}, nil,
			map[string]string{"a.localhost": "a", "x": "a"}, nil},
		{"private", []platform.Route{{Function: "a", Hosts: []string{"x"}, Private: true}}, nil, map[string]string{}, nil},
	} {
		routes := make(map[string]platform.Route)
		for _, r := range test.routes {
			routes[r.Function] = r
		}
		owners, conflicts := claimHosts(routes, hostOf, test.before)
		if !reflect.DeepEqual(owners, test.owners) || !reflect.DeepEqual(conflicts, test.conflicts) {
			t.Errorf("%s: got %v %v", test.name, owners, conflicts)
		}
	}
}
