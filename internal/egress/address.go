package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// denied are the networks that are nobody's public API: this machine, private networks, the cloud's
// metadata services, and the ways of writing an IPv4 address inside an IPv6 one. They are listed
// rather than asked of netip, whose predicates know neither carrier-grade NAT nor NAT64.
var denied = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
	"::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32",
	"2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// guard decides which addresses may be dialled.
type guard struct {
	vouched []netip.Prefix // the operator's own networks
	ports   []uint16       // those allowed elsewhere
	plain   bool           // without TLS, which is for the operator's own networks only
}

// check says what is wrong with an address.
func (g guard) check(at netip.AddrPort) error {
	// A zone would keep the address out of every prefix.
	addr := at.Addr().WithZone("")
	if within(g.vouched, addr) {
		return nil
	}
	switch {
	case !addr.IsValid() || within(denied, addr):
		return fmt.Errorf("the address %s is not a public one", addr)
	case g.plain:
		return fmt.Errorf("the address %s may only be called by https", addr)
	case !slices.Contains(g.ports, at.Port()):
		return fmt.Errorf("the port %d is not allowed", at.Port())
	}
	return nil
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}
