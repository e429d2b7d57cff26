package wire

import "bytes"

// Request is the head of a request. It points into the bytes that were parsed, and can be used for one after the other.
type Request struct {
	Method, Target []byte
	Minor          int // HTTP/1.Minor
	Fields         []Field
	Host           []byte // the Host field, or the authority of the target if it has one; nil if there is neither
	Path           []byte // the target as an origin server knows it: without scheme and authority
	ContentLength  int64  // -1: none given
	Chunked        bool
	KeepAlive      bool // what version and Connection say
	Upgrade        bool // Connection names upgrade, and there is an Upgrade field
	ExpectContinue bool

	hosts int
	made  []byte // Path, if it is not in the target as it is
}

// Parse reads a complete head, with its empty line. The error is an *Error. What the request was before is gone also then.
func (r *Request) Parse(head []byte) error {
	*r = Request{Fields: r.Fields[:0], made: r.made[:0], ContentLength: -1}
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
	if err := r.readFields(); err != nil {
		return err
	}
	return r.parseTarget()
}

// Detach copies what the request has of its head, whose buffer may be used for something else from then on.
func (r *Request) Detach() {
	size := len(r.Method) + len(r.Target) + len(r.Host) + len(r.Path)
	for _, f := range r.Fields {
		size += len(f.Name) + len(f.Value)
	}
	room := make([]byte, 0, size)
	move := func(b *[]byte) {
		if *b == nil {
			return
		}
		begin := len(room)
		room = append(room, *b...)
		*b = room[begin:len(room):len(room)]
	}
	move(&r.Method)
	move(&r.Target)
	move(&r.Host)
	move(&r.Path)
	for i := range r.Fields {
		move(&r.Fields[i].Name)
		move(&r.Fields[i].Value)
	}
}

func (r *Request) parseLine(line []byte) (err error) {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return bad("malformed request line")
	}
	r.Method, r.Target = line[:first:first], line[first+1:last:last]
	if !IsToken(r.Method) {
		return bad("malformed method")
	}
	r.Minor, err = parseVersion(line[last+1:])
	return err
}

func (r *Request) readFields() error {
	g := general{contentLength: -1}
	for _, f := range r.Fields {
		if err := g.read(f); err != nil {
			return err
		}
		if err := r.readField(f); err != nil {
			return err
		}
	}
	if r.Minor > 0 && r.hosts == 0 {
		return bad("no Host")
	}
	if err := g.check(r.Minor); err != nil {
		return err
	}
	r.ContentLength, r.Chunked = g.contentLength, g.codings > 0
	r.KeepAlive, r.Upgrade = g.keepAlive(r.Minor), g.upgrade(r.Minor)
	return nil
}

// readField reads what only requests have.
func (r *Request) readField(f Field) error {
	switch len(f.Name) {
	case len("host"):
		if f.Is("host") {
			return r.readHost(f.Value)
		}
	case len("expect"):
		if r.Minor > 0 && f.Is("expect") {
			r.ExpectContinue = r.ExpectContinue || ListHas(f.Value, "100-continue")
		}
	}
	return nil
}

func (r *Request) readHost(value []byte) error {
	r.hosts++
	if r.hosts > 1 {
		return bad("more than one Host")
	}
	if !isAuthority(value) {
		return bad("malformed Host")
	}
	r.Host = value
	return nil
}

// HasContent reports whether content follows the head.
func (r *Request) HasContent() bool { return r.Chunked || r.ContentLength > 0 }

// Framing returns that of the content.
func (r *Request) Framing() Framing {
	switch {
	case r.Chunked:
		return Chunked()
	case r.ContentLength >= 0:
		return Length(r.ContentLength)
	default:
		return None()
	}
}
