package cli

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// A tier that is larger than the machine is deployed all the same, with a warning.
func TestWarnTier(t *testing.T) {
	small := &hardware{cores: 2, memory: 2_000_000_000}
	for name, want := range map[string][]string{
		"C3": nil,
		"C4": {"instance: C4 has 4.0 GB of memory, and the machine has 2.0 GB"},
		"C6": {"instance: C6 has 8 cores, and the machine has 2", "of memory, and the machine has"},
		"G1": {"has a GPU, and the machine has none"},
	} {
		tier, known := platform.TierByName(name)
		if !known {
			t.Fatalf("there is no tier %s", name)
		}
		var out strings.Builder
		warnTier(&out, tier, small)
		if (out.Len() > 0) != (want != nil) {
			t.Errorf("%s: says %q", name, out.String())
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: says %q, want %q", name, out.String(), text)
			}
		}
	}
}
