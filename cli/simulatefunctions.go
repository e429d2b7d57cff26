package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/activator/keepalive"
	"github.com/fnctl/fnctl/platform"
)

// functionsResult is what "fnctl simulate --functions FILE -o json" prints. Its fields are an interface that scripts use.
type functionsResult struct {
	Trace     string         `json:"trace"`
	Functions int            `json:"functions"`
	Budget    int64          `json:"budget_bytes"`
	Runs      []functionsRun `json:"runs"`
}

// functionsRun is what came of one policy of what is kept in memory: a keepalive.Result, with names for JSON.
type functionsRun struct {
	Name       string `json:"name"`
	Calls      int    `json:"calls"`
	ColdStarts int    `json:"cold_starts"`
	Wakes      int    `json:"wakes"`
	PeakMemory int64  `json:"peak_bytes"`
	MeanMemory int64  `json:"mean_bytes"`
}

// simulateFunctions replays many functions through the cache of the activator.
func simulateFunctions(c *cli.Context) error {
	budget, err := sizeFlag(c, "budget", 0)
	if err != nil {
		return err
	}
	trace, err := readFunctions(c.String("functions"))
	if err != nil {
		return err
	}
	trace.ColdStart = c.Duration("cold-start")
	if budget == 0 {
		budget = keepalive.Simulate(trace, keepalive.Knative(), 0).PeakMemory
	}
	result := functionsResult{Trace: c.String("functions"), Functions: len(trace.Functions), Budget: budget}
	ours := keepalive.GreedyDual(keepalive.DefaultHalfLife)
	ours.StandbyAfter = time.Duration(platform.DefaultConfig().Autoscale.ScaleToZeroAfter)
	result.add("fnctl", keepalive.Simulate(trace, ours, budget))
	if c.Bool("compare") {
		for _, peer := range keepalive.Peers() {
			result.add(peer.Name, keepalive.Simulate(trace, peer.Policy, budget))
		}
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, result)
	}
	result.print(c.App.Writer)
	return nil
}

func readFunctions(path string) (keepalive.Trace, error) {
	file, err := os.Open(path)
	if err != nil {
		return keepalive.Trace{}, fmt.Errorf("read the trace: %w", err)
	}
	defer file.Close()
	trace, err := keepalive.ReadTrace(file)
	if err != nil {
		return trace, platform.WithHint(fmt.Errorf("%s: %w", path, err), "--trace is for the requests of one function, second,requests")
	}
	if len(trace.Functions) == 0 {
		return trace, fmt.Errorf("%s: the trace is empty", path)
	}
	return trace, nil
}

func (r *functionsResult) add(name string, of keepalive.Result) {
	r.Runs = append(r.Runs, functionsRun{
		Name: name, Calls: of.Calls, ColdStarts: of.ColdStarts, Wakes: of.Wakes, PeakMemory: of.PeakMemory, MeanMemory: of.MeanMemory,
	})
}

func (r *functionsResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s\n", platform.Plural(r.Functions, "function"), platform.Plural(r.Runs[0].Calls, "call"))
	t := newTable(w)
	t.AppendHeader(table.Row{"within " + platform.ByteSize(r.Budget), "Cold starts", "Wakes", "Peak memory", "Mean memory"})
	for _, run := range r.Runs {
		t.AppendRow(table.Row{run.Name, run.ColdStarts, run.Wakes, platform.ByteSize(run.PeakMemory), platform.ByteSize(run.MeanMemory)})
	}
	t.Render()
}
