package keys

import "strconv"

// Quote quotes a part of a file so that it fits into an error message of one line: its first 40 characters.
func Quote(s string) string {
	const limit = 40
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// shownKey is the name of a key in an error message: quoted where it is no plain word.
func shownKey(name string) string {
	if q := Quote(name); name == "" || q != `"`+name+`"` {
		return q
	}
	return name
}
