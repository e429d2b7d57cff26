package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name:  "simulate",
		Usage: "replay a trace of requests, and show how a function would scale",
		UsageText: "simulate --trace FILE | --functions FILE [--config FILE] [--standby N] [--memory SIZE] [--budget SIZE] [--poised=false] " +
			"[--compare] [-o json]",
		Description: "The trace is a CSV file whose lines are a second and the requests that arrive in it: 0,12. The decisions are those of\n" +
			"the activator. Of several metrics the largest wish wins. An instance is taken to work on as many requests at once as\n" +
			"its target amounts to, or on concurrency of jcloud.yml. With standby, of jcloud.yml or --standby, instances that have\n" +
			"nothing to do are frozen instead of stopped, and a request wakes one; beyond --budget they are evicted.\n\n" +
			"A trace of many functions shows how many of their calls start an instance, and in how much memory: those in standby\n" +
			"that are worth least are evicted beyond --budget. Each function has one instance. The file is CSV, compressed with gzip,\n" +
			"with the columns id, trigger, mean_ms, mem_mb, counts; counts is minute:calls, separated by blanks.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "trace", Usage: "`FILE` with the trace"},
			&cli.StringFlag{Name: "functions", Usage: "`FILE` with a trace of many functions, instead"},
			&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: jcloud.yml or jcloud.yaml of this directory, else the defaults)"},
			&cli.DurationFlag{Name: "cold-start", Value: 300 * time.Millisecond, Usage: "`TIME` from the start of an instance until it is ready"},
			&cli.DurationFlag{Name: "service-time", Value: 50 * time.Millisecond, Usage: "`TIME` that a request takes"},
			&cli.StringFlag{Name: "standby", Usage: "at most `N` instances in standby, true or false (default: standby of the configuration)"},
			&cli.DurationFlag{Name: "wake-time", Value: 2 * time.Millisecond, Usage: "`TIME` from waking an instance until it is ready"},
			&cli.StringFlag{Name: "memory", Usage: "`SIZE` of an instance as measured, such as 60M (default: what its tier may use)"},
			&cli.StringFlag{Name: "budget", Usage: "`SIZE` of all instances together (default: no limit; with --functions the peak of Knative's defaults)"},
			&cli.BoolFlag{Name: "poised", Value: true, Usage: "the next instance waits in its sandbox, ready but for the app"},
			&cli.DurationFlag{Name: "sandbox-time", Value: 20 * time.Millisecond, Usage: "`TIME` of a cold start that --poised saves"},
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
	if c.String("functions") != "" {
		return simulateFunctions(c)
	}
	config, file, err := platform.LoadConfig(".", c.String("config"))
	if err != nil {
		return err
	}
	size, err := sizeFlag(c, "memory", config.Instance.MemoryBytes())
	if err != nil {
		return err
	}
	sims, err := simulations(c, config, size)
	if err != nil {
		return err
	}
	trace, err := readTrace(c.String("trace"))
	if err != nil {
		return err
	}
	result := simulationResult{Config: file, Trace: c.String("trace"), Size: size, shows: sims[0].Simulation}
	for _, s := range sims {
		result.Runs = append(result.Runs, newRun(s.name, autoscaler.Simulate(trace, s.Simulation), size))
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
	trace, functions := c.String("trace") != "", c.String("functions") != ""
	switch {
	case trace && functions:
		return platform.UsageError(errors.New("simulate takes --trace or --functions"))
	case !trace && !functions:
		return platform.WithHint(platform.UsageError(errors.New("simulate: --trace is missing")), "usage: %s", c.Command.UsageText)
	}
	for _, name := range []string{"config", "service-time", "standby", "wake-time", "memory", "poised", "sandbox-time"} {
		if functions && c.IsSet(name) {
			return platform.UsageError(fmt.Errorf("--%s is about one function, and not with --functions", name))
		}
	}
	for _, name := range []string{"cold-start", "service-time", "wake-time", "sandbox-time"} {
		if d := c.Duration(name); d < 0 || d > longestSimulated {
			return platform.UsageError(fmt.Errorf("--%s is 0s to %s, not %s", name, longestSimulated, d))
		}
	}
	if c.IsSet("sandbox-time") && c.Bool("poised") && c.Duration("sandbox-time") > c.Duration("cold-start") {
		return platform.UsageError(fmt.Errorf("--sandbox-time is a part of --cold-start, %s, not %s",
			c.Duration("cold-start"), c.Duration("sandbox-time")))
	}
	return nil
}

