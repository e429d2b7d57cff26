package platform

import (
	"fmt"
	"net/netip"
)

func checkProxy(text string) error {
	_, err := parseProxy(text)
	return err
}

// parseProxy reads an address, or a prefix of addresses.
func parseProxy(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, fmt.Errorf("must be an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8, got %s", quoted(text))
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("must be an IPv4 prefix such as 10.0.0.0/8, got %s", quoted(text))
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("must be a prefix whose other bits are 0: %s, got %s", prefix.Masked(), quoted(text))
	}
	return prefix, nil
}

func putProxies(s *Settings, decoded any) {
	for _, text := range decoded.([]string) {
		if prefix, err := parseProxy(text); err == nil {
			s.Gateway.TrustedProxies = append(s.Gateway.TrustedProxies, prefix)
		}
	}
}
