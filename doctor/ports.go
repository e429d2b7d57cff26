package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
)

// loopbacks are the addresses of localhost, and of all names below it. Clients try one after the other.
var loopbacks = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

// checkPorts looks who has the ports of the gateway in the other family: whoever is there gets requests that are for functions.
func (e *examination) checkPorts(ctx context.Context) error {
	ports, named, taken, err := e.gatewayPorts(ctx)
	if err != nil {
		return err
	}
	bad := 0
	for _, port := range ports {
		holders, err := shim.Holders(port)
		if err != nil {
			return err
		}
		for _, loopback := range loopbacks {
			address := netip.AddrPortFrom(loopback, port)
			if slices.ContainsFunc(taken, func(by netip.AddrPort) bool { return covers(by, address) }) {
				continue
			}
			if i := slices.IndexFunc(holders, func(h shim.Holder) bool { return covers(h.Address, address) }); i >= 0 {
				bad++
				e.fail(fmt.Sprintf("stop it, then systemctl restart fnctl-gateway; or choose another port: systemctl edit %s %s", gatewaySocket, gatewaySocketIPv6),
					"%s is held by %s: it gets requests that are for functions", address, holders[i].Name())
			} else if len(taken) > 0 && e.hasFamily(loopback) && !e.isMasked(gatewaySocketIPv6) {
				bad++
				remedy := "systemctl restart fnctl-gateway (new requests wait meanwhile); journalctl -u " + gatewaySocketIPv6
				if !slices.Contains(named, address) {
					remedy = fmt.Sprintf("systemctl edit %s: ListenStream=%s; or mask it", gatewaySocketIPv6, address)
				}
				e.warn(remedy, "the gateway doesn't listen on %s: whoever does gets requests that are for functions", address)
			}
		}
	}
	if bad == 0 {
		e.ok("those of the gateway are its own, in IPv4 and IPv6")
	}
	return nil
}

// isMasked reports whether the administrator does without a unit.
func (e *examination) isMasked(unit string) bool {
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system"} {
		if to, err := os.Readlink(filepath.Join(e.store.Paths.Root, dir, unit)); err == nil && to == os.DevNull {
			return true
		}
	}
	return false
}

// gatewayPorts are the ports at which clients on this machine look for functions, the addresses that its sockets name, and those at which
// it listens.
func (e *examination) gatewayPorts(ctx context.Context) (ports []uint16, named, taken []netip.AddrPort, err error) {
	units, err := e.units.List(ctx, gatewaySocket, gatewaySocketIPv6)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, unit := range units {
		listens, err := e.units.SocketAddresses(ctx, unit.Name)
		if err != nil {
			return nil, nil, nil, err
		}
		for _, listen := range listens {
			address, err := netip.ParseAddrPort(listen)
			if err != nil {
				continue // a unix socket
			}
			named = append(named, address)
			if unit.Active == "active" {
				taken = append(taken, address)
			}
			local := slices.ContainsFunc(loopbacks, func(l netip.Addr) bool { return covers(address, netip.AddrPortFrom(l, address.Port())) })
			if unit.Name == gatewaySocket && local && !slices.Contains(ports, address.Port()) {
				ports = append(ports, address.Port())
			}
		}
	}
	return ports, named, taken, nil
}

// covers reports whether who listens at an address gets what is sent to another one. At the unspecified one of IPv6 it is both families.
func covers(listens, asked netip.AddrPort) bool {
	switch addr := listens.Addr(); {
	case listens.Port() != asked.Port():
		return false
	case addr.IsUnspecified():
		return addr.Is6() || asked.Addr().Is4()
	default:
		return addr == asked.Addr()
	}
}

// hasFamily reports whether the kernel has the family of an address.
func (e *examination) hasFamily(addr netip.Addr) bool {
	return addr.Is4() || platform.Exists(filepath.Join(e.store.Paths.Root, "proc/net/if_inet6"))
}
