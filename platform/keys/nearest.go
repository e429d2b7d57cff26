package keys

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the candidate that a misspelt word is most likely to mean, "" if none is near.
func Nearest(word string, candidates []string) string {
	if i := nearest(word, candidates); i >= 0 {
		return candidates[i]
	}
	return ""
}

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
