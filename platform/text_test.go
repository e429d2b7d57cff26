package platform_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_500_000: "1.5 MB", 16 << 20: "16.8 MB", 2_000_000_000: "2.0 GB",
		5_000_000_000_000_000: "5000.0 TB",
	} {
		if got := platform.ByteSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// What others have written commands no terminal.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain, ünïcödé → 世界  ": "plain, ünïcödé → 世界  ", "two\nlines\tand a tab\n": "two\nlines\tand a tab\n",
		"\x1b[31mred\x1b[0m": `\x1b[31mred\x1b[0m`, "\x1b]0;title\a": `\x1b]0;title\a`, "a\rb": `a\rb`, "\x7f\u009b2J": `\x7f\u009b2J`,
		"\u202etxt.exe": `\u202etxt.exe`, "half \xc3": `half \xc3`, "\x9b2J": `\x9b2J`,
	} {
		if got := platform.Printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	if got, want := platform.Plural(1, "file")+platform.Plural(0, "unit")+platform.Plural(2, "unit"), "1 file0 units2 units"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCompareNatural(t *testing.T) {
	names := []string{"ping-00001@10", "ping-00002@1", "ping-00001@2", "ping-00001@1"}
	slices.SortFunc(names, platform.CompareNatural)
	if got, want := strings.Join(names, " "), "ping-00001@1 ping-00001@2 ping-00002@1 ping-00001@10"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
