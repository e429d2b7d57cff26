package platform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "ping", "my-app", "a1", "ping-1", "x-0001", strings.Repeat("a", platform.MaxNameLength)} {
		if err := platform.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", strings.Repeat("a", 64), "../x", "a.b", "Ping", "pîng", "ping-00001", "1ping", "-a", "a-", "a--b", "a b", "a/b",
		"a\n", "a%i", "a@1", strings.Repeat("a", platform.MaxNameLength+1),
	} {
		if err := platform.CheckName(name); !errors.Is(err, platform.ErrName) {
			t.Errorf("%q: got %v, want ErrName", name, err)
		}
	}
}

func TestCheckHost(t *testing.T) {
	for _, host := range []string{"a", "app.example.com", "1.example.com", "xn--bcher-kva.example"} {
		if err := platform.CheckHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
	for _, host := range []string{"", "A.com", "a:80", "a..b", ".a", "a.", "-a.b", "a/b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		if err := platform.CheckHost(host); err == nil {
			t.Errorf("%q was accepted", host)
		}
	}
}

func TestHostRule(t *testing.T) {
	for rule, want := range map[string]platform.HostRule{
		"app.example.com":    {Host: "app.example.com"},
		"*.example.com":      {Host: "*.example.com"},
		"*":                  {Host: "*"},
		"*/api":              {Host: "*", Path: "/api"},
		"a/b/c-d_e.f~":       {Host: "a", Path: "/b/c-d_e.f~"},
		"*.example.com/.git": {Host: "*.example.com", Path: "/.git"},
	} {
		if got, err := platform.ParseHostRule(rule); err != nil || got != want || got.String() != rule {
			t.Errorf("%q: got %+v, %v", rule, got, err)
		}
	}
	for _, rule := range []string{
		"", "*.", "*a", "a.*", "*.*.a", "**", "A.com", "a:80", "a/", "a//b", "a/b/", "a/../b", "a/.", "a/%61", "a/b c", "a/b?c", "a/b\n", "a/é", "/b",
		"a/" + strings.Repeat("b", 200), "http://a",
	} {
		if err := platform.CheckHostRule(rule); err == nil {
			t.Errorf("%q was accepted", rule)
		}
	}
}

// FuzzNames: what parses as a revision, an instance, a unit or a socket file is written back the same.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"ping-00001", "ping-00001@3", "fn-ping-00001@3.service", "a-123456@10.sock", "x-00000", "x-000001@01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := platform.ParseRevisionID(s); err == nil && id.String() != s {
			t.Errorf("revision %q comes back as %q", s, id)
		}
		if id, err := platform.ParseInstanceID(s); err == nil && id.String() != s {
			t.Errorf("instance %q comes back as %q", s, id)
		}
		if id, kind, ok := platform.ParseUnit(s); ok && id.Unit()+"."+kind != s {
			t.Errorf("unit %q comes back as %q", s, id.Unit()+"."+kind)
		}
		if id, ok := platform.ParseInstanceSocket(s); ok && id.String()+".sock" != s {
			t.Errorf("socket %q comes back as %q", s, id)
		}
	})
}
