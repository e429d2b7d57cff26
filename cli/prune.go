package cli

import "context"

// prune removes the oldest revisions of a function, and what commands that were killed left. That it cannot is no failure
// of the command that has done what it was to do.
func (l launcher) prune(ctx context.Context, function string) {
	if err := l.collect(ctx, function); err != nil {
		l.progress.note("what nobody needs could not be removed: %v", err)
	}
}

func (l launcher) collect(ctx context.Context, function string) error {
	c := collector{remover: remover{paths: l.paths, store: l.store, units: l.units}, keep: keptRevisions}
	left, err := findRemains(l.paths)
	if err != nil {
		return err
	}
	found, err := c.find(ctx, function, left[function])
	if err != nil {
		return err
	}
	_, err = c.collect(ctx, found)
	return err
}
