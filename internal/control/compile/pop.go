package compile

import (
	"slices"
	"strings"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// ways works out which PoPs have wires between them, and the routes over them.
// Every PoP knows every other: which of them is best is for PoPs to measure.
func (c *compiler) ways() {
	wired := map[string]map[string]bool{}
	for _, p := range c.pops {
		wired[p.Name] = map[string]bool{}
		for _, other := range c.pops {
			if other == p {
				continue
			}
			wires := wiresBetween(p, other)
			wired[p.Name][other.Name] = len(wires) > 0
			c.peers[p.Name] = append(c.peers[p.Name], snapshot.Peer{Name: other.Name, Label: snapshot.Label(other.Given.Label), PublicKey: other.PublicKey, Wires: wires})
		}
	}
	for _, p := range c.pops {
		c.reach[p.Name] = map[string]bool{p.Name: true}
		for _, to := range c.pops {
			if to == p {
				continue
			}
			candidates := c.candidates(p, to, wired)
			if len(candidates) == 0 {
				continue
			}
			c.reach[p.Name][to.Name] = true
			c.routes[p.Name] = append(c.routes[p.Name], snapshot.Route{To: to.Name, Policy: snapshot.Measured, Candidates: candidates})
		}
	}
}

// wiresBetween pairs the overlay addresses of two PoPs: those of the same
// carrier, and when no carrier is the same, each with each.
func wiresBetween(p, other *resource.PoP) []snapshot.Wire {
	var same, all []snapshot.Wire
	for _, mine := range p.Overlay {
		for _, theirs := range other.Overlay {
			if mine.Public.Addr().Is4() != theirs.Public.Addr().Is4() {
				continue
			}
			w := snapshot.Wire{Local: mine.Name, Remote: theirs.Public}
			all = append(all, w)
			if mine.Name == theirs.Name {
				same = append(same, w)
			}
		}
	}
	if len(same) > 0 {
		all = same
	}
	return all[:min(len(all), snapshot.MaxWires)]
}

// candidates are direct, where there are wires, then over each relay that both
// ends have wires to, then, when there is nothing else, over two.
func (c *compiler) candidates(p, to *resource.PoP, wired map[string]map[string]bool) [][]string {
	var list [][]string
	if wired[p.Name][to.Name] {
		list = append(list, []string{})
	}
	relay := func(r *resource.PoP) bool { return r != p && r != to && r.CanRelay() }
	for _, r := range c.pops {
		if relay(r) && wired[p.Name][r.Name] && wired[r.Name][to.Name] {
			list = append(list, []string{r.Name})
		}
	}
	if len(list) == 0 {
		for _, r := range c.pops {
			for _, q := range c.pops {
				if r != q && relay(r) && relay(q) && wired[p.Name][r.Name] && wired[r.Name][q.Name] && wired[q.Name][to.Name] {
					list = append(list, []string{r.Name, q.Name})
				}
			}
		}
	}
	return list[:min(len(list), snapshot.MaxCandidates)]
}

// snapshot puts together what one PoP is told.
func (c *compiler) snapshot(p *resource.PoP) snapshot.Snapshot {
	s := snapshot.Snapshot{
		Format: snapshot.Format, Version: uint64(c.Revision),
		PoP:   snapshot.PoP{Name: p.Name, Region: p.Region, Label: snapshot.Label(p.Given.Label), PublicKey: p.PublicKey},
		Peers: c.peers[p.Name], Routes: c.routes[p.Name], Listeners: c.listens[p.Name], Allowances: c.allows[p.Name],
		Limits: snapshot.Limits{Sessions: p.Capacity.Sessions},
	}
	for _, o := range p.Overlay {
		s.PoP.Overlay = append(s.PoP.Overlay, snapshot.Overlay{Name: o.Name, Bind: o.Bind, Public: o.Public, MTU: o.MTU})
	}
	groups := append(slices.Clone(c.leaving[p.Name]), c.sendsTo[p.Name]...)
	slices.SortFunc(groups, func(a, b *resource.EndpointGroup) int { return strings.Compare(a.Name, b.Name) })
	for _, g := range slices.Compact(groups) {
		s.EndpointGroups = append(s.EndpointGroups, c.group(p, g))
	}
	return s
}

// group is an endpoint group as PoP p is told of it.
func (c *compiler) group(p *resource.PoP, g *resource.EndpointGroup) snapshot.EndpointGroup {
	sg := snapshot.EndpointGroup{
		Name: g.Name, PoP: g.Given.PoP, EgressIP: snapshot.Address{Bind: g.Given.Bind, Public: g.Given.IP}, Endpoints: c.endpoint[g.Name],
		TrafficPercentage: g.TrafficPercentage, Health: g.HealthCheck,
	}
	if allowance := c.crosses[p.Name][g.Name]; allowance != "" {
		sg.Allowances = []string{allowance}
	}
	for _, in := range g.Initiate {
		set := c.sets[in.IPSet]
		listed := slices.ContainsFunc(sg.Endpoints, func(e snapshot.Endpoint) bool { return e.Address == in.Endpoint })
		if set == nil || !c.used[g.Name][set.Given.PoP] || !listed {
			continue // the ingress PoP does not send there, so it would not take it either
		}
		sg.Initiate = append(sg.Initiate, snapshot.Initiate{Endpoint: in.Endpoint, Client: in.Client, Ingress: set.Given.PoP, Accelerated: set.Given.Bind, Listener: g.Listener})
	}
	return sg
}
