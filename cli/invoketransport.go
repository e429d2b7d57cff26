package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/units/systemd"
	"github.com/fnctl/fnctl/visitor"
)

// invokeTransport connects to the gateway, or for a private function, which the gateway doesn't serve, to an instance.
func invokeTransport(ctx context.Context, name string) (*http.Transport, error) {
	route, err := store().Route(name)
	if err != nil {
		return nil, err
	}
	if !route.Private {
		return &http.Transport{DialContext: dialGateway, DisableCompression: true}, nil
	}
	if route.Paused {
		return nil, deploy.PausedError(name)
	}
	id, err := anyInstance(route)
	if err != nil {
		return nil, err
	}
	return visitor.Transport(paths().InstanceSocket(id), protocolOf(route, id.Revision)), nil
}

// dialGateway connects to the gateway where it listens, whatever name and port an address has: names may be those of a proxy, or in no
// DNS. Over the socket of proxies it believes what the visitor says.
func dialGateway(ctx context.Context, _, _ string) (net.Conn, error) {
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", paths().ProxySocket()); err == nil {
		return conn, nil
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	const unit = "fnctl-gateway.socket"
	addresses, err := manager.SocketAddresses(ctx, unit)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, address := range addresses {
		network := "tcp"
		if strings.HasPrefix(address, "/") {
			network = "unix"
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return conn, nil
		}
		refused = errors.Join(refused, err)
	}
	return nil, cmp.Or(refused, fmt.Errorf("%s has no address", unit))
}
