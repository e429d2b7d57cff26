package cli

import (
	"fmt"
	"io"

	"github.com/fnctl/fnctl/platform"
)

// idlePython is what a Python process with a web framework uses before its first request, in MiB.
const idlePython = 40

// warnConfig says what of a configuration is valid and will not work out, on a machine with some cores; 0 if it is not known where
// the function will run.
func warnConfig(stderr io.Writer, config platform.Config, cores int) {
	if cores > 0 && config.Instance.Cores > float64(cores) {
		printWarning(stderr, fmt.Errorf("instance: %s has %v cores, and the machine has %d", config.Instance.Name, config.Instance.Cores, cores))
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
