package wire

import "bytes"

// parseTarget distinguishes the four forms of a target (RFC 9112, 3.2).
func (r *Request) parseTarget() error {
	r.Path = r.Target
	switch {
	case !isTarget(r.Target):
		return bad("malformed target")
	case string(r.Method) == "CONNECT":
		return checkAuthorityForm(r.Target)
	case r.Target[0] == '/':
		return nil
	case string(r.Target) == "*" && string(r.Method) == "OPTIONS":
		return nil
	default:
		return r.parseAbsoluteForm()
	}
}

// Check returns what is wrong with a request that was not parsed but came in another version of HTTP, where the method and the target
// may have any bytes (RFC 9113, 8.3.1). The error is an *Error.
func (r *Request) Check() error {
	if err := CheckFields(r.Fields); err != nil {
		return err
	}
	switch {
	case !IsToken(r.Method):
		return bad("malformed method")
	case string(r.Method) == "CONNECT", string(r.Method) == "OPTIONS" && string(r.Target) == "*":
		return nil
	case !isTarget(r.Target) || r.Target[0] != '/':
		return bad("malformed target")
	default:
		return nil
	}
}

func isTarget(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte(b, '\t') < 0 && bytes.IndexByte(b, ' ') < 0 && IsFieldValue(b)
}

func checkAuthorityForm(target []byte) error {
	colon := bytes.LastIndexByte(target, ':')
	if colon < 1 || !isAuthority(target[:colon]) {
		return bad("CONNECT to what is no authority")
	}
	_, err := parseLength(target[colon+1:])
	if err != nil {
		return bad("CONNECT to what is no port")
	}
	return nil
}

// parseAbsoluteForm takes the target apart. Its authority wins over the Host field, which a client should have made equal.
func (r *Request) parseAbsoluteForm() error {
	rest, ok := cutScheme(r.Target)
	if !ok {
		return bad("malformed target")
	}
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	r.Host, r.Path = rest[:end:end], rest[end:]
	if end == 0 || !isAuthority(r.Host) {
		return bad("malformed authority")
	}
	r.completePath()
	return nil
}

func cutScheme(target []byte) (rest []byte, ok bool) {
	colon := bytes.IndexByte(target, ':')
	if colon < 0 || !equalFold(target[:colon], "http") && !equalFold(target[:colon], "https") {
		return nil, false
	}
	return bytes.CutPrefix(target[colon:], []byte("://"))
}

// completePath gives a path to an absolute form without one.
func (r *Request) completePath() {
	switch {
	case len(r.Path) > 0 && r.Path[0] == '/':
		return
	case len(r.Path) == 0 && string(r.Method) == "OPTIONS":
		r.made = append(r.made, '*')
	default:
		r.made = append(append(r.made, '/'), r.Path...)
	}
	r.Path = r.made
}
