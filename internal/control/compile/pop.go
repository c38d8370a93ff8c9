package compile

import (
	"slices"
	"strings"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// segments gives every PoP every other as a peer: which of them is best is for
// PoPs to measure.
func (c *compiler) segments(m *Memo) {
	for i, p := range c.pops {
		c.number[p.Name] = i
	}
	told := links(c.pops)
	if slices.EqualFunc(m.told, told, link.equal) && m.peers != nil {
		c.peers, c.wired = m.peers, m.wired
		return
	}
	c.wired = make([][]bool, len(c.pops))
	for i, p := range c.pops {
		c.wired[i] = make([]bool, len(c.pops))
		peers := make([]snapshot.Peer, 0, len(c.pops)-1)
		for k, other := range c.pops {
			if k == i {
				continue
			}
			wires := wiresBetween(p, other)
			c.wired[i][k] = len(wires) > 0
			peers = append(peers, snapshot.Peer{Name: other.Name, Label: snapshot.Label(other.Given.Label), PublicKey: other.PublicKey, Wires: wires})
		}
		c.peers[p.Name] = peers
	}
	m.told, m.peers, m.wired = told, c.peers, c.wired
}

// ways are the candidates of the route between two PoPs; none when they cannot
// reach one another. They are worked out once.
func (c *compiler) ways(from, to string) [][]string {
	pair := [2]string{from, to}
	list, known := c.candidate[pair]
	if !known {
		list = c.candidates(c.number[from], c.number[to])
		c.candidate[pair] = list
	}
	return list
}

// reaches reports whether packets of PoP from can get to PoP to, and back.
func (c *compiler) reaches(from, to string) bool {
	return from == to || len(c.ways(from, to)) > 0 && len(c.ways(to, from)) > 0
}

// connect sees that two PoPs have routes to one another, in both directions.
// PoPs without traffic between them need none beyond the direct one that
// snapshots have by default.
func (c *compiler) connect(from, to string) {
	if from == to {
		return
	}
	c.routed[[2]string{from, to}], c.routed[[2]string{to, from}] = true, true
}

// routesOf are the routes of one PoP, in the order of names.
func (c *compiler) routesOf(p *resource.PoP) []snapshot.Route {
	var routes []snapshot.Route
	for _, to := range c.pops {
		if c.routed[[2]string{p.Name, to.Name}] {
			routes = append(routes, snapshot.Route{To: to.Name, Policy: snapshot.Measured, Candidates: c.candidatesWith(c.throughsOf(c.number[p.Name], c.number[to.Name]), c.ways(p.Name, to.Name))})
		}
	}
	return routes
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
func (c *compiler) candidates(from, to int) [][]string {
	var list [][]string
	if c.wired[from][to] {
		list = append(list, []string{})
	}
	relay := func(r int) bool { return r != from && r != to && c.pops[r].CanRelay() }
	for r, p := range c.pops {
		if len(list) < snapshot.MaxCandidates && relay(r) && c.wired[from][r] && c.wired[r][to] {
			list = append(list, []string{p.Name})
		}
	}
	if len(list) > 0 {
		return list
	}
	for r, p := range c.pops {
		for q, next := range c.pops {
			if len(list) < snapshot.MaxCandidates && r != q && relay(r) && relay(q) && c.wired[from][r] && c.wired[r][q] && c.wired[q][to] {
				list = append(list, []string{p.Name, next.Name})
			}
		}
	}
	return list
}

// snapshot puts together what one PoP is told.
func (c *compiler) snapshot(m *Memo, p *resource.PoP) snapshot.Snapshot {
	s := snapshot.Snapshot{
		Format: snapshot.Format, Version: uint64(c.Revision),
		PoP:   snapshot.PoP{Name: p.Name, Region: p.Region, Label: snapshot.Label(p.Given.Label), PublicKey: p.PublicKey},
		Peers: c.withThroughs(m, p, c.peers[p.Name]), Routes: c.routesOf(p), Passthroughs: c.passes[p.Name], Listeners: c.listens[p.Name], Allowances: c.allows[p.Name],
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
