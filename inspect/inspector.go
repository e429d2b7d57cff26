// Package inspect describes functions as they are: from the registry, systemd, the gateway and the activator. It changes
// nothing.
package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// Inspector gathers what there is to know of functions: from the registry, systemd, the gateway and the activator.
type Inspector struct {
	Store    platform.Store
	Problems []error // what makes the answers incomplete
	settings platform.Settings
	// What the machine says, read once for all functions.
	units   map[platform.InstanceID]instanceUnits
	loads   map[platform.RevisionID]*activator.Load
	desired map[platform.RevisionID]activator.RevisionStatus
	// Proved is a revision that is known to answer.
	Proved platform.RevisionID
	// Locked reports that this process has the lock of the function: that it is taken says nothing of others.
	Locked bool
}

type instanceUnits struct{ socket, service platform.UnitStatus }

// Units looks only at what systemd says. name limits it to one function; empty means all.
func Units(ctx context.Context, store platform.Store, name string) (*Inspector, error) {
	settings, err := platform.LoadSettings(store.Paths)
	if err != nil {
		return nil, err
	}
	in := &Inspector{Store: store, settings: settings}
	return in, in.readUnits(ctx, name)
}

// All also asks the gateway and the activator, who tell of all functions at once. What they don't answer is a problem, and
// no error.
func All(ctx context.Context, store platform.Store, name string) (*Inspector, error) {
	in, err := Units(ctx, store, name)
	if err != nil {
		return nil, err
	}
	if in.loads, err = activator.NewGatewaySource(store.Paths.GatewaySocket()).Load(ctx); err != nil {
		in.Problems = append(in.Problems, platform.WithHint(fmt.Errorf("the gateway doesn't answer: %w", err), "systemctl status fnctl-gateway"))
	}
	if in.desired, err = readDesired(ctx, store.Paths.ActivatorSocket()); err != nil {
		in.Problems = append(in.Problems, platform.WithHint(fmt.Errorf("the activator doesn't answer: %w", err), "systemctl status fnctl-activator"))
	}
	return in, nil
}

func (in *Inspector) readUnits(ctx context.Context, name string) error {
	manager := &systemd.Manager{}
	defer manager.Close()
	pattern := "fn-*@*"
	if name != "" {
		pattern = "fn-" + name + "-*@*"
	}
	list, err := manager.List(ctx, pattern)
	if err != nil {
		return err
	}
	in.units = map[platform.InstanceID]instanceUnits{}
	for _, unit := range list {
		id, kind, ok := platform.ParseUnit(unit.Name)
		if !ok {
			continue
		}
		both := in.units[id]
		if kind == "socket" {
			both.socket = unit
		} else {
			both.service = unit
		}
		in.units[id] = both
	}
	return nil
}

func readDesired(ctx context.Context, socket string) (map[platform.RevisionID]activator.RevisionStatus, error) {
	resp, err := deploy.AskDaemon(ctx, socket, "/revisions")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list []activator.RevisionStatus
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, err
	}
	desired := map[platform.RevisionID]activator.RevisionStatus{}
	for _, revision := range list {
		desired[revision.Revision] = revision
	}
	return desired, nil
}

// revisionsOf lists the revisions that have traffic or instances, by number.
func (in *Inspector) revisionsOf(name string, traffic map[platform.RevisionID]int) []platform.RevisionID {
	var ids []platform.RevisionID
	for id := range traffic {
		ids = append(ids, id)
	}
	for id := range in.units {
		if id.Revision.Function == name && in.stateOf(id) != "" && !slices.Contains(ids, id.Revision) {
			ids = append(ids, id.Revision)
		}
	}
	slices.SortFunc(ids, func(a, b platform.RevisionID) int { return a.Number - b.Number })
	return ids
}

func (in *Inspector) stateOf(id platform.InstanceID) platform.InstanceState {
	both := in.units[id]
	known, met := in.desired[id.Revision]
	proved := id.Revision == in.Proved || known.Instances[id.Index] == platform.Ready || in.gatewayReady(id) ||
		!met && in.desired != nil && in.Store.Served(id.Revision) // a moment ago, when a command had proved it
	load := in.loads[id.Revision]
	group := platform.InstanceCgroup(in.Store.Paths, platform.SliceName(id.Revision.Function), id)
	return platform.StateOf(both.socket, both.service, platform.Seen{
		Proved: proved,
		Deaf:   load != nil && load.Instances[id.Index].Deaf,
		Frozen: group.Sleeper().IsFrozen(),
		Poised: in.isPoised(id, group),
	})
}

// isPoised reports whether an instance waits in its sandbox, or is about to. Who may not see what its process is, believes the activator.
func (in *Inspector) isPoised(id platform.InstanceID, group platform.Cgroup) bool {
	switch {
	case !platform.Exists(in.Store.Paths.Mark(id, platform.MarkPoised)):
		return false
	case os.Geteuid() == 0:
		return group.Waiting(in.Store.Paths) != 0 || group.IsPrepared()
	}
	return in.desired[id.Revision].Instances[id.Index] == platform.Poised
}

// gatewayReady reports whether the gateway has proved an instance, perhaps before the activator did.
func (in *Inspector) gatewayReady(id platform.InstanceID) bool {
	load := in.loads[id.Revision]
	return load != nil && load.Instances[id.Index].Ready
}

func (in *Inspector) instancesOf(rev platform.RevisionID) []Instance {
	list := []Instance{}
	for id := range in.units {
		state := in.stateOf(id)
		if id.Revision != rev || state == "" {
			continue
		}
		// A group that is gone has no processes and no memory.
		group := platform.InstanceCgroup(in.Store.Paths, platform.SliceName(rev.Function), id)
		pids, _ := group.PIDs()
		memory, _ := group.Memory()
		if pids == nil {
			pids = []int{}
		}
		list = append(list, Instance{
			Name: id.String(), Unit: id.Service(), State: state, PIDs: pids, Memory: memory, Swapped: group.Swapped(), InFlight: in.inFlight(id),
		})
	}
	slices.SortFunc(list, func(a, b Instance) int { return platform.CompareNatural(a.Name, b.Name) })
	return list
}

// failureOf returns the failure of a revision, as the activator has written it. What is ready has overcome it.
func (in *Inspector) failureOf(rev platform.RevisionID) *Failure {
	failure, err := in.Store.Failure(rev)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		in.Problems = append(in.Problems, fmt.Errorf("whether %s can start: %w", rev, err))
		return nil
	case rev == in.Proved || Count(in.instancesOf(rev), platform.Ready) > 0:
		return nil
	}
	return &Failure{Since: failure.Since, Reason: failure.Explanation}
}

func (in *Inspector) inFlight(id platform.InstanceID) int {
	if load := in.loads[id.Revision]; load != nil {
		return int(load.Instances[id.Index].InFlight)
	}
	return 0
}
