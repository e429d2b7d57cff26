package admission

import "net/netip"

// networks are those from which requests come in, and those from which none do.
type networks struct{ allow, deny []netip.Prefix }

// admits reports whether an address may come in. One that is not known may not if there is any rule.
func (n networks) admits(addr netip.Addr) bool {
	if len(n.allow) == 0 && len(n.deny) == 0 {
		return true
	}
	return addr.IsValid() && !contains(n.deny, addr) && (len(n.allow) == 0 || contains(n.allow, addr))
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
