package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// functionStatus is what "fnctl status NAME -o json" prints. Its fields are an interface that scripts use: they may
// become more, but none goes or changes.
type functionStatus struct {
	Name        string           `json:"name"`
	Phase       phase            `json:"phase"`
	Endpoint    string           `json:"endpoint"`
	Hosts       []string         `json:"hosts,omitempty"`
	Private     bool             `json:"private,omitempty"`
	App         string           `json:"app"`
	Created     time.Time        `json:"created"`
	Labels      labels           `json:"labels,omitempty"`
	BaseCredits float64          `json:"base_credits_per_hour"`
	Tags        []tagStatus      `json:"tags,omitempty"`
	Revisions   []revisionStatus `json:"revisions"`
	Scale       scaleStatus      `json:"scale"`
	// Disk is what it takes on the disk, if that can be seen; only "fnctl status" looks.
	Disk *diskStatus `json:"disk,omitempty"`
	// RecentFailures are those of instances that may be well by now; only "fnctl status" looks.
	RecentFailures *recentFailures `json:"recent_failures,omitempty"`
	// Unchanged tells that a deploy had nothing to change.
	Unchanged bool `json:"unchanged,omitempty"`
}

type labels map[string]string

type revisionStatus struct {
	Name      string           `json:"name"`
	Traffic   int              `json:"traffic"`
	Instances []instanceStatus `json:"instances"`
	// Scale is how a revision is scaled that has traffic or a tag: each by itself.
	Scale   *scaleStatus   `json:"scale,omitempty"`
	Failure *failureStatus `json:"failure,omitempty"`
}

// failureStatus is why no instance of a revision can start.
type failureStatus struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

type instanceStatus struct {
	Name     string                 `json:"name"`
	Unit     string                 `json:"unit"`
	State    platform.InstanceState `json:"state"`
	PIDs     []int                  `json:"pids"`
	InFlight int                    `json:"in_flight"`
}

// scaleStatus is how a revision is scaled. For a function with traffic on several revisions the numbers of instances are
// sums, and the metric is that of the newest.
type scaleStatus struct {
	Metric  platform.Metric `json:"metric"`
	Target  float64         `json:"target"`
	Value   float64         `json:"value"`
	Ready   int             `json:"ready"`
	Desired int             `json:"desired"`
	Min     int             `json:"min"`
	Max     int             `json:"max"`
	Reason  string          `json:"reason,omitempty"`
}

// phase is the state of a function as a whole, in the words of JCloud.
type phase string

const (
	phaseStarting phase = "Starting"
	phaseServing  phase = "Serving"
	phaseUpdating phase = "Updating"
	phaseFailed   phase = "Failed"
	phasePaused   phase = "Paused"
)

// inspector gathers what there is to know of functions: from the registry, systemd, the gateway and the activator.
type inspector struct {
	paths    platform.Paths
	store    platform.Store
	settings platform.Settings
	// What the machine says, read once for all functions.
	units    map[platform.InstanceID]instanceUnits
	loads    map[platform.RevisionID]*activator.Load
	wishes   map[platform.RevisionID]activator.RevisionStatus
	problems []error
	// proved is a revision that is known to answer; deploying tells that it is being deployed by this process.
	proved    platform.RevisionID
	deploying bool
}

type instanceUnits struct{ socket, service platform.UnitStatus }

// inspectUnits looks at what systemd says. name limits it to one function; empty means all.
func inspectUnits(ctx context.Context, name string) (*inspector, error) {
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return nil, err
	}
	in := &inspector{paths: paths(), store: store(), settings: settings}
	return in, in.readUnits(ctx, name)
}

// inspect also asks the gateway and the activator, who tell of all functions at once.
func inspect(ctx context.Context, name string) (*inspector, error) {
	in, err := inspectUnits(ctx, name)
	if err != nil {
		return nil, err
	}
	if in.loads, err = activator.NewGatewaySource(in.paths.GatewaySocket()).Load(ctx); err != nil {
		in.problems = append(in.problems, platform.WithHint(fmt.Errorf("the gateway doesn't answer: %w", err), "systemctl status fnctl-gateway"))
	}
	if in.wishes, err = readWishes(ctx, in.paths.ActivatorSocket()); err != nil {
		in.problems = append(in.problems, platform.WithHint(fmt.Errorf("the activator doesn't answer: %w", err), "systemctl status fnctl-activator"))
	}
	return in, nil
}

