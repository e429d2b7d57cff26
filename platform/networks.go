package platform

import (
	"fmt"
	"net/netip"

	"github.com/fnctl/fnctl/platform/keys"
)

// networks is the kind of networks: addresses and prefixes.
var networks = keys.List[netip.Prefix]{Of: keys.Text[netip.Prefix]{Parse: parseNetwork, What: "an address or a prefix such as 10.0.0.0/8"}}

// parseNetwork reads an address, or a prefix of addresses.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, fmt.Errorf("must be an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8, got %s", keys.Quote(text))
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("must be an IPv4 prefix such as 10.0.0.0/8, got %s", keys.Quote(text))
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("must be a prefix whose other bits are 0: %s, got %s", prefix.Masked(), keys.Quote(text))
	}
	return prefix, nil
}
