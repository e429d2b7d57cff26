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

// AppendOptions appends what Connection fields name besides what is never sent on: the names of other fields.
func AppendOptions(dst [][]byte, fields []Field) [][]byte {
	for _, f := range fields {
		if !f.Is("connection") {
			continue
		}
		for list := f.Value; len(list) > 0; {
			var option []byte
			option, list = cutElement(list)
			if len(option) > 0 && !equalFold(option, "close") && !HopByHop(option) {
				dst = append(dst, option)
			}
		}
	}
	return dst
}

// IsOption reports whether a field of this name is among the options.
func IsOption(options [][]byte, name []byte) bool {
	for _, option := range options {
		if len(option) == len(name) && bytes.EqualFold(option, name) {
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
