package dataplane

import (
	"net/netip"
	"time"

	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
)

// Where clients are sent, by what is known of endpoints:
//
//   - A client stays with the endpoint of its association until that is lost:
//     known to be down, or behind a PoP that cannot be reached.
//   - Otherwise it goes to the first of the listener's groups that has an
//     endpoint which is not lost and that takes it by its percentage; when none
//     takes it, to the first that has one at all and a percentage above zero.
//     Within a group its address chooses (group.choose).
//   - When an endpoint is lost and there is a better place, all sessions of the
//     clients that belong to it are closed at once, at both ends; their next
//     packets open them anew. When it comes back it gets new clients, and keeps
//     none of those that went: their tunnels stand elsewhere by then.
//   - When everything is lost nobody is moved, and new clients go to what was
//     lost last: a check that is wrong must not cut everyone off.

// lost reports whether new clients of an endpoint, and those that it has,
// should go elsewhere.
func (e *Engine) lost(now mono.Time, g *group, a netip.Addr) bool {
	_, lost := e.lostSince(now, g, a)
	return lost
}

func (e *Engine) lostSince(now mono.Time, g *group, a netip.Addr) (mono.Time, bool) {
	if g.reach.lost {
		return g.reach.missing, true
	}
	if h, known := e.healthOf(now, g, a); known && !h.up {
		return h.since, true
	}
	return 0, false
}

// endpointFor is where a listener's client goes. ok is false when its groups
// have no endpoint with a weight at all.
func (e *Engine) endpointFor(now mono.Time, l *listener, client netip.Addr) (in *group, endpoint netip.Addr, ok bool) {
	for _, g := range l.groups {
		// An endpoint that is drained keeps the clients it has, all their flows together.
		a := e.table.Association(e.plan.self, client, g.name)
		if a == nil || !g.lists(a.Endpoint()) {
			continue
		}
		if !e.lost(now, g, a.Endpoint()) {
			return g, a.Endpoint(), true
		}
		if !ok {
			in, endpoint, ok = g, a.Endpoint(), true
		}
	}
	if g, a, well := e.wellPlace(now, l, client); well {
		return g, a, true
	}
	if ok {
		return in, endpoint, true
	}
	if in, endpoint, ok = e.lastLost(now, l, client); ok {
		l.openedBlind++
	}
	return in, endpoint, ok
}

// wellPlace is the endpoint that a new client goes to, among those not lost.
func (e *Engine) wellPlace(now mono.Time, l *listener, client netip.Addr) (*group, netip.Addr, bool) {
	for _, strict := range [...]bool{true, false} {
		for _, g := range l.groups {
			if strict && !g.takes(client) || g.percentage() == 0 {
				continue
			}
			if a, ok := g.choose(client, func(a netip.Addr) bool { return !e.lost(now, g, a) }); ok {
				return g, a, true
			}
		}
	}
	// Nobody wants it: the listener's own group, by percentage or not.
	a, ok := l.group.choose(client, func(a netip.Addr) bool { return !e.lost(now, l.group, a) })
	return l.group, a, ok
}

// lostAtOnce is within which time endpoints are taken to have been lost by one
// cause.
const lostAtOnce = 30 * time.Second

// lastLost is where a new client goes when everything is lost: to the endpoints
// that were lost last, as they were the last that worked.
func (e *Engine) lastLost(now mono.Time, l *listener, client netip.Addr) (*group, netip.Addr, bool) {
	last := mono.Time(0)
	for _, g := range l.groups {
		for _, ep := range g.Endpoints {
			if since, lost := e.lostSince(now, g, ep.Address); lost && weight(ep) > 0 {
				last = max(last, since)
			}
		}
	}
	for _, g := range l.groups {
		if a, ok := g.choose(client, func(a netip.Addr) bool {
			since, _ := e.lostSince(now, g, a)
			return last.Sub(since) <= lostAtOnce
		}); ok {
			return g, a, true
		}
	}
	return nil, netip.Addr{}, false
}

