package cli

import (
	"fmt"
	"io"

	"github.com/fnctl/fnctl/platform"
)

// idlePython is what a Python process with a web framework uses before its first request, in MiB.
const idlePython = 40

// warnConfig says what of a configuration is valid and will not work out.
func warnConfig(stderr io.Writer, config platform.Config) {
	for _, target := range config.Autoscale.Metrics {
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
