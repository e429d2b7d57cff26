package cli

import (
	"maps"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// tagStatus is a tag of a function, as status and deploy print it. Its fields are an interface that scripts use.
type tagStatus struct {
	Tag      string              `json:"tag"`
	Revision platform.RevisionID `json:"revision"`
	// Endpoint is empty if the function is private.
	Endpoint string `json:"endpoint,omitempty"`
}

func (in *inspector) tagsOf(route platform.Route) []tagStatus {
	var list []tagStatus
	for _, tag := range slices.Sorted(maps.Keys(route.Tags)) {
		status := tagStatus{Tag: tag, Revision: route.Tags[tag]}
		if !route.Private {
			status.Endpoint = in.settings.TagEndpointOf(route.Function, tag)
		}
		list = append(list, status)
	}
	return list
}
