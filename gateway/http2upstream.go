package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// http2Preface begins a connection of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2Upstream has the connections to an instance that speaks HTTP/2 with prior knowledge.
type http2Upstream struct{ transport *http.Transport }

func newHTTP2Upstream(take func(newContext func() context.Context, first byte) (*instanceConn, error)) *http2Upstream {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http2Upstream{&http.Transport{
		Protocols:          &protocols,
		DisableCompression: true,
		IdleConnTimeout:    upstreamIdleTimeout,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := take(func() context.Context { return ctx }, http2Preface[0])
			if err != nil {
				return nil, err
			}
			c.shared.Store(true)
			return &prefacedConn{instanceConn: c}, nil
		},
	}}
}

func (u *http2Upstream) close() { u.transport.CloseIdleConnections() }

// prefacedConn is a connection whose first byte a probe may have sent.
type prefacedConn struct {
	*instanceConn
	begun atomic.Bool
}

func (c *prefacedConn) Write(p []byte) (int, error) {
	if c.begun.Swap(true) || len(p) == 0 {
		return c.write(p)
	}
	if err := c.begin(p); err != nil {
		return 0, fmt.Errorf("%w: %w", errPreface, err)
	}
	return len(p), nil
}
