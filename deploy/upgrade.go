package deploy

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// Outdated lists the revisions with traffic of a function whose units this version of fnctl would write otherwise: units never
// change, so what they are given with a newer version takes a newer revision.
func Outdated(store platform.Store, function string) ([]platform.RevisionID, error) {
	route, err := store.Route(function)
	if err != nil {
		return nil, err
	}
	var outdated []platform.RevisionID
	for _, share := range route.Traffic {
		if share.Percent == 0 {
			continue
		}
		rev, err := store.Revision(share.Revision)
		if err != nil {
			return nil, fmt.Errorf("revision %s: %w", share.Revision, err)
		}
		if !sameUnits(store.Paths, rev) {
			outdated = append(outdated, rev.ID)
		}
	}
	return outdated, nil
}

// Upgrade makes a revision that differs from the one that serves in its units only, as this version writes them. It must answer
// before it gets the traffic. If they are the same, nothing changes.
func (f *Function) Upgrade(ctx context.Context, verbose bool) (Deployed, error) {
	return f.changeVariables(ctx, verbose, func(*Variables) error { return nil })
}

// sameUnits reports whether the units of a revision would be those that there are.
func sameUnits(paths platform.Paths, rev platform.Revision) bool {
	rev.Poised = platform.HasPoise(paths)
	files, err := units.Files(paths, rev)
	if err != nil {
		return false
	}
	for _, file := range files {
		if !hasContent(filepath.Join(paths.Units(), file.Name), []byte(file.Text)) {
			return false
		}
	}
	return true
}
