package wire

import "bytes"

// ListHas reports whether a list separated by commas has the token, in whatever case.
func ListHas(value []byte, token string) bool {
	for len(value) > 0 {
		var element []byte
		element, value = cutElement(value)
		if equalFold(element, token) {
			return true
		}
	}
	return false
}

func cutElement(list []byte) (element, rest []byte) {
	element, rest, _ = bytes.Cut(list, comma)
	return trimSpace(element), rest
}

var comma = []byte(",")
