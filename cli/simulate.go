package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name:      "simulate",
		Usage:     "replay a trace of requests, and show how a function would scale",
		UsageText: "simulate --trace FILE [--config FILE] [--cold-start TIME] [--service-time TIME] [--compare] [-o json]",
		Description: "The trace is a CSV file whose lines are a second and the requests that arrive in it: 0,12. The decisions are those of\n" +
			"the activator. An instance is taken to work on as many requests at once as its target amounts to, or on concurrency\n" +
			"of jcloud.yml.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "trace", Usage: "`FILE` with the trace"},
			&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: jcloud.yml or jcloud.yaml of this directory, else the defaults)"},
			&cli.DurationFlag{Name: "cold-start", Value: 300 * time.Millisecond, Usage: "`TIME` from the start of an instance until it is ready"},
			&cli.DurationFlag{Name: "service-time", Value: 50 * time.Millisecond, Usage: "`TIME` that a request takes"},
			&cli.BoolFlag{Name: "compare", Usage: "show what Knative's defaults would do, too"},
			outputFlag(),
		},
		Action: simulate,
	}
}

// longestSimulated bounds a cold start and a request.
const longestSimulated = time.Hour

func simulate(c *cli.Context) error {
	if err := checkSimulate(c); err != nil {
		return err
	}
	config, file, err := platform.LoadConfig(".", c.String("config"))
	if err != nil {
		return err
	}
	sims, err := simulations(c, config)
	if err != nil {
		return err
	}
	trace, err := readTrace(c.String("trace"))
	if err != nil {
		return err
	}
	result := simulationResult{Config: file, Trace: c.String("trace")}
	for _, s := range sims {
		result.Runs = append(result.Runs, newRun(s.name, autoscaler.Simulate(trace, s.Simulation)))
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, result)
	}
	result.print(c.App.Writer)
	return nil
}

func checkSimulate(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError{fmt.Errorf("simulate takes no argument, got %q", c.Args().First())}
	}
	if c.String("trace") == "" {
		return withHint(usageError{errors.New("simulate: --trace is missing")}, "usage: %s", c.Command.UsageText)
	}
	for _, name := range []string{"cold-start", "service-time"} {
		if d := c.Duration(name); d < 0 || d > longestSimulated {
			return usageError{fmt.Errorf("--%s is 0s to %s, not %s", name, longestSimulated, d)}
		}
	}
	return nil
}

// namedSimulation is one way to scale a function.
type namedSimulation struct {
	name string
	autoscaler.Simulation
}

// simulations are fnctl's way, and Knative's if it is asked for.
func simulations(c *cli.Context, config platform.Config) ([]namedSimulation, error) {
	auto := config.Autoscale
	target := auto.Metrics[0]
	followed := target.Metric == platform.MetricRPS || target.Metric == platform.MetricConcurrency
	if c.Bool("compare") && !followed {
		return nil, withHint(fmt.Errorf("--compare: Knative does not scale by %s", target.Metric), "it does with metric: rps and metric: concurrency")
	}
	warnSimulated(c.App.ErrWriter, auto)
	base := autoscaler.Simulation{
		Config:    activator.ScalerConfig(target, auto),
		ColdStart: c.Duration("cold-start"), ServiceTime: c.Duration("service-time"), Ready: auto.Min,
	}
	if followed {
		base.Slots = config.Concurrency
	}
	sims := []namedSimulation{{"fnctl", base}}
	if c.Bool("compare") {
		base.Config = autoscaler.KnativeConfig(autoscaler.Metric(target.Metric), target.Target)
		base.Config.Min, base.Config.Max = auto.Min, auto.Max
		sims = append(sims, namedSimulation{"Knative", base})
	}
	return sims, nil
}

// warnSimulated says what of a configuration does not follow from a trace.
func warnSimulated(stderr io.Writer, auto platform.Autoscale) {
	switch first := auto.Metrics[0].Metric; first {
	case platform.MetricRPS, platform.MetricConcurrency:
	case platform.MetricCPU:
		printWarning(stderr, errors.New("a trace says nothing of processors: a request is taken to use a whole instance while it is worked on"))
	default:
		printWarning(stderr, fmt.Errorf("a trace says nothing of %s: only requests and bounds decide", first))
	}
	if len(auto.Metrics) > 1 {
		printWarning(stderr, fmt.Errorf("only the first of the metrics, %s, is simulated", auto.Metrics[0].Metric))
	}
}
