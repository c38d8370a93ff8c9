package snapshot

import (
	"cmp"
	"slices"
)

// What a field that is left out means. Those not here are in snapshot.go.
const (
	DefaultMTU               = 1500   // bytes
	DefaultCap               = 3.0    // packets sent per packet carried
	DefaultWeight            = 128    // of an endpoint
	DefaultSessions          = 200000 // confirmed, in all
	DefaultUnconfirmed       = 4096
	DefaultSessionsPerPrefix = 1024
	DefaultHandshakesPerSec  = 50
	DefaultTrafficPercentage = 100
)

// WithDefaults returns a copy of s in which every field that was left out has
// its default, except those whose default is only known while running
// (Repair.Budget) and those that must be given. It shares no memory with s that
// either may change. Filling twice is the same as filling once.
func WithDefaults(s Snapshot) Snapshot {
	s.PoP.Overlay = slices.Clone(s.PoP.Overlay)
	for i := range s.PoP.Overlay {
		o := &s.PoP.Overlay[i]
		o.Public = cmp.Or(o.Public, o.Bind)
		o.MTU = cmp.Or(o.MTU, DefaultMTU)
	}
	s.Peers = slices.Clone(s.Peers)
	for i := range s.Peers {
		p := &s.Peers[i]
		p.Wires = slices.Clone(p.Wires)
		p.Through = slices.Clone(p.Through)
		for k := range p.Through {
			p.Through[k].Wires = slices.Clone(p.Through[k].Wires)
		}
		p.Repair.Cap = cmp.Or(p.Repair.Cap, DefaultCap)
	}
	s.Routes = routesWithDefaults(s)
	s.Listeners = slices.Clone(s.Listeners)
	for i := range s.Listeners {
		s.Listeners[i] = listenerWithDefaults(s.Listeners[i])
	}
	s.EndpointGroups = slices.Clone(s.EndpointGroups)
	for i := range s.EndpointGroups {
		s.EndpointGroups[i] = groupWithDefaults(s.EndpointGroups[i])
	}
	s.Passthroughs = slices.Clone(s.Passthroughs)
	s.Allowances = slices.Clone(s.Allowances)
	for i := range s.Allowances {
		s.Allowances[i] = s.Allowances[i].withDefaults()
	}
	s.Limits.Sessions = cmp.Or(s.Limits.Sessions, DefaultSessions)
	s.Limits.Unconfirmed = cmp.Or(s.Limits.Unconfirmed, DefaultUnconfirmed)
	s.Limits.SessionsPerPrefix = cmp.Or(s.Limits.SessionsPerPrefix, DefaultSessionsPerPrefix)
	s.Limits.HandshakesPerSec = cmp.Or(s.Limits.HandshakesPerSec, DefaultHandshakesPerSec)
	return s
}

// routesWithDefaults completes the routes that are given, and adds the direct
// one to each peer that has wires and no route.
func routesWithDefaults(s Snapshot) []Route {
	routes := slices.Clone(s.Routes)
	given := make(map[string]bool, max(len(routes), len(s.Peers)))
	for i := range routes {
		r := &routes[i]
		given[r.To] = true
		r.Policy = cmp.Or(r.Policy, Measured)
		if len(r.Candidates) == 0 {
			r.Candidates = defaultCandidates(s.Peers, r.To)
			continue
		}
		r.Candidates = slices.Clone(r.Candidates)
		for j := range r.Candidates {
			r.Candidates[j] = slices.Clone(r.Candidates[j])
		}
	}
	routes = slices.Grow(routes, len(s.Peers))
	for _, p := range s.Peers {
		if len(p.Wires) > 0 && !given[p.Name] {
			given[p.Name] = true
			routes = append(routes, Route{To: p.Name, Policy: Measured, Candidates: [][]string{{}}})
		}
	}
	return routes
}

// defaultCandidates is direct, where there are wires, through each relay that the peer
// has a segment through, and then one relay over every other peer with wires, in the
// order they are listed.
func defaultCandidates(peers []Peer, to string) [][]string {
	var direct, relayed [][]string
	for _, p := range peers {
		switch {
		case p.Name == to:
			if len(p.Wires) > 0 {
				direct = append(direct, []string{})
			}
			for _, t := range p.Through {
				direct = append(direct, []string{ThroughPrefix + t.Relay})
			}
		case len(p.Wires) > 0:
			relayed = append(relayed, []string{p.Name})
		}
	}
	return append(direct, relayed...)
}

func listenerWithDefaults(l Listener) Listener {
	l.Addresses = slices.Clone(l.Addresses)
	for i := range l.Addresses {
		l.Addresses[i] = l.Addresses[i].withDefaults()
	}
	l.Ports = slices.Clone(l.Ports)
	l.Allow = slices.Clone(l.Allow)
	l.Deny = slices.Clone(l.Deny)
	l.Failover = slices.Clone(l.Failover)
	l.Allowances = slices.Clone(l.Allowances)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, DefaultIdle)
	l.Repair = cmp.Or(l.Repair, Balanced)
	l.Order = cmp.Or(l.Order, Ordered)
	l.ReplayWindow = cmp.Or(l.ReplayWindow, ReplayWin)
	l.Admission = cmp.Or(l.Admission, AdmitAuto)
	return l
}

func groupWithDefaults(g EndpointGroup) EndpointGroup {
	g.EgressIP = g.EgressIP.withDefaults()
	g.Endpoints = slices.Clone(g.Endpoints)
	for i := range g.Endpoints {
		weight := DefaultWeight
		if given := g.Endpoints[i].Weight; given != nil {
			weight = *given
		}
		g.Endpoints[i].Weight = &weight
	}
	g.Initiate = slices.Clone(g.Initiate)
	g.Allowances = slices.Clone(g.Allowances)
	percentage := DefaultTrafficPercentage
	if given := g.TrafficPercentage; given != nil {
		percentage = *given
	}
	g.TrafficPercentage = &percentage
	if g.Health != nil {
		health := g.Health.WithDefaults()
		g.Health = &health
	}
	return g
}

func (a Address) withDefaults() Address {
	if !a.Public.IsValid() {
		a.Public = a.Bind
	}
	return a
}