// warn prints what makes the answers incomplete.
func (in *inspector) warn(w io.Writer) {
	for _, problem := range in.problems {
		printWarning(w, problem)
	}
}

func (in *inspector) readUnits(ctx context.Context, name string) error {
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

func readWishes(ctx context.Context, socket string) (map[platform.RevisionID]activator.RevisionStatus, error) {
	resp, err := deploy.AskDaemon(ctx, socket, "/revisions")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list []activator.RevisionStatus
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, err
	}
	wishes := map[platform.RevisionID]activator.RevisionStatus{}
	for _, wish := range list {
		wishes[wish.Revision] = wish
	}
	return wishes, nil
}

// function describes one function. The error wraps platform.ErrNoFunction if there is none.
func (in *inspector) function(name string) (functionStatus, error) {
	route, err := in.store.Route(name)
	if errors.Is(err, platform.ErrNoFunction) {
		return functionStatus{}, err
	}
	if err != nil {
		return functionStatus{}, platform.WithHint(err, "requests go where the last good route says; deploy %s again to write a new one", name)
	}
	traffic := map[platform.RevisionID]int{}
	for _, share := range route.Traffic {
		traffic[share.Revision] = share.Percent
	}
	serving := route.Newest()
	rev, err := in.store.Revision(serving)
	if err != nil {
		// The route is good, so it may well serve; but nobody can scale it.
		in.problems = append(in.problems, platform.WithHint(fmt.Errorf("revision %s: %w", serving, err), "deploy %s again", name))
	}
	scale, err := in.store.Scale(name)
	if err != nil {
		return functionStatus{}, err
	}
	rev.Config.Autoscale = scale.Apply(rev.Config.Autoscale)
	status := functionStatus{
		Name: name, Endpoint: in.settings.EndpointOf(name), Hosts: route.Hosts, Private: route.Private, App: rev.App, Created: rev.Created,
		Labels: rev.Config.Labels, BaseCredits: rev.Config.BaseCreditsPerHour(), Tags: in.tagsOf(route),
	}
	for _, id := range in.revisionsOf(name, traffic) {
		status.Revisions = append(status.Revisions, revisionStatus{
			Name: id.String(), Traffic: traffic[id], Instances: in.instancesOf(id), Failure: in.failureOf(id),
		})
	}
	status.Scale = in.scaleOf(rev)
	for _, r := range status.Revisions {
		if r.Traffic > 0 {
			status.Scale.Ready += count(r.Instances, platform.Ready)
		}
	}
	if len(route.Traffic) > 1 {
		in.addScales(&status, route, scale)
	}
	status.Phase = in.phaseOf(name, status)
	switch {
	case route.Paused && status.Phase != phaseUpdating:
		status.Phase = phasePaused
	case err != nil:
		status.Phase = phaseFailed
	}
	return status, nil
}

// addScales says of each revision with traffic how it is scaled, and sums that up for the function.
func (in *inspector) addScales(status *functionStatus, route platform.Route, override platform.Scale) {
	status.Scale.Desired, status.Scale.Min, status.Scale.Max = 0, 0, 0
	for _, share := range route.Traffic {
		rev, err := in.store.Revision(share.Revision)
		if err != nil {
			continue // nobody scales it
		}
		rev.Config.Autoscale = override.Apply(rev.Config.Autoscale)
		if share.Percent == 0 {
			rev.Config.Autoscale.Min = 0
		}
		scale := in.scaleOf(rev)
		for i := range status.Revisions {
			if r := &status.Revisions[i]; r.Name == rev.ID.String() {
				scale.Ready = count(r.Instances, platform.Ready)
				r.Scale = &scale
			}
		}
		if share.Percent == 0 {
			continue
		}
		status.Scale.Desired += scale.Desired
		status.Scale.Min += scale.Min
		status.Scale.Max += scale.Max
	}
}

