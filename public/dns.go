package public

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookupTimeout bounds a question to the DNS.
const lookupTimeout = 5 * time.Second

// Direction is where the DNS says that a host is.
type Direction struct {
	// Addresses are those of the host; none: the DNS knows no such host.
	Addresses []netip.Addr `json:"addresses"`
	// Here is whether one of them is this machine's own. Behind a router that translates addresses, none is.
	Here bool `json:"here"`
}

// Lookup asks the DNS, as the machine is set up to, where a host is. A host that does not exist is no error.
func Lookup(ctx context.Context, host string) (Direction, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host+".")
	var unknown *net.DNSError
	if errors.As(err, &unknown) && unknown.IsNotFound {
		return Direction{}, nil
	}
	if err != nil {
		return Direction{}, err
	}
	own, err := ownAddresses()
	d := Direction{}
	for _, address := range addresses {
		address = address.Unmap()
		d.Addresses = append(d.Addresses, address)
		d.Here = d.Here || slices.Contains(own, address)
	}
	return d, err
}

// ownAddresses are those of the machine's interfaces.
func ownAddresses() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, addr := range addrs {
		if network, is := addr.(*net.IPNet); is {
			if ip, is := netip.AddrFromSlice(network.IP); is {
				own = append(own, ip.Unmap())
			}
		}
	}
	return own, nil
}

// worldly are the addresses of the machine that others may reach, for a record in the DNS.
func worldly() []string {
	own, err := ownAddresses()
	if err != nil {
		return nil
	}
	var addresses []string
	for _, addr := range own {
		if addr.IsGlobalUnicast() && !addr.IsPrivate() {
			addresses = append(addresses, addr.String())
		}
	}
	return addresses
}

// probeName is a name below a domain that nobody has but by a wildcard.
const probeName = "fnctl-probe"

// noteDNS says where the names below a domain are.
func (p *Plan) noteDNS(ctx context.Context, domain string) {
	record := "*." + domain + " A " + orPlaceholder(worldly())
	switch d, err := Lookup(ctx, probeName+"."+domain); {
	case err != nil:
		p.note(Advice, "dig "+probeName+"."+domain, "the DNS does not answer where *.%s is: %v", domain, err)
	case len(d.Addresses) == 0:
		p.note(Advice, "add the record "+record+", or one for each function", "the DNS knows no *.%s: no visitor, and no authority, will find a function", domain)
	case d.Here:
		p.note(Good, "", "the DNS leads from *.%s to this machine", domain)
	default:
		p.note(Advice, "fine if that is a router that passes ports 80 and 443 on to this machine; or else the record should be "+record,
			"the DNS leads from *.%s to %s, which is no address of this machine", domain, join(d.Addresses))
	}
}

func orPlaceholder(addresses []string) string {
	if len(addresses) == 0 {
		return "ADDRESS-OF-THIS-MACHINE"
	}
	return addresses[0]
}

func join(addresses []netip.Addr) string {
	var list []string
	for _, address := range addresses {
		list = append(list, address.String())
	}
	return strings.Join(list, ", ")
}
