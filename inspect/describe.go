package inspect

import (
	"errors"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// Function describes one function. The error wraps platform.ErrNoFunction if there is none.
func (in *Inspector) Function(name string) (Function, error) {
	route, err := in.Store.Route(name)
	if errors.Is(err, platform.ErrNoFunction) {
		return Function{}, err
	}
	if err != nil {
		return Function{}, platform.WithRouteHint(fmt.Errorf("%w (requests go where the last good one says)", err), name)
	}
	traffic := map[platform.RevisionID]int{}
	for _, share := range route.Traffic {
		traffic[share.Revision] = share.Percent
	}
	serving := route.Newest()
	rev, err := in.Store.Revision(serving)
	if err != nil {
		// The route is good, so it may well serve; but it cannot be scaled.
		in.Problems = append(in.Problems, platform.WithHint(fmt.Errorf("revision %s: %w", serving, err), "deploy %s again", name))
	}
	scale, err := in.Store.Scale(name)
	if err != nil {
		return Function{}, err
	}
	rev.Config.Autoscale = scale.Apply(rev.Config.Autoscale)
	status := Function{
		Name: name, Endpoint: in.settings.EndpointOf(name), Hosts: route.AllHosts(), Private: route.Private, App: rev.App, Framework: rev.Framework, Created: rev.Created,
		Labels: rev.Config.Labels, BaseCredits: rev.Config.BaseCreditsPerHour(), Tags: in.tagsOf(route),
	}
	for _, id := range in.revisionsOf(name, traffic) {
		status.Revisions = append(status.Revisions, Revision{
			Name: id.String(), Traffic: traffic[id], Instances: in.instancesOf(id), Failure: in.failureOf(id),
		})
	}
	status.Scale = in.scaleOf(rev)
	for _, r := range status.Revisions {
		if r.Traffic > 0 {
			status.Scale.Ready += Count(r.Instances, platform.Ready)
		}
	}
	if len(route.Traffic) > 1 {
		in.addScales(&status, route, scale)
	}
	status.Phase = in.phaseOf(name, status)
	switch {
	case route.Paused && status.Phase != PhaseUpdating:
		status.Phase, status.Scale.Reason = PhasePaused, "paused"
	case err != nil:
		status.Phase = PhaseFailed
	}
	return status, nil
}

// addScales says of each revision with traffic how it is scaled, and sums that up for the function.
func (in *Inspector) addScales(status *Function, route platform.Route, override platform.Scale) {
	status.Scale.Desired, status.Scale.Min, status.Scale.Max = 0, 0, 0
	for _, share := range route.Traffic {
		rev, err := in.Store.Revision(share.Revision)
		if err != nil {
			continue // it is not scaled
		}
		rev.Config.Autoscale = override.Apply(rev.Config.Autoscale)
		if share.Percent == 0 {
			rev.Config.Autoscale.Min = 0
		}
		scale := in.scaleOf(rev)
		for i := range status.Revisions {
			if r := &status.Revisions[i]; r.Name == rev.ID.String() {
				scale.Ready = Count(r.Instances, platform.Ready)
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

func (in *Inspector) scaleOf(rev platform.Revision) Scale {
	auto := rev.Config.Autoscale
	status := Scale{Metric: auto.Metric, Target: auto.Target, Min: auto.Min, Max: auto.Max}
	switch revision, ok := in.desired[rev.ID]; {
	case ok:
		status.Value, status.Desired, status.Reason = revision.Value, revision.Desired, revision.Explanation
	case in.desired != nil: // it answers, and has not come to this one yet
		status.Reason = "nothing is decided yet"
	}
	return status
}

func (in *Inspector) phaseOf(name string, status Function) Phase {
	if !in.Locked && in.changing(name) {
		return PhaseUpdating
	}
	var ready, armed, starting int
	for _, r := range status.Revisions {
		if r.Traffic > 0 && r.Failure == nil {
			ready += Count(r.Instances, platform.Ready)
			armed += Count(r.Instances, platform.Armed) + Count(r.Instances, platform.Poised) + Count(r.Instances, platform.Standby)
			starting += Count(r.Instances, platform.Starting)
		}
	}
	switch {
	case ready > 0:
		return PhaseServing
	case starting > 0:
		return PhaseStarting
	case armed > 0:
		return PhaseServing
	}
	return PhaseFailed
}

// changing reports whether a command is changing the function. Only root can look; for others it is not.
func (in *Inspector) changing(name string) bool {
	unlock, err := in.Store.TryLock(name)
	if err == nil {
		unlock()
	}
	return errors.Is(err, platform.ErrLocked)
}
