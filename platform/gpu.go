package platform

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// GPUs are those of a machine that a program can compute on.
type GPUs struct {
	Count int
	// Nodes are the devices that a program opens for that, all of them.
	Nodes []string
	// Missing are devices that it would open, too, and that root has to make.
	Missing []string
}

var (
	nvidiaGPU  = regexp.MustCompile(`^nvidia\d+$`)
	renderNode = regexp.MustCompile(`^renderD\d+$`)
)

// The nodes that CUDA opens beside those of the GPUs. The driver makes the first two when root first uses it.
var nvidiaNodes = []string{"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"}

// FindGPUs finds those of NVIDIA, and those of AMD that ROCm knows: /dev/kfd is there.
func FindGPUs(p Paths) GPUs {
	var g GPUs
	add := func(names ...string) {
		for _, name := range names {
			g.Nodes = append(g.Nodes, "/dev/"+name)
		}
	}
	nvidia := devices(p, "", nvidiaGPU)
	add(nvidia...)
	for i, name := range nvidiaNodes {
		switch there := Exists(p.join("dev", name)); {
		case len(nvidia) > 0 && there:
			add(name)
		case len(nvidia) > 0 && i < 2:
			g.Missing = append(g.Missing, "/dev/"+name)
		}
	}
	if len(nvidia) > 0 {
		add(devices(p, "nvidia-caps", regexp.MustCompile(`^nvidia-cap\d+$`))...)
	}
	g.Count = len(nvidia)
	if Exists(p.join("dev/kfd")) {
		render := devices(p, "dri", renderNode)
		add("kfd")
		add(render...)
		g.Count += len(render)
	}
	return g
}

// devices lists the names of a directory of /dev that match, with the directory.
func devices(p Paths, dir string, name *regexp.Regexp) (names []string) {
	entries, _ := os.ReadDir(p.join("dev", dir)) // without the directory there is none
	for _, entry := range entries {
		if name.MatchString(entry.Name()) {
			names = append(names, filepath.Join(dir, entry.Name()))
		}
	}
	slices.SortFunc(names, CompareNatural)
	return names
}

// GPUCount is how many GPUs the tier promises; a shared one is one.
func (t Tier) GPUCount() int {
	if strings.EqualFold(t.GPU, "shared") {
		return 1
	}
	n, _ := strconv.Atoi(t.GPU) // none is ""
	return n
}
