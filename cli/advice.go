package cli

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// idlePython is what a Python process with a web framework uses before its first request, in MiB.
const idlePython = 40

// hardware is what a machine has for its functions.
type hardware struct {
	cores  int
	memory int64 // in bytes, 0 if it is not known
	gpus   platform.GPUs
}

// thisMachine is where a deploy runs, and what it deploys.
func thisMachine(paths platform.Paths) *hardware {
	memory, _ := platform.ReadHostMemory(paths) // what is not known is not warned of
	return &hardware{runtime.NumCPU(), memory.Total, platform.FindGPUs(paths)}
}

// warnTier says what of a tier a machine has not.
func warnTier(stderr io.Writer, tier platform.Tier, m *hardware) {
	if tier.Cores > float64(m.cores) {
		printWarning(stderr, fmt.Errorf("instance: %s has %v cores, and the machine has %d", tier.Name, tier.Cores, m.cores))
	}
	if m.memory > 0 && tier.MemoryBytes() > m.memory {
		printWarning(stderr, fmt.Errorf("instance: %s has %s of memory, and the machine has %s", tier.Name, platform.ByteSize(tier.MemoryBytes()), platform.ByteSize(m.memory)))
	}
	switch promised := tier.GPUCount(); {
	case promised == 0:
	case m.gpus.Count == 0:
		printWarning(stderr, platform.WithHint(fmt.Errorf("instance: %s has a GPU, and the machine has none that a program could compute on", tier.Name),
			"with a driver there is /dev/nvidia0, or /dev/kfd; deploy again once it is there"))
	case m.gpus.Count < promised:
		printWarning(stderr, fmt.Errorf("instance: %s has %s, and the machine has %d", tier.Name, platform.Plural(promised, "GPU"), m.gpus.Count))
	}
	if tier.GPUCount() > 0 && len(m.gpus.Missing) > 0 {
		printWarning(stderr, platform.WithHint(fmt.Errorf("instance: without %s no program computes on the GPU, and only root can make that", strings.Join(m.gpus.Missing, " and ")),
			"nvidia-modprobe -u -c 0, at each boot, and deploy again"))
	}
}

// warnConfig says what of a configuration is valid and will not work out, on a machine; nil if it is not known where the function will
// run.
func warnConfig(stderr io.Writer, config platform.Config, on *hardware) {
	if on != nil {
		warnTier(stderr, config.Instance, on)
	}
	for _, target := range config.Autoscale.Metrics {
		if target.Metric == platform.MetricCPU {
			warnCPU(stderr, config, target.Target)
		}
		if target.Metric != platform.MetricMemory {
			continue
		}
		most := float64(config.Instance.MemoryBytes()) / (1 << 20)
		idle := float64(idlePython * config.Workers)
		switch {
		case config.Instance.MemoryBytes() > 0 && target.Target > most:
			printWarning(stderr, fmt.Errorf("memory: an instance of %s has %.0f MiB, it never comes to the target of %.0f", config.Instance.Name, most, target.Target))
		case len(config.Command) == 0 && target.Target < idle:
			printWarning(stderr, platform.WithHint(
				fmt.Errorf("memory: a Python app uses about %.0f MiB before its first request, so the target of %.0f leads to %d instances at once", idle, target.Target, config.Autoscale.Max),
				"a target must be above what an idle instance uses: fnctl status NAME shows that"))
		}
	}
}

// warnCPU says it if the workers of an app cannot use as much of their tier as the target is: a process of Python uses one core, but
// for what libraries compute outside of the interpreter.
func warnCPU(stderr io.Writer, config platform.Config, target float64) {
	if len(config.Command) > 0 {
		return
	}
	most := min(1, float64(config.Workers)/config.Instance.Cores) * 100
	if target < most {
		return
	}
	printWarning(stderr, platform.WithHint(
		fmt.Errorf("cpu: %s of Python can use at most %.0f %% of the %v cores of %s, so the target of %v may never be reached",
			platform.Plural(config.Workers, "worker"), most, config.Instance.Cores, config.Instance.Name, target),
		"more workers, a smaller instance, or a lower target"))
}
