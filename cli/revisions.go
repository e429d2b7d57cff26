package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

func revisionsCommand() *cli.Command {
	return &cli.Command{
		Name:         "revisions",
		Usage:        "list the revisions of a function, the newest first",
		UsageText:    "revisions NAME [-o json]",
		Description:  "The size is that of all files of the revision, which only root can see.",
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeFunctions,
		Action: showFunction(func(_ context.Context, in *inspector, name string) ([]keptRevision, error) {
			return in.keptRevisions(name)
		}, printRevisionTable),
	}
}

// keptRevision is what "fnctl revisions NAME -o json" prints of each. Its fields are an interface that scripts use.
type keptRevision struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	App     string    `json:"app"`
	Command []string  `json:"command"`
	Traffic int       `json:"traffic"`
	Tags    []string  `json:"tags,omitempty"`
	// Served tells that it has or had traffic.
	Served bool `json:"served"`
	// Failed is why it did not come to serve.
	Failed    *platform.FailedDeploy `json:"failed,omitempty"`
	Instances []instanceStatus       `json:"instances"`
	// Bytes is what it takes on the disk; null if that cannot be seen.
	Bytes *int64 `json:"bytes"`
}

// keptRevisions describes all revisions of a function that are on the disk.
func (in *inspector) keptRevisions(function string) ([]keptRevision, error) {
	ids, err := in.store.Revisions(function)
	if err != nil {
		return nil, err
	}
	route, err := in.store.Route(function)
	if err != nil {
		in.problems = append(in.problems, err)
	}
	list := []keptRevision{}
	for _, id := range slices.Backward(ids) {
		rev, err := in.store.Revision(id)
		if err != nil {
			in.problems = append(in.problems, fmt.Errorf("revision %s: %w", id, err))
		}
		var failed *platform.FailedDeploy
		if failure, is := in.store.FailedDeploy(id); is && !route.Reaches(id) {
			failed = &failure
		}
		list = append(list, keptRevision{
			Name: id.String(), Created: rev.Created, App: rev.App, Command: rev.Command, Traffic: route.PercentOf(id),
			Tags: route.TagsOf(id), Served: in.store.Served(id), Failed: failed, Instances: in.instancesOf(id), Bytes: in.bytesOf(id),
		})
	}
	return list, nil
}

func (in *inspector) bytesOf(id platform.RevisionID) *int64 {
	bytes, _, err := snapshot.DiskUse(context.Background(), in.paths.Revision(id))
	if err != nil {
		return nil
	}
	return &bytes
}

func printRevisionTable(c *cli.Context, list []keptRevision) {
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"", "Revision", "Created", "App", "Traffic", "Tags", "Instances", "Size"})
	for _, rev := range list {
		mark, size := "", ""
		switch {
		case rev.Traffic > 0:
			mark = "→"
		case rev.Failed != nil:
			mark = "✗"
		}
		if rev.Bytes != nil {
			size = platform.ByteSize(*rev.Bytes)
		}
		t.AppendRow(table.Row{
			mark, rev.Name, rev.Created.Local().Format(time.DateTime), cmp.Or(rev.App, strings.Join(rev.Command, " ")),
			percentText(rev.Traffic), strings.Join(rev.Tags, ", "), rev.instancesText(), size,
		})
	}
	t.Render()
	for _, rev := range list {
		if rev.Failed != nil {
			fmt.Fprintf(c.App.Writer, "%s failed at %s: %s\n", rev.Name, rev.Failed.Time.Local().Format(time.DateTime), rev.Failed.Reason)
		}
	}
}

// instancesText counts the instances by their state.
func (r keptRevision) instancesText() string {
	var parts []string
	for _, state := range []platform.InstanceState{
		platform.Ready, platform.Starting, platform.Armed, platform.Deaf, platform.Draining, platform.Failed,
	} {
		if n := count(r.Instances, state); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 && r.Failed != nil {
		return "none: it failed"
	}
	if len(parts) == 0 && !r.Served {
		return "none: it never had traffic"
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}
