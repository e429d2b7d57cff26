package platform

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Label is the number of a revision as it stands in hosts and directories: 00001.
func (id RevisionID) Label() string { return fmt.Sprintf("%05d", id.Number) }

// Tagged returns the revision that a label in front of the function's host leads to: a tag, or the number of a revision that the
// route has.
func (r Route) Tagged(label string) (id RevisionID, is bool) {
	if id, is = r.Tags[label]; is {
		return id, true
	}
	if number, err := strconv.Atoi(label); err == nil {
		id = RevisionID{Function: r.Function, Number: number}
	}
	return id, id.Number > 0 && id.Label() == label && r.Reaches(id)
}

// TagsOf lists the tags of a revision, sorted.
func (r Route) TagsOf(id RevisionID) []string {
	var tags []string
	for _, tag := range slices.Sorted(maps.Keys(r.Tags)) {
		if r.Tags[tag] == id {
			tags = append(tags, tag)
		}
	}
	return tags
}

// WithTag returns the route with a tag that leads to a revision, and to no other any more. The revision need not have traffic.
func (r Route) WithTag(tag string, rev Revision) Route {
	r.Tags = maps.Clone(r.Tags)
	if r.Tags == nil {
		r.Tags = map[string]RevisionID{}
	}
	r.Tags[tag] = rev.ID
	if !r.Reaches(rev.ID) {
		r.Traffic = append(slices.Clone(r.Traffic), shareOf(rev, 0))
	}
	return r.tidied()
}

// WithoutTag returns the route without a tag. A revision without traffic and another tag is no longer in it.
func (r Route) WithoutTag(tag string) Route {
	r.Tags = maps.Clone(r.Tags)
	delete(r.Tags, tag)
	return r.tidied()
}

// After returns the route with all that outlives a change of traffic: whether the function is paused, how its clients stick, its domains,
// and the tags that it has not got itself, each with its revision.
func (r Route) After(before Route) Route {
	r.Paused, r.Sticky, r.Domains = before.Paused, before.Sticky, before.Domains
	tags := maps.Clone(before.Tags)
	if tags == nil {
		tags = map[string]RevisionID{}
	}
	maps.Copy(tags, r.Tags)
	r.Tags = tags
	r.Traffic = slices.Clone(r.Traffic)
	for _, share := range before.Traffic {
		if !r.Reaches(share.Revision) {
			share.Percent = 0
			r.Traffic = append(r.Traffic, share)
		}
	}
	return r.tidied()
}

// tidied is the route in the order of the revisions, with those only that it can reach.
func (r Route) tidied() Route {
	r.Traffic = slices.DeleteFunc(slices.Clone(r.Traffic), func(s TrafficShare) bool {
		return s.Percent == 0 && len(r.TagsOf(s.Revision)) == 0
	})
	slices.SortFunc(r.Traffic, func(a, b TrafficShare) int { return a.Revision.Number - b.Revision.Number })
	if len(r.Tags) == 0 {
		r.Tags = nil
	}
	return r
}
