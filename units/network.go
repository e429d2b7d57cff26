package units

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// Addresses that are not of the public internet: what IANA's registries of special addresses call not globally reachable, multicast
// and what is reserved, and the address of Azure's agent. The loopback is open again.
var (
	private4 = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
	// The first has the forms of IPv4 addresses that no router knows; 2001::/23 and 2002::/16 are tunnels, among others.
	private6 = prefixes("::/64", "64:ff9b:1::/48", "100::/63", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")
	// What gateways from IPv6 to IPv4 would translate.
	private64 = translated(private4)
)

// MetadataAddresses are where clouds tell a machine its keys: AWS, Google, Azure and others; ECS; Alibaba; Azure's agent; Oracle; and those
// in IPv6. packaging/firewall/fnctl.nft has the same.
var MetadataAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"),
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// translated are networks of IPv4 as gateways of RFC 6052 know them.
func translated(networks []netip.Prefix) []netip.Prefix {
	list := make([]netip.Prefix, len(networks))
	for i, network := range networks {
		bytes := netip.MustParseAddr("64:ff9b::").As16()
		copy(bytes[12:], network.Addr().AsSlice())
		list[i] = netip.PrefixFrom(netip.AddrFrom16(bytes), 96+network.Bits())
	}
	return list
}

// IsPrivate reports whether an address is not of the public internet, and not of the machine's loopback.
func IsPrivate(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	has := func(network netip.Prefix) bool { return network.Contains(addr) }
	return !addr.IsLoopback() && slices.ContainsFunc(slices.Concat(private4, private6, private64), has)
}

func writeNetwork(w *writer, rev platform.Revision) {
	// Netlink is how getifaddrs reads the machine's interfaces; to change one takes a capability.
	w.set("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK")
	switch rev.Config.Network {
	case platform.NetworkHost:
	case platform.NetworkInternet:
		w.comment("network: internet. What is allowed goes before what is denied.")
		w.set("IPAddressAllow", strings.Join(append([]string{"127.0.0.0/8", "::1/128"}, rev.Resolvers...), " "))
		for _, networks := range [][]netip.Prefix{private4, private6, private64} {
			w.set("IPAddressDeny", joined(networks))
		}
	default: // none, and what a later version may call otherwise
		w.comment("network: none")
		w.set("PrivateNetwork", "yes")
	}
}

// requireFilter lets no instance start where systemd could not keep it out of networks.
func requireFilter(w *writer, network platform.Network) {
	if network == platform.NetworkInternet {
		w.comment("systemd only warns if it cannot keep the service out of private networks. This fails then.")
		w.all("Requires="+platform.InternetUnit, "After="+platform.InternetUnit)
	}
}

func joined(networks []netip.Prefix) string {
	words := make([]string, len(networks))
	for i, network := range networks {
		words[i] = network.String()
	}
	return strings.Join(words, " ")
}
