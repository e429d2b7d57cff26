package inspect

import (
	"maps"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// Tag is a tag of a function, as status and deploy print it. Its fields are an interface that scripts use.
type Tag struct {
	Tag      string              `json:"tag"`
	Revision platform.RevisionID `json:"revision"`
	// Endpoint is empty if the function is private.
	Endpoint string `json:"endpoint,omitempty"`
}

func (in *Inspector) tagsOf(route platform.Route) []Tag {
	var list []Tag
	for _, tag := range slices.Sorted(maps.Keys(route.Tags)) {
		status := Tag{Tag: tag, Revision: route.Tags[tag]}
		if !route.Private {
			status.Endpoint = in.settings.TagEndpointOf(route.Function, tag)
		}
		list = append(list, status)
	}
	return list
}
