package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// rolloutSteps is in how many even steps all traffic moves, from the first percent on.
	rolloutSteps = 10
	// rolloutLook is how often what came of the requests is looked at.
	rolloutLook = time.Second
	// rolloutRisk is the probability that a rollout is stopped by chance, though the new revision is no worse. Each look
	// has an even share of it (Bonferroni).
	rolloutRisk = 0.01
	// rolloutBlind is how long the gateway's metrics may be missing. It may be handing over meanwhile.
	rolloutBlind = 30 * time.Second
	// MinRollout and MaxRollout bound the time that a rollout may take.
	MinRollout = 5 * time.Second
	MaxRollout = time.Hour
)

// rollout moves the traffic of a function to a new revision step by step, and back to what was before if the new one fails
// more often.
type rollout struct {
	*deployment
	before   platform.Route
	duration time.Duration

	percent int // that the new revision has; 0 before the first step
	// page is the last of the gateway's, which came at seen.
	page outcomePage
	seen time.Time
	// newer and older are what came of the requests since the rollout began, earlier those of the old revisions before.
	newer, older, earlier outcomes
}

// newRollout returns nil, and says so, if there is nothing to move the traffic from.
func (d *deployment) newRollout(ctx context.Context) (*rollout, error) {
	before, err := d.Store.Route(d.Name)
	switch {
	case errors.Is(err, platform.ErrNoFunction):
		d.Progress.Note("no gradual rollout: %s is the first revision", d.revision.ID)
		return nil, nil
	case err != nil:
		d.Progress.Note("no gradual rollout: where requests go is not known: %v", err)
		return nil, nil
	case before.Paused:
		d.Progress.Note("no gradual rollout: %s is paused", d.Name)
		return nil, nil
	}
	r := &rollout{deployment: d, before: before, duration: d.request.Rollout, seen: time.Now()}
	if r.page, err = readOutcomes(ctx, d.Store.Paths.GatewaySocket()); err != nil {
		return nil, platform.WithHint(fmt.Errorf("roll out %s: %w", d.revision.ID, err), "without the gateway's metrics nobody sees what fails; deploy without --rollout")
	}
	for _, share := range before.Traffic {
		r.earlier = r.earlier.plus(r.page.of[share.Revision])
	}
	return r, nil
}

// run takes all steps; finish is the last one. If it fails, the traffic goes back to where it was.
func (r *rollout) run(ctx context.Context, c *change, finish func() error) error {
	var reason error
	c.onFailure(nil, func(context.Context) error { return r.goBack(reason) })
	if reason = r.steps(ctx, finish); reason != nil {
		return fmt.Errorf("roll out %s: %w", r.revision.ID, reason)
	}
	return nil
}

func (r *rollout) steps(ctx context.Context, finish func() error) error {
	for step := range rolloutSteps {
		r.percent = rolloutPercent(step)
		name := fmt.Sprintf("rollout: %d %% → %s", r.percent, r.revision.ID)
		if err := r.Progress.Step(name, func() (string, error) { return r.step(ctx) }); err != nil {
			return fmt.Errorf("stopped at %d %%: %w", r.percent, err)
		}
	}
	return finish()
}

// rolloutPercent is 1 for the first step, and would be 100 for the one after the last.
func rolloutPercent(step int) int { return 1 + (step*99+rolloutSteps/2)/rolloutSteps }

// step gives the new revision its part of the traffic, and looks for a while what comes of it.
func (r *rollout) step(ctx context.Context) (string, error) {
	if err := switchRoute(r.Store, rolloutRoute(r.before, r.revision, r.percent)); err != nil {
		return "", err
	}
	// Time without sight does not count.
	for left := r.duration / rolloutSteps; left > 0; {
		pause := min(left, rolloutLook)
		select {
		case <-ctx.Done():
			return "", errors.New("interrupted")
		case <-time.After(pause):
		}
		seen, err := r.look(ctx)
		if err != nil {
			return "", err
		}
		if seen {
			left -= pause
		}
	}
	return fmt.Sprintf("rollout: %d %% → %s, %.0f requests, %s failed (old %s)",
		r.percent, r.revision.ID, r.newer.requests, r.newer.rate(), r.reference().rate()), nil
}

// look sees what came of the requests, if the gateway answers. The error says why the rollout must not go on.
func (r *rollout) look(ctx context.Context) (seen bool, err error) {
	page, err := readOutcomes(ctx, r.Store.Paths.GatewaySocket())
	switch {
	case err != nil && time.Since(r.seen) > rolloutBlind:
		return false, fmt.Errorf("for %s: %w", rolloutBlind, err)
	case err != nil:
		return false, nil
	}
	r.newer = r.newer.plus(page.since(r.page, r.revision.ID))
	for _, share := range r.before.Traffic {
		r.older = r.older.plus(page.since(r.page, share.Revision))
	}
	r.page, r.seen = page, time.Now()
	if older := r.reference(); failsMore(r.newer, older, rolloutRisk/float64(rolloutLooks(r.duration))) {
		return true, fmt.Errorf("%.0f of %s failed (%s), of the old revision's %.0f of %s (%s)", r.newer.failed, platform.Plural(int(r.newer.requests), "request"),
			r.newer.rate(), older.failed, platform.Plural(int(older.requests), "request"), older.rate())
	}
	return true, nil
}

// reference has the outcomes that the new revision is compared with: those of the old ones at the same time, or before if they
// got nothing since.
func (r *rollout) reference() outcomes {
	if r.older.requests == 0 {
		return r.earlier
	}
	return r.older
}

// rolloutLooks is how often a rollout looks.
func rolloutLooks(d time.Duration) int {
	step := d / rolloutSteps
	return rolloutSteps * int((step+rolloutLook-1)/rolloutLook)
}

// goBack lets requests go where they went before. Those that the new revision has are finished.
func (r *rollout) goBack(reason error) error {
	if err := switchRoute(r.Store, r.before); err != nil {
		return platform.WithHint(fmt.Errorf("go back: %w", err), "fnctl traffic %s says how the traffic is split", r.before.Function)
	}
	r.failure = reason.Error()
	r.Progress.Note("went back: the traffic of %s is as before", r.before.Function)
	return nil
}

// rolloutRoute gives a new revision a part of a route's traffic. The others share the rest as they shared all of it, and
// are kept ready though one's part may come to nothing; everything else of the route stays.
func rolloutRoute(before platform.Route, rev platform.Revision, percent int) platform.Route {
	share := platform.RouteTo(rev).Traffic[0]
	share.Percent = percent
	route := before
	route.Traffic = append(shrink(before.Traffic, 100-percent), share)
	return route
}

// shrink divides a part of the traffic in the proportions of the whole, by the method of the largest remainders.
func shrink(shares []platform.TrafficShare, total int) []platform.TrafficShare {
	shrunk := slices.Clone(shares)
	byRemainder := make([]int, len(shares))
	left := total
	for i, share := range shares {
		shrunk[i].Percent = share.Percent * total / 100
		left -= shrunk[i].Percent
		byRemainder[i] = i
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int {
		return cmp.Compare(shares[b].Percent*total%100, shares[a].Percent*total%100)
	})
	for _, i := range byRemainder[:left] {
		shrunk[i].Percent++
	}
	return shrunk
}
