package public

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestWish(t *testing.T) {
	for _, test := range []struct {
		wish Wish
		err  string // "": none
	}{
		{Wish{}, ""},
		{Wish{Domain: "fn.example.com", Email: "ops@example.com"}, ""},
		{Wish{Domain: "example"}, "has no dot"},
		{Wish{Domain: "Fn.Example.com"}, "--domain"},
		{Wish{Domain: "*.example.com"}, "--domain"},
		{Wish{Domain: "fn.example.com/x"}, "--domain"},
		{Wish{Email: "ops"}, "--email"},
		{Wish{Email: "@example.com"}, "--email"},
		{Wish{Email: "ops@"}, "--email"},
		{Wish{Email: "a b@example.com"}, "--email"},
		{Wish{Email: "ops@example.com\nacme: x"}, "--email"},
	} {
		err := test.wish.Check()
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%+v: %v", test.wish, err)
		}
	}
}

// What a plan has changed of the settings is undone with their comments and their mode, also where there were none.
func TestSettingsAreRestored(t *testing.T) {
	for _, before := range []string{"", "# mine\nstandby: {memory: 10%}\n"} {
		paths := platform.Paths{Root: t.TempDir()}
		if err := os.MkdirAll(filepath.Dir(paths.Settings()), 0o755); err != nil {
			t.Fatal(err)
		}
		if before != "" {
			if err := os.WriteFile(paths.Settings(), []byte(before), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		old, err := readSettings(paths)
		if err != nil {
			t.Fatal(err)
		}
		if err := editSettings(paths, edit{"endpoint", "https://{name}.fn.example.com"}); err != nil {
			t.Fatal(err)
		}
		if err := old.restore(); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(paths.Settings())
		if before == "" {
			if !os.IsNotExist(err) {
				t.Errorf("there is a file: %q", after)
			}
			continue
		}
		info, err := os.Stat(paths.Settings())
		if err != nil || string(after) != before || info.Mode().Perm() != 0o640 {
			t.Errorf("%q with mode %v, %v", after, info.Mode(), err)
		}
	}
}

// The loopback is this machine's own, whatever else is.
func TestOwnAddresses(t *testing.T) {
	own, err := ownAddresses()
	if err != nil || !slices.Contains(own, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("own addresses: %v, %v", own, err)
	}
}
