package units_test

import (
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// filterOf returns what systemd's filter of a service does with an address: what is allowed goes before what is denied, and what is
// neither passes.
func filterOf(t *testing.T, service string) (passes func(netip.Addr) bool) {
	t.Helper()
	networks := map[string][]netip.Prefix{}
	for line := range strings.Lines(service) {
		key, list, _ := strings.Cut(strings.TrimSpace(line), "=")
		if !strings.HasPrefix(key, "IPAddress") {
			continue
		}
		for _, word := range strings.Fields(list) {
			if addr, err := netip.ParseAddr(word); err == nil {
				networks[key] = append(networks[key], netip.PrefixFrom(addr, addr.BitLen()))
				continue
			}
			network, err := netip.ParsePrefix(word)
			if err != nil || network != network.Masked() {
				t.Errorf("%s: %s is not a network: %v", key, word, err)
			}
			networks[key] = append(networks[key], network)
		}
	}
	return func(addr netip.Addr) bool {
		has := func(network netip.Prefix) bool { return network.Contains(addr) }
		return slices.ContainsFunc(networks["IPAddressAllow"], has) || !slices.ContainsFunc(networks["IPAddressDeny"], has)
	}
}

func serviceIn(t *testing.T, network platform.Network, resolvers ...string) string {
	t.Helper()
	rev := golden(t)["internet"]
	rev.Config.Network, rev.Resolvers = network, resolvers
	files, err := units.Files(platform.DefaultPaths(), rev)
	if err != nil {
		t.Fatal(err)
	}
	return files[1].Text
}

// The networks are those of RFC 1918, 6598, 3927, 4193, 4291, 6890 and 6052, and of clouds.
func TestInternet(t *testing.T) {
	service := serviceIn(t, platform.NetworkInternet, "10.0.0.2")
	if !strings.Contains(service, "\nRequires=fnctl-internet.service\nAfter=fnctl-internet.service\n") {
		t.Error("it starts where systemd cannot filter")
	}
	passes := filterOf(t, service)
	for text, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.255.255": true,
		"172.32.0.0": true, "192.167.255.255": true, "192.169.0.0": true, "223.255.255.255": true, "168.63.129.15": true, "168.63.129.17": true,
		"2001:200::1": true, "2606:4700:4700::1111": true, "2a00:1450:4001::1": true, "64:ff9b::808:808": true, "64:ff9b::b00:0": true,
		"127.0.0.1": true, "127.0.0.53": true, "127.255.255.255": true, "::1": true, "10.0.0.2": true,

		"10.0.0.1": false, "10.255.255.255": false, "100.64.0.0": false, "100.100.100.200": false, "100.127.255.255": false, "172.16.0.0": false,
		"172.31.255.255": false, "192.168.0.0": false, "192.168.255.255": false, "169.254.169.254": false, "169.254.0.1": false,
		"168.63.129.16": false, "192.0.0.192": false, "192.0.2.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"0.0.0.1": false, "224.0.0.251": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,
		"fd00:ec2::254": false, "fd20:ce::254": false, "fc00::1": false, "fdff::1": false, "fe80::1": false, "febf::1": false, "fec0::1": false,
		"ff02::1": false, "ff0e::1": false, "::": false, "::10.0.0.1": false, "::ffff:0:a00:1": false, "64:ff9b::a00:1": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "64:ff9b::c0a8:101": false, "64:ff9b:1::a00:1": false, "2002:a00:1::1": false,
		"2001::1": false, "2001:db8::1": false, "100::1": false, "100:0:0:1::1": false, "3fff::1": false, "5f00::1": false,
	} {
		addr := netip.MustParseAddr(text)
		if got := passes(addr); got != public {
			t.Errorf("%s passes: %t", text, got)
		}
		if got := units.IsPrivate(addr); got == public && text != "10.0.0.2" {
			t.Errorf("%s is private: %t", text, got)
		}
	}
	if !units.IsPrivate(netip.MustParseAddr("::ffff:10.0.0.1")) || !units.IsPrivate(netip.MustParseAddr("fe80::1%eth0")) {
		t.Error("a form of a private address is none")
	}
	// On the wire of IPv6 it means nothing; the kernel sends what a program calls so as IPv4.
	if passes(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 8, 13: 8, 14: 8, 15: 8})) {
		t.Error("a packet of IPv6 to an address of IPv4 passes")
	}
}

// A network that this version does not know is none.
func TestUnknownNetwork(t *testing.T) {
	const closed = "\nPrivateNetwork=yes\n"
	for network, want := range map[platform.Network]bool{platform.NetworkHost: false, platform.NetworkInternet: false, platform.NetworkNone: true, "vpn": true, "": true} {
		if got := strings.Contains(serviceIn(t, network), closed); got != want {
			t.Errorf("%q: no network: %t", network, got)
		}
	}
}

// The cloud's keys are where the firewall withholds them from all functions.
func TestMetadataAddresses(t *testing.T) {
	rules, err := os.ReadFile("../packaging/firewall/fnctl.nft")
	if err != nil {
		t.Fatal(err)
	}
	var firewall, ours []string
	for _, elements := range regexp.MustCompile(`elements = \{ (.*) \}`).FindAllStringSubmatch(string(rules), -1) {
		firewall = append(firewall, strings.Split(elements[1], ", ")...)
	}
	passes := filterOf(t, serviceIn(t, platform.NetworkInternet))
	for _, addr := range units.MetadataAddresses {
		ours = append(ours, addr.String())
		if passes(addr) {
			t.Errorf("%s passes", addr)
		}
	}
	if !slices.Equal(firewall, ours) {
		t.Errorf("the firewall has %q, units %q", firewall, ours)
	}
}
