package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// KeptRevisions is how many revisions without traffic are kept, to look at or to go back to.
const KeptRevisions = 10

// Sweep is what a sweep of all functions has removed, or would remove. "fnctl gc -o json" prints it; its fields are an
// interface that scripts use.
type Sweep struct {
	DryRun  bool      `json:"dry_run"`
	Removed []Garbage `json:"removed"`
	Bytes   int64     `json:"bytes"`
	// Skipped are the functions that other commands were changing.
	Skipped []string `json:"skipped"`
}

// Sweep removes old revisions without traffic, but keep of them for each function, and what commands that were killed have
// left; with dryRun it only looks for them. A function that cannot be looked at is an error that doesn't keep the others
// from it.
func (e *Engine) Sweep(ctx context.Context, keep int, dryRun bool) (Sweep, error) {
	done := Sweep{DryRun: dryRun, Removed: []Garbage{}, Skipped: []string{}}
	left, err := findLeftovers(e.Store)
	if err != nil {
		return done, err
	}
	names, err := functionsWith(e.Store.Paths, left)
	if err != nil {
		return done, err
	}
	s := sweeper{teardown: teardown{Engine: e}, keep: keep}
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil {
			return done, errors.Join(append(errs, errors.New("gc: interrupted"))...)
		}
		found, err := s.sweepFunction(ctx, name, left[name], dryRun)
		if errors.Is(err, platform.ErrLocked) {
			done.Skipped = append(done.Skipped, name)
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		for _, one := range found {
			done.Removed = append(done.Removed, one)
			done.Bytes += one.Bytes
		}
	}
	return done, errors.Join(errs...)
}

// sweepFunction removes what it finds of a function, and returns what is gone, or what would go.
func (s sweeper) sweepFunction(ctx context.Context, name string, left leftovers, dryRun bool) ([]Garbage, error) {
	unlock, err := s.Store.TryLock(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := s.find(ctx, name, left)
	if err != nil || dryRun {
		return found, err
	}
	return s.collect(ctx, found)
}

// prune removes the oldest revisions of the function, and what commands that were killed have left. That it cannot is no
// failure of the change that has been made.
func (f *Function) prune(ctx context.Context) {
	if err := f.sweep(ctx); err != nil {
		f.Progress.Note("what nobody needs could not be removed: %v", err)
	}
}

func (f *Function) sweep(ctx context.Context) error {
	s := sweeper{teardown: teardown{Engine: f.Engine}, keep: KeptRevisions}
	left, err := findLeftovers(f.Store)
	if err != nil {
		return err
	}
	found, err := s.find(ctx, f.Name, left[f.Name])
	if err != nil {
		return err
	}
	_, err = s.collect(ctx, found)
	return err
}
