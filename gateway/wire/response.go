package wire

import "bytes"

// Response is the head of a response. It points into the bytes that were parsed, and can be used for one after the other.
type Response struct {
	Minor, Status int
	Reason        []byte
	Fields        []Field
	ContentLength int64 // -1: none given
	Chunked       bool
	KeepAlive     bool // what version and Connection say, but not for a 204 that says it has content
	Upgrade       bool // Connection names upgrade, and there is an Upgrade field
}

// Parse reads a complete head, with its empty line. The error is an *Error. What the response was before is gone also then.
func (r *Response) Parse(head []byte) error {
	*r = Response{Fields: r.Fields[:0], ContentLength: -1}
	line, rest, err := cutLine(head)
	if err != nil {
		return err
	}
	if err := r.parseLine(line); err != nil {
		return err
	}
	if r.Fields, err = parseFields(r.Fields, rest); err != nil {
		return err
	}
	return r.readFields()
}

// parseLine also takes a line without the space that belongs before an empty reason.
func (r *Response) parseLine(line []byte) (err error) {
	version, rest, _ := bytes.Cut(line, space)
	if r.Minor, err = parseVersion(version); err != nil {
		return err
	}
	status, reason, _ := bytes.Cut(rest, space)
	if len(status) != 3 || status[0] == '0' || !isDigit(status[0]) || !isDigit(status[1]) || !isDigit(status[2]) {
		return bad("malformed status")
	}
	if !IsFieldValue(reason) {
		return bad("control bytes in the reason")
	}
	r.Status = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	r.Reason = reason
	return nil
}

var space = []byte(" ")

func (r *Response) readFields() error {
	g := general{contentLength: -1}
	for _, f := range r.Fields {
		if err := g.read(f); err != nil {
			return err
		}
	}
	if err := g.check(r.Minor); err != nil {
		return err
	}
	r.ContentLength, r.Chunked = g.contentLength, g.codings > 0
	r.KeepAlive, r.Upgrade = g.keepAlive(r.Minor) && !r.claimsContent(), g.upgrade(r.Minor)
	return nil
}

// claimsContent reports whether a 204 says that content follows. Not every server knows that none does, and the one that sent
// it may not, so that its connection is not to be used again.
func (r *Response) claimsContent() bool {
	return r.Status == 204 && (r.Chunked || r.ContentLength > 0)
}

// Framing returns that of the content of the response to a request with this method.
func (r *Response) Framing(method []byte) Framing {
	switch {
	case r.hasNoContent(method):
		return None()
	case r.Chunked:
		return Chunked()
	case r.ContentLength >= 0:
		return Length(r.ContentLength)
	default:
		return UntilClose()
	}
}

func (r *Response) hasNoContent(method []byte) bool {
	return r.Status < 200 || r.Status == 204 || r.Status == 304 || string(method) == "HEAD" ||
		r.Status < 300 && string(method) == "CONNECT"
}
