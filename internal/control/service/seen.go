package service

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/report"
	"causeway/internal/resource"
	"causeway/internal/vpn"
	"causeway/internal/vpn/diagnose"
)

// seenByPoPs is what PoPs see of a connection that goes through an accelerator:
// the sessions between the ends of each tunnel, wherever they are reported. Live
// returns a PoP's report, nil where it is not known.
func (v *view) seenByPoPs(c *resource.IPsecConnection, live func(pop string) []byte) (list []vpn.Finding, sources []string) {
	if c.Accelerator == "" || live == nil {
		return nil, nil
	}
	told := map[string]report.PoP{}
	for i := range v.World.PoPs {
		var p report.PoP
		if text := live(v.World.PoPs[i].Name); text != nil && json.Unmarshal(text, &p) == nil {
			told[v.World.PoPs[i].Name] = p
		}
	}
	for i := range c.Tunnels {
		if !c.Accelerated(&c.Tunnels[i]) {
			continue
		}
		found, from := v.tunnelSeen(c, i, told)
		list, sources = append(list, found...), append(sources, from...)
	}
	if sources == nil {
		sources = []string{"no PoP has told of packets between its ends"}
	}
	return list, sources
}

// tunnelSeen is what PoPs see of the i-th tunnel.
func (v *view) tunnelSeen(c *resource.IPsecConnection, i int, told map[string]report.PoP) ([]vpn.Finding, []string) {
	client, endpoint := v.endsOf(c, &c.Tunnels[i])
	var ingress, egress *report.IPsec
	var sources []string
	o := diagnose.Observation{}
	for k := range v.World.PoPs {
		pop := v.World.PoPs[k].Name
		p := told[pop]
		at := slices.IndexFunc(p.Sessions.List, func(s report.Session) bool { return v.isBetween(&s, c.Accelerator, client, endpoint) })
		if at < 0 {
			continue
		}
		s := p.Sessions.List[at] // all sessions of an association tell the same
		if s.Part != "egress" {
			ingress = s.IPsec
		}
		if s.Part != "ingress" {
			egress = s.IPsec
		}
		if p.At.After(o.At) {
			o.At = p.At
		}
		sources = append(sources, fmt.Sprintf("PoP %q: what passes between %v and %v", pop, s.Client.Addr(), endpoint))
	}
	switch {
	case ingress == nil && egress == nil:
		return nil, nil
	case ingress == nil:
		ingress = egress
	case egress == nil:
		egress = ingress
	}
	at := o.At
	o = diagnose.Seen(*ingress, *egress)
	o.At, o.Connection, o.Tunnel, o.Window = at, c.Name, c.TunnelName(i), c.Tunnels[i].Window
	return diagnose.Wire(o), sources
}

// isBetween reports whether a session is one of the ends of a tunnel.
func (v *view) isBetween(s *report.Session, accelerator string, client, endpoint netip.Addr) bool {
	if s.IPsec == nil || s.Client.Addr() != client || s.Endpoint.IsValid() && endpoint.IsValid() && s.Endpoint.Addr() != endpoint {
		return false
	}
	l := lookup[resource.Listener](v.Compiled, s.Listener)
	return l != nil && l.Accelerator == accelerator || l == nil && s.Part == "egress"
}

// endsOf are the addresses of a tunnel's ends as an accelerator sees them;
// invalid where that is not known.
func (v *view) endsOf(c *resource.IPsecConnection, t *resource.IPsecTunnel) (client, endpoint netip.Addr) {
	around := v.World.Around()
	g := around.Gateway(c.VPNGateway)
	if g == nil {
		return client, endpoint
	}
	_, here := g.PublicOf(t.Address)
	p, _, _ := around.Peer(c, t, g)
	if c.Side == resource.EndpointSide {
		return p.Own, here
	}
	return here, p.Own
}
