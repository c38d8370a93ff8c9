package service

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// seenByPoPs is what PoPs see of a connection that goes through an accelerator:
// the sessions between its two ends, wherever they are reported.
func (v *view) seenByPoPs(c *resource.IPsecConnection, live func(pop string) []byte) (list []vpn.Finding, sources []string) {
	if c.Accelerator == "" || live == nil {
		return nil, nil
	}
	clients, endpoints := v.endsOf(c)
	var ingress, egress *report.IPsec
	for i := range v.World.PoPs {
		pop := v.World.PoPs[i].Name
		var told report.PoP
		text := live(pop)
		if text == nil || json.Unmarshal(text, &told) != nil {
			continue
		}
		for k := range told.Sessions.List {
			s := &told.Sessions.List[k]
			l := lookup[resource.Listener](v.Compiled, s.Listener)
			of := s.Part == "egress" || l != nil && l.Accelerator == c.Accelerator
			if !of || s.IPsec == nil || !slices.Contains(clients, s.Client.Addr()) || s.Endpoint.IsValid() && len(endpoints) > 0 && !slices.Contains(endpoints, s.Endpoint.Addr()) {
				continue
			}
			sources = append(sources, fmt.Sprintf("PoP %q: what passes between %v and %v", pop, s.Client.Addr(), s.Endpoint.Addr()))
			if s.Part != "egress" {
				ingress = s.IPsec
			}
			if s.Part != "ingress" {
				egress = s.IPsec
			}
			for _, f := range onTheWire(s.IPsec) {
				f.Connection, f.At = c.Name, told.At
				f.Source = fmt.Sprintf("PoP %s, association %s: %s", pop, s.Association, f.Source)
				list = append(list, f)
			}
			break // the sessions of an association all tell the same
		}
	}
	for _, f := range lossOn(ingress, egress) {
		f.Connection = c.Name
		list = append(list, f)
	}
	if sources == nil {
		sources = []string{"no PoP has told of packets between its ends"}
	}
	return list, sources
}

// endsOf are the addresses of a connection's ends as an accelerator sees them.
func (v *view) endsOf(c *resource.IPsecConnection) (clients, endpoints []netip.Addr) {
	var here, there []netip.Addr
	if g := lookup[resource.VPNGateway](v.Compiled, c.VPNGateway); g != nil {
		for _, a := range g.Addresses {
			here = append(here, a.Bind, a.Public)
		}
	}
	around := v.World.Around()
	for i := range c.Tunnels {
		g := around.Gateway(c.VPNGateway)
		if g == nil {
			continue
		}
		if p, _, _ := around.Peer(c, &c.Tunnels[i], g); p.Own.IsValid() {
			there = append(there, p.Own)
		}
	}
	if c.Side == resource.EndpointSide {
		return there, here
	}
	return here, there
}
