package wire

import "math"

// general has what is said by the fields that requests and responses have in common: where the message ends, and what becomes of
// the connection then.
type general struct {
	contentLength int64 // -1: none given
	codings       int   // how many Transfer-Encoding fields there are
	options       int   // how many Connection names
	closes        bool
	keepsAlive    bool
	namesUpgrade  bool
	hasUpgrade    bool
}

func (g *general) read(f Field) error {
	switch len(f.Name) {
	case len("upgrade"):
		g.hasUpgrade = g.hasUpgrade || f.Is("upgrade") && len(f.Value) > 0
	case len("connection"):
		if f.Is("connection") {
			return g.readConnection(f.Value)
		}
	case len("content-length"):
		if f.Is("content-length") {
			return g.readLength(f.Value)
		}
	case len("transfer-encoding"):
		if f.Is("transfer-encoding") {
			return g.readCoding(f.Value)
		}
	}
	return nil
}

func (g *general) readConnection(list []byte) error {
	for len(list) > 0 {
		var option []byte
		if option, list = cutElement(list); len(option) == 0 {
			continue
		}
		if g.options++; g.options > MaxOptions {
			return bad("too many options in Connection")
		}
		g.closes = g.closes || equalFold(option, "close")
		g.keepsAlive = g.keepsAlive || equalFold(option, "keep-alive")
		g.namesUpgrade = g.namesUpgrade || equalFold(option, "upgrade")
	}
	return nil
}

func (g *general) readLength(value []byte) (err error) {
	if g.contentLength >= 0 {
		return bad("more than one Content-Length")
	}
	g.contentLength, err = parseLength(value)
	return err
}

func parseLength(digits []byte) (n int64, err error) {
	if len(digits) == 0 {
		return -1, bad("empty Content-Length")
	}
	for _, c := range digits {
		if !isDigit(c) {
			return -1, bad("malformed Content-Length")
		}
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			return -1, bad("Content-Length out of range")
		}
		n = n*10 + digit
	}
	return n, nil
}

func (g *general) readCoding(value []byte) error {
	if !equalFold(value, "chunked") {
		return &Error{Status: statusNotImplemented, Text: "a Transfer-Encoding other than chunked"}
	}
	g.codings++
	return nil
}

// check refuses fields that contradict each other.
func (g *general) check(minor int) error {
	switch {
	case g.codings > 1:
		return bad("more than one Transfer-Encoding")
	case g.codings > 0 && g.contentLength >= 0:
		return bad("both Transfer-Encoding and Content-Length")
	case g.codings > 0 && minor == 0:
		return bad("Transfer-Encoding in HTTP/1.0")
	default:
		return nil
	}
}

func (g *general) keepAlive(minor int) bool { return !g.closes && (minor > 0 || g.keepsAlive) }

func (g *general) upgrade(minor int) bool { return minor > 0 && g.namesUpgrade && g.hasUpgrade }
