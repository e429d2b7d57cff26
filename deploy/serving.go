package deploy

import (
	"errors"

	"github.com/fnctl/fnctl/platform"
)

// serving is the revision whose variables the next one keeps: the newest with traffic. If the route is lost or damaged, it
// is the newest that had some. Without a function it has no number.
func serving(store platform.Store, function string) (platform.RevisionID, error) {
	route, err := store.Route(function)
	switch {
	case errors.Is(err, platform.ErrNoFunction):
		return platform.RevisionID{}, nil
	case err != nil:
		return newestServed(store, function)
	}
	return route.Newest(), nil
}

// newestServed is the newest revision that got requests at any time.
func newestServed(store platform.Store, function string) (newest platform.RevisionID, err error) {
	ids, err := store.Revisions(function)
	for _, id := range ids {
		if store.Served(id) {
			newest = id
		}
	}
	return newest, err
}
