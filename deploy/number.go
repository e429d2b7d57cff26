package deploy

import (
	"context"

	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

// nextNumber is the number of the next revision. systemd keeps the text of a loaded unit, and the journal keeps what the instances of a
// revision wrote, whatever became of the function: the number of either is not taken again.
func nextNumber(ctx context.Context, store platform.Store, name string, loaded []platform.UnitStatus) (int, error) {
	revisions, err := store.Revisions(name)
	if err != nil {
		return 0, err
	}
	last := 0
	for _, id := range revisions {
		last = max(last, id.Number)
	}
	for _, unit := range loaded {
		if id, _, ok := platform.ParseUnit(unit.Name); ok && id.Revision.Function == name {
			last = max(last, id.Revision.Number)
		}
	}
	return journal.Unlogged(ctx, platform.RevisionID{Function: name, Number: last + 1}), nil
}
