package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/inspect"
	"github.com/fnctl/fnctl/platform"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show a function: its endpoint, revisions, instances, recent failures, scale, and use of the disk",
		UsageText: "status NAME [-o json]",
		Description: "What it takes on the disk only root can see, and failures of the last hour only root and the group\n" +
			"systemd-journal.",
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeFunctions,
		Action: showFunction(func(ctx context.Context, in *inspect.Inspector, name string) (inspect.Function, error) {
			status, err := in.Function(name)
			if err == nil {
				status.Disk = in.DiskOf(ctx, name)
				status.RecentFailures = in.FailuresOf(ctx, status)
				status.Wakes = in.WakesOf(ctx, name)
			}
			return status, err
		}, func(c *cli.Context, status inspect.Function) { printStatus(c.App.Writer, status) }),
	}
}

// showFunction is the action of a command that describes one function.
func showFunction[T any](describe func(context.Context, *inspect.Inspector, string) (T, error), print func(*cli.Context, T)) cli.ActionFunc {
	return func(c *cli.Context) error {
		name, err := oneArg(c, "NAME")
		if err != nil {
			return err
		}
		if err := checkDeployed(name); err != nil {
			return err
		}
		in, err := inspect.All(c.Context, store(), name)
		if err != nil {
			return err
		}
		described, err := describe(c.Context, in, name)
		if err != nil {
			return err
		}
		printProblems(c.App.ErrWriter, in)
		if wantsJSON(c) {
			return printJSON(c.App.Writer, described)
		}
		print(c, described)
		return nil
	}
}

// printProblems prints what makes the answers of an inspector incomplete.
func printProblems(w io.Writer, in *inspect.Inspector) {
	for _, problem := range in.Problems {
		printWarning(w, problem)
	}
}

func printStatus(w io.Writer, s inspect.Function) {
	printSummary(w, s)
	printInstances(w, s)
	for _, r := range s.Revisions {
		if r.Failure != nil {
			fmt.Fprintf(w, "failure: %s\n", failureText(s.Name, r))
		}
	}
	if s.RecentFailures != nil {
		fmt.Fprintf(w, "failures: %s\n", s.RecentFailures)
	}
	printScale(w, s)
	if s.Wakes != nil {
		fmt.Fprintf(w, "wakes: %s\n", s.Wakes)
	}
	fmt.Fprintf(w, "disk: %s\n", s.Disk)
}

// printScale prints how the function is scaled, or each of its revisions where its traffic is split.
func printScale(w io.Writer, s inspect.Function) {
	split := false
	for _, r := range s.Revisions {
		if r.Scale != nil {
			split = true
			fmt.Fprintf(w, "scale of %s: %s\n", r.Name, scaleText(*r.Scale))
		}
	}
	if !split {
		fmt.Fprintf(w, "scale: %s\n", scaleText(s.Scale))
	}
}

// printSummary prints the table that a deploy ends with, as JCloud had it.
func printSummary(w io.Writer, s inspect.Function) {
	t := newTable(w)
	t.AppendRows([]table.Row{
		{"App ID", s.Name},
		{"Phase", s.Phase},
		{"Endpoint", endpointText(s)},
	})
	for _, host := range s.Hosts {
		t.AppendRow(table.Row{"Host", host})
	}
	for _, tag := range s.Tags {
		t.AppendRow(table.Row{"Tag " + tag.Tag, strings.TrimSpace(tag.Revision.String() + " " + tag.Endpoint)})
	}
	t.AppendRows([]table.Row{
		{"App logs", "fnctl logs " + s.Name},
		{"Base credits (per hour)", fmt.Sprintf("%.3f", s.BaseCredits)},
	})
	if s.Framework == "fastapi" && !s.Private { // which has these pages by itself
		t.AppendRows([]table.Row{
			{"Swagger UI", s.Endpoint + "/docs"},
			{"OpenAPI JSON", s.Endpoint + "/openapi.json"},
		})
	}
	t.Render()
}

// endpointText is the address of a function, or how else it is reached.
func endpointText(s inspect.Function) string {
	if s.Private {
		return "private: fnctl invoke " + s.Name
	}
	return s.Endpoint
}

func printInstances(w io.Writer, s inspect.Function) {
	t := newTable(w)
	t.AppendHeader(table.Row{"Revision", "Traffic", "Instance", "State", "PIDs", "Memory", "In flight"})
	for _, r := range s.Revisions {
		traffic := fmt.Sprintf("%d%%", r.Traffic)
		if len(r.Instances) == 0 {
			t.AppendRow(table.Row{r.Name, traffic, "none", "", "", "", ""})
		}
		for _, i := range r.Instances {
			t.AppendRow(table.Row{r.Name, traffic, i.Name, i.State, strings.Trim(fmt.Sprint(i.PIDs), "[]"), memoryText(i), i.InFlight})
		}
	}
	t.Render()
}

// memoryText is the memory of an instance that has processes.
func memoryText(i inspect.Instance) string {
	switch {
	case len(i.PIDs) == 0:
		return ""
	case i.Swapped > 0:
		return fmt.Sprintf("%s (%s in swap)", platform.ByteSize(i.Memory), platform.ByteSize(i.Swapped))
	}
	return platform.ByteSize(i.Memory)
}

func failureText(name string, r inspect.Revision) string {
	return fmt.Sprintf("%s cannot start since %s: %s; see fnctl logs %s", r.Name, r.Failure.Since.Local().Format(time.DateTime), r.Failure.Reason, name)
}

func scaleText(s inspect.Scale) string {
	if s.Reason == "" {
		return fmt.Sprintf("%d ready (min %d, max %d); what is desired is not known while the activator doesn't answer", s.Ready, s.Min, s.Max)
	}
	return fmt.Sprintf("%d ready, %d desired (min %d, max %d); %s", s.Ready, s.Desired, s.Min, s.Max, s.Reason)
}

// deployedStatus describes what a deploy has made, or has the reason why that could not be found out.
type deployedStatus struct {
	function inspect.Function
	problems []error
	err      error
}

// describeDeployed describes a function whose lock is held. It needs neither gateway nor activator: the deploy itself has seen
// the revision answer.
func describeDeployed(ctx context.Context, deployed deploy.Deployed) deployedStatus {
	id := deployed.Revision.ID
	in, err := inspect.Units(ctx, store(), id.Function)
	if err != nil {
		return deployedStatus{err: err}
	}
	in.Proved = id
	in.Locked = true
	function, err := in.Function(id.Function)
	function.Unchanged = deployed.Unchanged
	return deployedStatus{function: function, problems: in.Problems, err: err}
}

// printDeployed prints what a deploy has made.
func printDeployed(c *cli.Context, deployed deployedStatus) error {
	if deployed.err != nil {
		return deployed.err
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, deployed.function)
	}
	for _, problem := range deployed.problems {
		printWarning(c.App.ErrWriter, problem)
	}
	printSummary(c.App.Writer, deployed.function)
	return nil
}
