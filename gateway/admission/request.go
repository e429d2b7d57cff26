package admission

import (
	"bytes"
	"context"
	"net/netip"

	"github.com/fnctl/fnctl/gateway/wire"
)

// Request is what is looked at of a request. Nothing of it is kept.
type Request struct {
	Method string
	// Path is the path that the app will see, as it was received, without the query.
	Path   string
	Fields []wire.Field
	// Addr is the address of the client, as far as it is believed. It is not valid if there is none.
	Addr netip.Addr
	// Plain reports whether it is a request with neither content nor an upgrade.
	Plain bool
	// Context is for a wait; it is asked for only if there is one.
	Context func() context.Context
}

// only returns the value of a field that is there exactly once.
func (r *Request) only(name string) (value []byte, once bool) {
	for i := range r.Fields {
		if !r.Fields[i].Is(name) {
			continue
		}
		if once {
			return nil, false
		}
		value, once = r.Fields[i].Value, true
	}
	return value, once
}

func (r *Request) has(name string) bool {
	for i := range r.Fields {
		if r.Fields[i].Is(name) {
			return true
		}
	}
	return false
}

// sender is what counts as one address: with IPv6 the 64 bits that are a network's, of which each host may take any number.
func sender(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	network, _ := addr.WithZone("").Prefix(64) // fails for no address of IPv6
	return network.Addr()
}

// credentials returns what follows a scheme in the value of an Authorization field, and reports whether it is of that scheme.
func credentials(value []byte, scheme string) (rest []byte, is bool) {
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' || !bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
		return nil, false
	}
	return bytes.TrimLeft(value[len(scheme):], " "), true
}
