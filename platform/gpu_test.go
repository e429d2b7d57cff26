package platform_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestGPUs(t *testing.T) {
	for name, c := range map[string]struct {
		nodes   []string
		count   int
		want    []string
		missing []string
	}{
		"none":     {[]string{"null", "dri/card0", "dri/renderD128", "nvidiactl"}, 0, nil, nil},
		"NVIDIA":   {[]string{"nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "dri/renderD128"}, 3, []string{"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia10", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-caps/nvidia-cap1"}, nil},
		"at first": {[]string{"nvidia0", "nvidiactl"}, 1, []string{"/dev/nvidia0", "/dev/nvidiactl"}, []string{"/dev/nvidia-uvm"}},
		"AMD":      {[]string{"kfd", "dri/card0", "dri/renderD128", "dri/renderD129"}, 2, []string{"/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD129"}, nil},
	} {
		paths := platform.Paths{Root: t.TempDir()}
		for _, node := range c.nodes {
			path := filepath.Join(paths.Root, "dev", node)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := platform.FindGPUs(paths); got.Count != c.count || !slices.Equal(got.Nodes, c.want) || !slices.Equal(got.Missing, c.missing) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for name, want := range map[string]int{"C1": 0, "G1": 1, "G2": 1, "G3": 2, "G4": 4} {
		tier, is := platform.TierByName(name)
		if !is || tier.GPUCount() != want {
			t.Errorf("%s: got %d, %v", name, tier.GPUCount(), is)
		}
	}
}
