package wire

import "bytes"

// Forwarded is an element of the field of that name (RFC 7239, section 4): what one proxy says of the request that it got. What it
// doesn't say is empty.
type Forwarded struct{ For, Host, Proto string }

// ParseForwarded reads the list of a Forwarded field: the nearest proxy has appended the last element. Values may be without the quotes
// that an address with a port should have. ok is false if it is no such list.
func ParseForwarded(list []byte) (elements []Forwarded, ok bool) {
	for rest := list; ; {
		var element Forwarded
		var end byte
		if element, end, rest, ok = cutForwarded(rest); !ok {
			return nil, false
		}
		if element != (Forwarded{}) {
			elements = append(elements, element)
		}
		if end == 0 {
			return elements, true
		}
	}
}

// cutForwarded reads the first element, and what ends it: a comma, or 0.
func cutForwarded(b []byte) (element Forwarded, end byte, rest []byte, ok bool) {
	for {
		b = trimSpace(b)
		name := b[:tokenLength(b)]
		b = b[len(name):]
		if len(name) > 0 {
			if len(b) == 0 || b[0] != '=' {
				return element, 0, nil, false
			}
			var value []byte
			if value, b, ok = cutForwardedValue(b[1:]); !ok {
				return element, 0, nil, false
			}
			switch {
			case equalFold(name, "for"):
				element.For = string(value)
			case equalFold(name, "host"):
				element.Host = string(value)
			case equalFold(name, "proto"):
				element.Proto = string(value)
			}
			b = trimSpace(b)
		}
		switch {
		case len(b) == 0:
			return element, 0, nil, true
		case b[0] == ',':
			return element, ',', b[1:], true
		case b[0] != ';':
			return element, 0, nil, false
		}
		b = b[1:]
	}
}

// cutForwardedValue reads a token, or a quoted string (RFC 9110, section 5.6.4).
func cutForwardedValue(b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		end := bytes.IndexAny(b, ",; \t")
		if end < 0 {
			end = len(b)
		}
		return b[:end], b[end:], bytes.IndexByte(b[:end], '"') < 0
	}
	for b = b[1:]; len(b) > 0; b = b[1:] {
		switch {
		case b[0] == '"':
			return value, b[1:], true
		case b[0] == '\\' && len(b) > 1:
			b = b[1:]
		}
		value = append(value, b[0])
	}
	return nil, nil, false
}