// revisionsOf lists the revisions that have traffic or instances, by number.
func (in *inspector) revisionsOf(name string, traffic map[platform.RevisionID]int) []platform.RevisionID {
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

func (in *inspector) stateOf(id platform.InstanceID) platform.InstanceState {
	both := in.units[id]
	proved := id.Revision == in.proved || in.wishes[id.Revision].Instances[id.Index] == platform.Ready || in.gatewayReady(id)
	state := platform.StateOf(both.socket, both.service, proved)
	if load := in.loads[id.Revision]; load != nil && load.Instances[id.Index].Deaf && (state == platform.Ready || state == platform.Starting) {
		return platform.Deaf
	}
	return state
}

// gatewayReady tells whether the gateway has proved an instance, perhaps before the activator did.
func (in *inspector) gatewayReady(id platform.InstanceID) bool {
	load := in.loads[id.Revision]
	return load != nil && load.Instances[id.Index].Ready
}

func (in *inspector) instancesOf(rev platform.RevisionID) []instanceStatus {
	list := []instanceStatus{}
	for id := range in.units {
		state := in.stateOf(id)
		if id.Revision != rev || state == "" {
			continue
		}
		// A group that is gone has no processes.
		pids, _ := in.paths.InstanceCgroup(platform.SliceName(rev.Function), id).PIDs()
		if pids == nil {
			pids = []int{}
		}
		list = append(list, instanceStatus{Name: id.String(), Unit: id.Service(), State: state, PIDs: pids, InFlight: in.inFlight(id)})
	}
	slices.SortFunc(list, func(a, b instanceStatus) int { return platform.CompareNatural(a.Name, b.Name) })
	return list
}

// failureOf is what the activator says of a revision. What is ready has overcome it.
func (in *inspector) failureOf(rev platform.RevisionID) *failureStatus {
	failure, err := in.store.Failure(rev)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		in.problems = append(in.problems, fmt.Errorf("whether %s can start: %w", rev, err))
		return nil
	case rev == in.proved || count(in.instancesOf(rev), platform.Ready) > 0:
		return nil
	}
	return &failureStatus{Since: failure.Since, Reason: failure.Reason}
}

func (in *inspector) inFlight(id platform.InstanceID) int {
	if load := in.loads[id.Revision]; load != nil {
		return int(load.Instances[id.Index].InFlight)
	}
	return 0
}

func (in *inspector) scaleOf(rev platform.Revision) scaleStatus {
	auto := rev.Config.Autoscale
	status := scaleStatus{Metric: auto.Metric, Target: auto.Target, Min: auto.Min, Max: auto.Max}
	if wish, ok := in.wishes[rev.ID]; ok {
		status.Value, status.Desired, status.Reason = wish.Value, wish.Desired, wish.Reason
	}
	return status
}

func (in *inspector) phaseOf(name string, status functionStatus) phase {
	if !in.deploying && in.changing(name) {
		return phaseUpdating
	}
	var ready, armed, starting int
	for _, r := range status.Revisions {
		if r.Traffic > 0 && r.Failure == nil {
			ready += count(r.Instances, platform.Ready)
			armed += count(r.Instances, platform.Armed)
			starting += count(r.Instances, platform.Starting)
		}
	}
	switch {
	case ready > 0:
		return phaseServing
	case starting > 0:
		return phaseStarting
	case armed > 0:
		return phaseServing
	}
	return phaseFailed
}

// changing tells whether a command is changing the function. Only root can look; for others it is not.
func (in *inspector) changing(name string) bool {
	unlock, err := in.store.TryLock(name)
	if err == nil {
		unlock()
	}
	return errors.Is(err, platform.ErrLocked)
}

func count(instances []instanceStatus, state platform.InstanceState) int {
	n := 0
	for _, i := range instances {
		if i.State == state {
			n++
		}
	}
	return n
}
