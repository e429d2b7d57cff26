package build

import (
	"strings"
	"testing"
)

// Of what a build prints the end is kept, however much it is.
func TestTail(t *testing.T) {
	for name, writes := range map[string][]string{
		"little":    {"one ", "end"},
		"much":      {strings.Repeat("x", 1000), "end"},
		"by little": append(strings.Split(strings.Repeat("x.", 500), "."), "end"),
		"at once":   {strings.Repeat("x", 1000) + "end"},
	} {
		out := tail{limit: 10}
		for _, text := range writes {
			if n, err := out.Write([]byte(text)); n != len(text) || err != nil {
				t.Fatalf("%s: %d, %v", name, n, err)
			}
		}
		if got := out.String(); !strings.HasSuffix(got, "end") || len(got) > 20 {
			t.Errorf("%s: kept %q", name, got)
		}
	}
}
