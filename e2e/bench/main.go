//go:build e2e

// Command bench compares fnctl with what people would use in its place, on disposable machines and in the same run: a
// cold start with a bare start of the same server, the gateway with nginx, armed functions with bare socket units, and
// the last of many deploys with the first. And it measures how soon, and at what cost, the activator reacts.
//
//	go run -tags e2e ./e2e/bench
//
// It takes root, and the package that make package has made. A target that is missed is a result, not a failure: the
// exit status is 1 only if something could not be measured. docs/benchmarks.md says what each number means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == gatewayArgument {
		if err := runGateway(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench: error: gateway:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run())
}

// options are what the user asks for.
type options struct {
	deb, suite        string
	run               []string
	rounds, functions int
	json              bool
}

// benchmarks in the order in which they run, each on a machine of its own, with the names under which -run knows them.
var benchmarks = []struct {
	names []string
	run   func(context.Context, *lab) ([]result, error)
}{
	{[]string{"cold"}, benchCold},
	{[]string{"standby"}, benchStandby},
	{[]string{"proxy"}, benchProxy},
	{[]string{"memory", "deploy"}, benchMany},
	{[]string{"reaction"}, benchReaction},
	{[]string{"sandbox"}, benchSandbox},
}

// bare are the benchmarks that take no machine.
var bare = []struct {
	name string
	run  func(context.Context, *lab) ([]result, error)
}{
	{"tick", benchTick},
	{"traces", benchTraces},
	{"keepalive", benchKeepalive},
}

func run() int {
	o, err := parseOptions()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := measure(ctx, o)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "bench: interrupted; nothing is left behind")
		return 130
	}
	// What was measured before an error is worth seeing.
	if err := errors.Join(err, printResults(os.Stdout, results, o.json)); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		return 1
	}
	return 0
}

func parseOptions() (options, error) {
	var o options
	flag.StringVar(&o.deb, "deb", os.Getenv("FNCTL_DEB"), "`PACKAGE` to install (default: the newest in dist)")
	flag.StringVar(&o.suite, "suite", machine.Bookworm, "Debian `SUITE` of the machines")
	flag.IntVar(&o.rounds, "rounds", 7, "`NUMBER` of rounds of cold, proxy, standby (at least 100) and sandbox (at least 30)")
	flag.IntVar(&o.functions, "functions", 1000, "`NUMBER` of functions of memory and deploy")
	known := []string{"cold", "standby", "proxy", "memory", "deploy", "reaction", "sandbox", "tick", "traces", "keepalive"}
	names := flag.String("run", strings.Join(known, ","), "`NAMES` of what to measure")
	output := flag.String("o", "table", "`FORMAT` of the output: table or json")
	flag.Parse()
	o.run, o.json = strings.Split(*names, ","), *output == "json"
	for _, name := range o.run {
		if !slices.Contains(known, name) {
			return o, fmt.Errorf("-run: %q is none of %s", name, strings.Join(known, ", "))
		}
	}
	switch {
	case *output != "json" && *output != "table":
		return o, fmt.Errorf("-o is table or json, not %q", *output)
	case o.rounds < 1:
		return o, errors.New("-rounds must be at least 1")
	case o.functions < 3*edge:
		return o, fmt.Errorf("-functions must be at least %d", 3*edge)
	}
	return o, nil
}

// measure runs the benchmarks that are asked for.
func measure(ctx context.Context, o options) ([]result, error) {
	began := time.Now()
	var results []result
	for _, b := range benchmarks {
		if !slices.ContainsFunc(b.names, func(name string) bool { return slices.Contains(o.run, name) }) {
			continue
		}
		l, err := newLab(ctx, o, began)
		if err != nil {
			return results, err
		}
		found, err := b.run(ctx, l)
		if err := errors.Join(err, l.machine.Close()); err != nil {
			return results, fmt.Errorf("%s: %w", strings.Join(b.names, ", "), err)
		}
		results = append(results, found...)
	}
	for _, b := range bare {
		if !slices.Contains(o.run, b.name) {
			continue
		}
		found, err := b.run(ctx, &lab{options: o, began: began})
		if err != nil {
			return results, fmt.Errorf("%s: %w", b.name, err)
		}
		results = append(results, found...)
	}
	return slices.DeleteFunc(results, func(r result) bool { return !slices.Contains(o.run, r.Benchmark) }), nil
}