// sizeFlag is a number of bytes, or otherwise if the flag is not given.
func sizeFlag(c *cli.Context, name string, otherwise int64) (int64, error) {
	if !c.IsSet(name) {
		return otherwise, nil
	}
	bytes, err := keys.Size{Min: 1 << 20, Max: 1 << 44}.Parse(c.String(name))
	if err != nil {
		return 0, platform.UsageError(fmt.Errorf("--%s %w", name, err))
	}
	return bytes, nil
}

// standbyFlag is how many instances there may be in standby.
func standbyFlag(c *cli.Context, auto platform.Autoscale) (int, error) {
	text := c.String("standby")
	n, err := strconv.Atoi(text)
	switch {
	case !c.IsSet("standby"):
		return auto.Standby, nil
	case text == "true":
		n = keys.Unbounded
	case text == "false":
		n = 0
	case err != nil || n < 0 || n > keys.Unbounded:
		return 0, platform.UsageError(fmt.Errorf("--standby is true, false or a number of instances, not %.40q", text))
	}
	if n > 0 && auto.Single {
		err := errors.New("--standby is false with overlap: false: while one sleeps, nothing else may listen for requests")
		return 0, platform.UsageError(err)
	}
	return n, nil
}

// budgetFlag is how many instances of a size the budget has room for; 0: it has no limit.
func budgetFlag(c *cli.Context, size int64) (int, error) {
	budget, err := sizeFlag(c, "budget", 0)
	if err == nil && budget > 0 && budget < size {
		err = fmt.Errorf("--budget is at least what one instance takes, %s, not %s", platform.ByteSize(size), platform.ByteSize(budget))
		err = platform.WithHint(platform.UsageError(err), "--memory is for the measured size of an instance")
	}
	return int(budget / size), err
}

// namedSimulation is one way to scale a function.
type namedSimulation struct {
	name string
	autoscaler.Simulation
}

// simulations are fnctl's way, and Knative's if it is asked for. size is that of an instance, in bytes.
func simulations(c *cli.Context, config platform.Config, size int64) ([]namedSimulation, error) {
	auto := config.Autoscale
	base := autoscaler.Simulation{ColdStart: c.Duration("cold-start"), ServiceTime: c.Duration("service-time"), Ready: auto.Min}
	if slices.ContainsFunc(config.ScaledBy(), func(m platform.MetricTarget) bool { return countsRequests(m.Metric) }) {
		base.Slots = config.Concurrency
	}
	ours, err := withStandby(c, base, auto, size)
	if err != nil {
		return nil, err
	}
	for _, target := range config.ScaledBy() {
		ours.Others = append(ours.Others, activator.ScalerConfig(target, auto))
	}
	ours.Config, ours.Others = ours.Others[0], ours.Others[1:]
	sims := []namedSimulation{{"fnctl", ours}}
	if c.Bool("compare") {
		knative, err := knatives(base, auto)
		if err != nil {
			return nil, err
		}
		sims = append(sims, knative)
	}
	warnSimulated(c.App.ErrWriter, auto)
	return sims, nil
}

// withStandby adds what is kept of instances that are stopped otherwise, and done ahead for those that are to start.
func withStandby(c *cli.Context, s autoscaler.Simulation, auto platform.Autoscale, size int64) (autoscaler.Simulation, error) {
	var err1, err2 error
	s.Standby, err1 = standbyFlag(c, auto)
	s.Budget, err2 = budgetFlag(c, size)
	s.WakeTime = c.Duration("wake-time")
	s.Poised, s.SandboxTime = c.Bool("poised"), min(c.Duration("sandbox-time"), c.Duration("cold-start"))
	return s, cmp.Or(err1, err2)
}

// knatives is what Knative's defaults do by the first metric that Knative has.
func knatives(s autoscaler.Simulation, auto platform.Autoscale) (namedSimulation, error) {
	i := slices.IndexFunc(auto.Metrics, func(m platform.MetricTarget) bool { return countsRequests(m.Metric) })
	if i < 0 {
		return namedSimulation{}, noComparison(auto.Metrics[0].Metric)
	}
	target := auto.Metrics[i]
	s.Config = autoscaler.KnativeConfig(autoscaler.Metric(target.Metric), target.Target)
	s.Config.Min, s.Config.Max = auto.Min, auto.Max
	name := "Knative"
	if len(auto.Metrics) > 1 {
		name += ", " + string(target.Metric)
	}
	return namedSimulation{name, s}, nil
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
