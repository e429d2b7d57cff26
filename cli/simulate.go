package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
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
			"the activator. Of several metrics the largest wish wins. An instance is taken to work on as many requests at once as\n" +
			"its target amounts to, or on concurrency of jcloud.yml.",
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
		return platform.UsageError(fmt.Errorf("simulate takes no argument, got %q", c.Args().First()))
	}
	if c.String("trace") == "" {
		return platform.WithHint(platform.UsageError(errors.New("simulate: --trace is missing")), "usage: %s", c.Command.UsageText)
	}
	for _, name := range []string{"cold-start", "service-time"} {
		if d := c.Duration(name); d < 0 || d > longestSimulated {
			return platform.UsageError(fmt.Errorf("--%s is 0s to %s, not %s", name, longestSimulated, d))
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
	base := autoscaler.Simulation{ColdStart: c.Duration("cold-start"), ServiceTime: c.Duration("service-time"), Ready: auto.Min}
	followed := slices.DeleteFunc(slices.Clone(auto.Metrics), func(m platform.MetricTarget) bool { return !countsRequests(m.Metric) })
	if slices.ContainsFunc(config.ScaledBy(), func(m platform.MetricTarget) bool { return countsRequests(m.Metric) }) {
		base.Slots = config.Concurrency
	}
	ours := base
	for _, target := range config.ScaledBy() {
		ours.Others = append(ours.Others, activator.ScalerConfig(target, auto))
	}
	ours.Config, ours.Others = ours.Others[0], ours.Others[1:]
	sims := []namedSimulation{{"fnctl", ours}}
	if c.Bool("compare") {
		if len(followed) == 0 {
			return nil, noComparison(auto.Metrics[0].Metric)
		}
		target := followed[0]
		base.Config = autoscaler.KnativeConfig(autoscaler.Metric(target.Metric), target.Target)
		base.Config.Min, base.Config.Max = auto.Min, auto.Max
		name := "Knative"
		if len(auto.Metrics) > 1 {
			name += ", " + string(target.Metric)
		}
		sims = append(sims, namedSimulation{name, base})
	}
	warnSimulated(c.App.ErrWriter, auto)
	return sims, nil
}

// countsRequests reports whether a metric follows from a trace.
func countsRequests(metric platform.Metric) bool {
	return metric == platform.MetricRPS || metric == platform.MetricConcurrency
}

func noComparison(metric platform.Metric) error {
	err := fmt.Errorf("--compare: Knative itself scales by rps and concurrency only; %s it leaves to Kubernetes, which knows neither panic nor zero", metric)
	return platform.WithHint(err, "give the file metric: rps or metric: concurrency, also beside %s in a list of metrics", metric)
}

// warnSimulated says what of a configuration does not follow from a trace.
func warnSimulated(stderr io.Writer, auto platform.Autoscale) {
	for _, target := range auto.Metrics {
		switch {
		case countsRequests(target.Metric):
		case target.Metric == platform.MetricCPU:
			printWarning(stderr, errors.New("a trace says nothing of processors: a request is taken to use a whole instance while it is worked on"))
		case len(auto.Metrics) > 1:
			printWarning(stderr, fmt.Errorf("a trace says nothing of %s: it asks for nothing here", target.Metric))
		default:
			printWarning(stderr, fmt.Errorf("a trace says nothing of %s: only requests and bounds decide", target.Metric))
		}
	}
}
