package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

func TestParseForwarded(t *testing.T) {
	type list = []wire.Forwarded
	for value, want := range map[string]list{
		"":                               nil,
		"for=192.0.2.1":                  {{For: "192.0.2.1"}},
		`For="[2001:db8:cafe::17]:4711"`: {{For: "[2001:db8:cafe::17]:4711"}},
		"for=192.0.2.60;proto=http;by=203.0.113.43":           {{For: "192.0.2.60", Proto: "http"}},
		"for=192.0.2.43, for=198.51.100.17;HOST=shop.example": {{For: "192.0.2.43"}, {For: "198.51.100.17", Host: "shop.example"}},
		"for=192.0.2.43:80 ; proto=https,":                    {{For: "192.0.2.43:80", Proto: "https"}},
		`for="a,b;c\"d";proto=https, ;, for=unknown`:          {{For: `a,b;c"d`, Proto: "https"}, {For: "unknown"}},
		`for=;secret="x y";host="h"`:                          {{Host: "h"}},
		`by=203.0.113.43`:                                     nil,
		"for=192.0.2.1;for=192.0.2.2":                         {{For: "192.0.2.2"}},
	} {
		got, ok := wire.ParseForwarded([]byte(value))
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %t, want %+v", value, got, ok, want)
		}
	}
	for _, value := range []string{"for", "for 192.0.2.1", `for="192.0.2.1`, `for="192.0.2.1\`, `for=a"b`, "=x", `for="a"b`, "for=a b", "for=a, @"} {
		if got, ok := wire.ParseForwarded([]byte(value)); ok {
			t.Errorf("%s: got %+v", value, got)
		}
	}
}

func FuzzParseForwarded(f *testing.F) {
	f.Add(`for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`)
	f.Fuzz(func(t *testing.T, value string) {
		elements, ok := wire.ParseForwarded([]byte(value))
		if !ok && elements != nil || len(elements) > strings.Count(value, ",")+1 {
			t.Errorf("%q: %+v, %t", value, elements, ok)
		}
	})
}
