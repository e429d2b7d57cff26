package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// KeptRevision is what "fnctl revisions NAME -o json" prints of each. Its fields are an interface that scripts use.
type KeptRevision struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	App     string    `json:"app"`
	Command []string  `json:"command"`
	Traffic int       `json:"traffic"`
	Tags    []string  `json:"tags,omitempty"`
	// Served reports that it has or had traffic.
	Served bool `json:"served"`
	// Failed is why it did not come to serve.
	Failed    *platform.FailedDeploy `json:"failed,omitempty"`
	Instances []Instance             `json:"instances"`
	// Bytes is what it takes on the disk; null if that cannot be seen.
	Bytes *int64 `json:"bytes"`
}

// KeptRevisions describes all revisions of a function that are on the disk.
func (in *Inspector) KeptRevisions(function string) ([]KeptRevision, error) {
	ids, err := in.Store.Revisions(function)
	if err != nil {
		return nil, err
	}
	route, err := in.Store.Route(function)
	if err != nil {
		in.Problems = append(in.Problems, err)
	}
	list := []KeptRevision{}
	for _, id := range slices.Backward(ids) {
		rev, err := in.Store.Revision(id)
		if err != nil {
			in.Problems = append(in.Problems, fmt.Errorf("revision %s: %w", id, err))
		}
		var failed *platform.FailedDeploy
		if failure, is := in.Store.FailedDeploy(id); is && !route.Reaches(id) {
			failed = &failure
		}
		list = append(list, KeptRevision{
			Name: id.String(), Created: rev.Created, App: rev.App, Command: rev.Command, Traffic: route.PercentOf(id),
			Tags: route.TagsOf(id), Served: in.Store.Served(id), Failed: failed, Instances: in.instancesOf(id), Bytes: in.bytesOf(id),
		})
	}
	return list, nil
}

func (in *Inspector) bytesOf(id platform.RevisionID) *int64 {
	bytes, _, err := snapshot.DiskUse(context.Background(), in.Store.Paths.Revision(id))
	if err != nil {
		return nil
	}
	return &bytes
}
