package platform

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the index of the candidate that a misspelt word is most likely to mean, the first one of several, or -1
// if none is near. Case, hyphens and underscores don't matter.
func nearest(word string, candidates []string) int {
	// Nobody mistypes a name of this length, and the distance to a hostile one takes long.
	const longest = 64
	if len(word) > longest {
		return -1
	}
	word = plainWord(word)
	best, bestDistance := -1, max(2, len(word)/3)+1
	if len(word) <= 2 {
		// Any two words of two letters are near: C9 is no misspelt C1.
		bestDistance = 1
	}
	for i, candidate := range candidates {
		if d := levenshtein.ComputeDistance(word, plainWord(candidate)); d < bestDistance {
			best, bestDistance = i, d
		}
	}
	return best
}

var wordMarks = strings.NewReplacer("-", "", "_", "", " ", "")

func plainWord(s string) string { return wordMarks.Replace(strings.ToLower(s)) }

// nearestKey returns the path of the key that an unknown key in a section most likely means, "" if none is near. It may
// be a key of another section.
func nearestKey(section, name string) string {
	var paths, leaves []string
	add := func(here bool) {
		for _, k := range configKeys {
			if (k.section() == section) == here {
				paths, leaves = append(paths, k.path), append(leaves, k.leaf())
			}
		}
	}
	// Of two that are equally near, the one in the same section is meant.
	add(true)
	add(false)
	if i := nearest(name, leaves); i >= 0 {
		return paths[i]
	}
	return ""
}

// keyNames are the names of a section's keys.
func keyNames(section string) string {
	var names []string
	for _, k := range configKeys {
		if k.section() == section && k.alias == "" {
			names = append(names, k.leaf())
		}
	}
	return strings.Join(names, ", ")
}
