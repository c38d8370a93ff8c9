package service

import (
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// bothEnds compares c with the connection that is its other end, where that is a
// VPN gateway of ours too: what does not match is known, then, and need not be
// concluded from a log. The source is empty when there is none.
func (s *Service) bothEnds(v *view, c *resource.IPsecConnection) (list []vpn.Finding, source string, err error) {
	other := v.otherEnd(c)
	if other == nil {
		return nil, "", nil
	}
	around := v.World.Around()
	here, refusal, _ := around.Connection(c)
	there, refusal2, _ := around.Connection(other)
	if refusal != "" || refusal2 != "" {
		return nil, "", nil
	}
	for _, end := range []*vpn.Connection{&here, &there} {
		if err := s.openConnection(end); err != nil {
			return nil, "", err
		}
	}
	list = append(vpn.Mismatches(here, there), vpn.LintPair(here, there)...)
	for i := range list {
		list[i].Field = c.FieldOfBuilt(list[i].Field)
		list[i].Source = fmt.Sprintf("%s, which is its other end", resource.RefOf(other))
	}
	return list, fmt.Sprintf("%s, which is its other end", resource.RefOf(other)), nil
}

// otherEnd is the connection between the same two devices as the other one has
// it, or nil. Of several, one for the same networks is taken.
func (v *view) otherEnd(c *resource.IPsecConnection) *resource.IPsecConnection {
	ours, theirs := v.devices(c)
	var best *resource.IPsecConnection
	for i := range v.World.IPsecConnections {
		other := &v.World.IPsecConnections[i]
		if other.VPNGateway == c.VPNGateway || !other.IsEnabled() {
			continue
		}
		a, b := v.devices(other)
		faces := ours.IsValid() && theirs.IsValid() && a == theirs && b == ours
		if faces && (best == nil || slices.Equal(other.RemoteNetworks, v.localNetworks(c))) {
			best = other
		}
	}
	return best
}

// devices are the addresses of a connection's two devices as the world sees
// them, by its first tunnel.
func (v *view) devices(c *resource.IPsecConnection) (here, there netip.Addr) {
	g := lookup[resource.VPNGateway](v.Compiled, c.VPNGateway)
	if g == nil || len(c.Tunnels) == 0 {
		return here, there
	}
	_, here = g.PublicOf(c.Tunnels[0].Address)
	p, _, _ := v.World.Around().Peer(c, &c.Tunnels[0], g)
	return here, p.Own
}

func (v *view) localNetworks(c *resource.IPsecConnection) []netip.Prefix {
	if g := lookup[resource.VPNGateway](v.Compiled, c.VPNGateway); len(c.LocalNetworks) == 0 && g != nil {
		return g.Networks
	}
	return c.LocalNetworks
}