// failover acts on what is known of endpoints, when that has changed: it closes
// the sessions of clients that have a better place, and notes where nothing is left.
func (e *Engine) failover(now mono.Time) {
	if !e.lossChanged(now) {
		return
	}
	move := false
	for _, l := range e.plan.listeners {
		some, all := e.lostOf(now, l)
		move = move || some && !all
		switch {
		case !all:
			if l.lostSince != 0 {
				e.cfg.Log.Info("an endpoint is well again", "listener", l.text)
			}
			l.lostSince = 0
		case l.lostSince == 0:
			l.lostSince = now
			e.cfg.Log.Warn("every endpoint is lost; traffic goes on to the last", "listener", l.text)
		}
	}
	if move {
		e.moveClients(now)
	}
}

// lossChanged reports whether an endpoint was lost, or is no longer, or the plan
// has changed, since it was last asked.
func (e *Engine) lossChanged(now mono.Time) (changed bool) {
	changed, e.replanned = e.replanned, false
	for _, g := range e.plan.groups {
		for _, ep := range g.Endpoints {
			if lost := e.lost(now, g, ep.Address); lost != g.wasLost[ep.Address] {
				g.wasLost[ep.Address], changed = lost, true
			}
		}
	}
	return changed
}

// lostOf reports whether any of a listener's endpoints is lost, and whether all
// of those that take clients are.
func (e *Engine) lostOf(now mono.Time, l *listener) (some, all bool) {
	takers, gone := 0, 0
	for _, g := range l.groups {
		for _, ep := range g.Endpoints {
			lost := e.lost(now, g, ep.Address)
			some = some || lost
			if weight(ep) == 0 {
				continue
			}
			takers++
			if lost {
				gone++
			}
		}
	}
	return some, takers > 0 && gone == takers
}

// moveClients closes the sessions of clients whose endpoint is lost and that can
// have another.
func (e *Engine) moveClients(now mono.Time) {
	var end []*session.Session
	e.table.All(func(s *session.Session) bool {
		if s.Role&session.Ingress == 0 {
			return true
		}
		g, sock := e.plan.groups[s.Group], e.byAddr[s.Accelerated]
		if g == nil || sock == nil || sock.listener == nil || !e.lost(now, g, s.Endpoint.Addr()) {
			return true
		}
		if _, _, ok := e.wellPlace(now, sock.listener, s.Client().Addr()); ok {
			end = append(end, s)
			sock.listener.moved++
		}
		return true
	})
	for _, s := range end {
		e.tellClosed(now, s)
		e.end(s, session.EndpointLost)
	}
}

// claimed reports whether the client that an endpoint would begin towards has
// gone to another that is known to be well.
func (e *Engine) claimed(now mono.Time, c callee, port uint16, endpoint netip.Addr) bool {
	accelerated := netip.AddrPortFrom(c.accelerated, port)
	s := e.table.ByFlow(c.ingress, netip.AddrPortFrom(c.client, port), accelerated)
	if s != nil && s.Proven() && s.Endpoint.Addr() != endpoint {
		if g := e.plan.groups[s.Group]; g != nil && g.pop == e.plan.self {
			if h, known := e.healthOf(now, g, s.Endpoint.Addr()); known && h.up {
				return true
			}
		}
	}
	sock := e.byAddr[accelerated]
	return c.ingress == e.plan.self && sock != nil && sock.listener != nil && e.belongsElsewhere(now, sock.listener, c.client, endpoint)
}

// belongsElsewhere reports whether a proven client of the listener has an
// association with another endpoint that is known to be well.
func (e *Engine) belongsElsewhere(now mono.Time, l *listener, client, endpoint netip.Addr) bool {
	for _, g := range l.groups {
		a := e.table.Association(e.plan.self, client, g.name)
		if a == nil || !a.Proven() || a.Endpoint() == endpoint {
			continue
		}
		if h, known := e.healthOf(now, g, a.Endpoint()); known && h.up && !g.reach.lost {
			return true
		}
	}
	return false
}
