package deploy

import (
	"cmp"
	"fmt"

	"github.com/fnctl/fnctl/platform"
)

// ScaleChange is what becomes of the override of a function's bounds.
type ScaleChange struct {
	Given platform.Scale // what is not given stays
	Reset bool           // to what the configuration says
}

func (change ScaleChange) apply(old platform.Scale) platform.Scale {
	if change.Reset {
		return platform.Scale{}
	}
	return platform.Scale{Min: cmp.Or(change.Given.Min, old.Min), Max: cmp.Or(change.Given.Max, old.Max)}
}

// SetScale changes the override of the function's bounds, and returns it with what the newest revision's configuration says.
func (f *Function) SetScale(change ScaleChange) (platform.Autoscale, platform.Scale, error) {
	old, err := f.Store.Scale(f.Name)
	if err != nil {
		f.Progress.Warn(err) // a damaged override must not be in the way of a new one
	}
	scale := change.apply(old)
	config, err := f.checkScale(scale)
	if err != nil {
		return platform.Autoscale{}, scale, err
	}
	return config.Autoscale, scale, f.Store.PutScale(f.Name, scale)
}

// checkScale refuses an override that contradicts a revision with a route, and returns the configuration of the newest.
func (f *Function) checkScale(scale platform.Scale) (platform.Config, error) {
	route, err := f.Store.Route(f.Name)
	if err != nil {
		return platform.Config{}, err
	}
	var newest platform.Revision
	for _, share := range route.Traffic {
		rev, err := f.Store.Revision(share.Revision)
		if err != nil {
			return platform.Config{}, err
		}
		if err := scale.CheckFor(rev.Config); err != nil {
			return platform.Config{}, platform.WithHint(fmt.Errorf("scale %s: %w", rev.ID, err), "--min and --max can be given together")
		}
		if rev.ID == route.Newest() {
			newest = rev
		}
	}
	return newest.Config, nil
}
