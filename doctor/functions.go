package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/inspect"
	"github.com/fnctl/fnctl/platform"
)

// checkFunctions looks at every function, as fnctl list does, and says of each that doesn't work why.
func (e *examination) checkFunctions(ctx context.Context) error {
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	in, err := inspect.All(ctx, e.store, "")
	if err != nil {
		return err
	}
	phases := map[inspect.Phase]int{}
	for _, name := range names {
		status, err := in.Function(name)
		if err != nil {
			remedy := "fnctl deploy it again"
			if errors.Is(err, platform.ErrNewer) {
				remedy = platform.HintOf(err)
			}
			e.fail(remedy, "%s: %v", name, err)
			continue
		}
		phases[status.Phase]++
		e.checkFunction(status)
	}
	if len(names) == 0 {
		e.ok("there is none yet: fnctl deploy")
		return nil
	}
	e.ok("%s: %s", platform.Plural(len(names), "function"), phasesText(phases))
	return nil
}

func (e *examination) checkFunction(status inspect.Function) {
	failed := status.Phase == inspect.PhaseFailed
	for _, rev := range status.Revisions {
		if rev.Failure != nil {
			failed = false // this says more
			e.fail("fnctl logs "+status.Name, "%s: %s cannot start since %s: %s", status.Name, rev.Name, rev.Failure.Since.Local().Format(time.DateTime), rev.Failure.Reason)
		}
	}
	if failed {
		e.fail("fnctl status "+status.Name+"; systemctl status fnctl-activator, which repairs it", "%s: nothing listens for its requests", status.Name)
	}
}

func phasesText(phases map[inspect.Phase]int) string {
	var parts []string
	for phase, n := range phases {
		parts = append(parts, fmt.Sprintf("%d %s", n, phase))
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Compare(b, a) })
	return strings.Join(parts, ", ")
}

// checkUnits counts the functions whose units another version of fnctl has written.
func (e *examination) checkUnits(context.Context) error {
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	var outdated []string
	for _, name := range names {
		revisions, err := deploy.Outdated(e.store, name)
		if err == nil && len(revisions) > 0 { // what cannot be read is another finding
			outdated = append(outdated, name)
		}
	}
	if len(outdated) > 0 {
		e.warn("fnctl upgrade --all; --dry-run lists them", "%s: another version of fnctl has written them, so that they have its sandbox and limits",
			platform.Plural(len(outdated), "function"))
		return nil
	}
	e.ok("they are as this version writes them")
	return nil
}

// checkMemory compares what the instances that always run may use with what the machine has.
func (e *examination) checkMemory(context.Context) error {
	memory, err := platform.ReadHostMemory(e.store.Paths)
	if err != nil {
		return err
	}
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	var most int64
	for _, name := range names {
		most += e.leastMemory(name)
	}
	if most > memory.Total {
		e.warn("a smaller autoscale.min or instance", "the instances that always run may use %s, and the machine has %s", platform.ByteSize(most), platform.ByteSize(memory.Total))
		return nil
	}
	e.ok("the instances that always run may use %s of %s", platform.ByteSize(most), platform.ByteSize(memory.Total))
	return nil
}

// leastMemory is how much the instances of a function may use that always run. What cannot be read is another finding.
func (e *examination) leastMemory(function string) (most int64) {
	route, err := e.store.Route(function)
	if err != nil || route.Paused {
		return 0
	}
	scale, err := e.store.Scale(function)
	if err != nil {
		return 0
	}
	for _, share := range route.Traffic {
		rev, err := e.store.Revision(share.Revision)
		if err == nil && share.Percent > 0 {
			most += int64(scale.Apply(rev.Config.Autoscale).Min) * rev.Config.Instance.MemoryBytes()
		}
	}
	return most
}

// checkLeftovers counts what fnctl gc would remove.
func (e *examination) checkLeftovers(ctx context.Context) error {
	if os.Geteuid() != 0 {
		e.ok("only root can look for them")
		return nil
	}
	engine := deploy.Engine{Store: e.store, Units: e.units}
	done, err := engine.Sweep(ctx, deploy.KeptRevisions, true)
	switch {
	case err != nil:
		return err
	case len(done.Removed) > 0:
		e.warn("fnctl gc; --dry-run lists it", "%s of %s in all", platform.Plural(len(done.Removed), "item"), platform.ByteSize(done.Bytes))
	default:
		e.ok("there are none")
	}
	return nil
}
