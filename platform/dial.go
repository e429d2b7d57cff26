package platform

import (
	"context"
	"net"
)

// DialUnix returns a dialer that connects to one unix socket, whatever address it is given, for an HTTP client that asks a
// daemon or an instance.
func DialUnix(socket string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
}
