package snapshot

import (
	"fmt"
	"net/netip"
)

// ikePorts are the ports of an egress IP that endpoints may send to before any
// client did (RFC 7296 section 2.23).
var ikePorts = [...]uint16{500, 4500}

// claim is a socket that the snapshot asks for.
type claim struct {
	path string
	at   netip.AddrPort
}

// sockets judges that nothing asks for a socket that something else has, neither
// as this machine binds it nor as the world sees it.
func (j *judge) sockets() {
	var bound, seen claims
	take := func(path string, bind, public netip.AddrPort) (ok bool) {
		if other, taken := bound.take(path+".bind", bind); taken {
			j.refuse(path, bind, "an address and port of its own", "%s has %v already; use another address or port", other.path, other.at)
			return false
		}
		if other, taken := seen.take(path+".public", public); taken {
			j.refuse(path, public, "a public address and port of its own", "%s has %v already; clients could not tell the two apart", other.path, other.at)
			return false
		}
		return true
	}
	for i, o := range j.PoP.Overlay {
		take(fmt.Sprintf("pop.overlay[%d]", i), o.Bind, o.Public)
	}
	for i, p := range j.Passthroughs {
		if bind, public, ok := j.PassthroughAt(p); ok {
			take(fmt.Sprintf("passthroughs[%d]", i), bind, public)
		}
	}
	for i, l := range j.Listeners {
		for k, a := range l.Addresses {
			if a.Bind.IsUnspecified() {
				continue // refused already
			}
			path := fmt.Sprintf("listeners[%d].addresses[%d]", i, k)
			for _, port := range distinct(l.Ports) {
				if !take(path, netip.AddrPortFrom(a.Bind, port), netip.AddrPortFrom(a.Public, port)) {
					break // the other ports most likely clash too; once is enough
				}
			}
		}
	}
	egresses := map[Address]bool{} // groups may share one
	for i, g := range j.EndpointGroups {
		if g.PoP != j.PoP.Name || egresses[g.EgressIP] || g.EgressIP.Bind.IsUnspecified() {
			continue
		}
		egresses[g.EgressIP] = true
		for _, port := range ikePorts {
			if !take(fmt.Sprintf("endpoint_groups[%d].egress_ip", i), netip.AddrPortFrom(g.EgressIP.Bind, port), netip.AddrPortFrom(g.EgressIP.Public, port)) {
				break
			}
		}
	}
}

// claims finds sockets that clash: equal ones, and those on the same port where
// one is bound to every address of the family.
type claims struct {
	exact map[netip.AddrPort]claim
	all   map[netip.AddrPort]claim // key: the unspecified address, and port
	any   map[netip.AddrPort]claim // first claim of each family and port, keyed likewise
}

// take records a claim, or returns the one that it clashes with.
func (c *claims) take(path string, at netip.AddrPort) (other claim, taken bool) {
	if !at.IsValid() || at.Port() == 0 {
		return claim{}, false
	}
	if c.exact == nil {
		c.exact, c.all, c.any = map[netip.AddrPort]claim{}, map[netip.AddrPort]claim{}, map[netip.AddrPort]claim{}
	}
	everyone := netip.AddrPortFrom(unspecified(at.Addr()), at.Port())
	if other, taken = c.exact[at]; taken {
		return other, true
	}
	if other, taken = c.all[everyone]; taken {
		return other, true
	}
	mine := claim{path: path, at: at}
	if at.Addr().IsUnspecified() {
		if other, taken = c.any[everyone]; taken {
			return other, true
		}
		c.all[everyone] = mine
	}
	c.exact[at] = mine
	if _, ok := c.any[everyone]; !ok {
		c.any[everyone] = mine
	}
	return claim{}, false
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Unmap().Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func distinct(ports []uint16) []uint16 {
	seen := map[uint16]bool{}
	var once []uint16
	for _, p := range ports {
		if !seen[p] {
			seen[p] = true
			once = append(once, p)
		}
	}
	return once
}
