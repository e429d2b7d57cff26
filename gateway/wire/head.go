package wire

import "bytes"

// HeadLength finds the end of a head in what has arrived: its length with the empty line, or 0 if that has not arrived yet.
// from is 0, and then the next of the last call for the same head.
//
// It fails as soon as a line ends in a bare LF or has a bare CR or a NUL, so that the end of such a head is not waited for.
func HeadLength(buf []byte, from int) (n, next int, err error) {
	lines, end := 0, from
	for n == 0 {
		i := bytes.IndexByte(buf[end:], '\n')
		if i < 0 {
			break
		}
		i += end
		if i == 0 || buf[i-1] != '\r' {
			return 0, 0, bad("a line ends in a bare LF")
		}
		lines++
		end = i + 1
		if i == 1 || buf[i-2] == '\n' {
			n = end
		}
	}
	if n == 0 {
		end = len(buf)
		if end > from && buf[end-1] == '\r' {
			end-- // its LF may be on the way
		}
	}
	if err := checkLines(buf[from:end], lines); err != nil {
		return 0, 0, err
	}
	return n, end, nil
}

// checkLines refuses CRs that end none of the lines, and NULs.
func checkLines(text []byte, lines int) error {
	if bytes.Count(text, carriageReturn) != lines {
		return bad("a line has a bare CR")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return bad("a line has a NUL")
	}
	return nil
}

var carriageReturn = []byte("\r")

// SkipEmptyLine returns how many bytes to discard before a request: RFC 9112, 2.2 lets a client send one empty line too many.
func SkipEmptyLine(buf []byte) int {
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		return 2
	}
	return 0
}

// cutLine takes the first line, without its end.
func cutLine(text []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(text, '\n')
	if i < 1 || text[i-1] != '\r' {
		return nil, nil, bad("a line does not end in CRLF")
	}
	return text[:i-1], text[i+1:], nil
}

// parseVersion reads what follows "HTTP/1.".
func parseVersion(b []byte) (minor int, err error) {
	switch {
	case string(b) == "HTTP/1.1":
		return 1, nil
	case string(b) == "HTTP/1.0":
		return 0, nil
	case len(b) == 8 && string(b[:5]) == "HTTP/" && isDigit(b[5]) && b[6] == '.' && isDigit(b[7]):
		return 0, &Error{Status: statusVersionNotSupported, Text: "not HTTP/1.0 or HTTP/1.1"}
	default:
		return 0, bad("malformed version")
	}
}
