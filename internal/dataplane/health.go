package dataplane

import (
	"fmt"
	"net/netip"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// How endpoints are: their egress PoP asks them (popagent/health) and tells
// every other PoP; what an ingress makes of it stands in failover.go.

const (
	healthEvery = time.Second
	// healthAge is how old what an egress said may be; an endpoint of which
	// nothing newer is known counts as well.
	healthAge = 10 * time.Second
	// reachPatience is how long there must have been no way to an egress before
	// its endpoints count as lost: ways come and go with the weather, while a
	// client that is moved has to build its tunnel anew.
	reachPatience = 10 * time.Second
	// healthPerFrame is how many endpoints one frame tells of: it fits a datagram.
	healthPerFrame = 32
)

// endpointHealth is what is known of one endpoint.
type endpointHealth struct {
	up    bool
	rtt   time.Duration // of the newest answer
	since mono.Time     // when this PoP learnt that it is up, or down
	at    mono.Time     // when it was last said
	seq   uint64        // of the frame that said it; 0 for an endpoint of our own
}

// reach is whether a group's egress PoP can be sent to.
type reach struct {
	missing mono.Time // since when there is no way; zero: there is one
	lost    bool      // for longer than reachPatience
}

// SetEndpointHealth takes in what asking an endpoint has shown: one of a group
// that leaves here. A change is told to the other PoPs at once.
func (e *Engine) SetEndpointHealth(now mono.Time, groupName string, endpoint netip.Addr, up bool, rtt time.Duration) error {
	if e.plan == nil {
		return fmt.Errorf("health of %v: no snapshot was applied yet", endpoint)
	}
	g := e.plan.groups[session.NameOf(groupName)]
	if g == nil || g.pop != e.plan.self || !g.lists(endpoint) {
		return fmt.Errorf("health of %v: endpoint group %q does not leave here, or does not have it", endpoint, groupName)
	}
	if g.learn(now, endpoint, endpointHealth{up: up, rtt: rtt}) {
		e.dueHealth(now)
	}
	return nil
}

// learn takes in what was said of an endpoint and reports whether it is news.
func (g *group) learn(now mono.Time, a netip.Addr, h endpointHealth) (news bool) {
	old, known := g.health[a]
	h.at, h.since = now, old.since
	if news = !known || old.up != h.up; news {
		h.since = now
	}
	g.health[a] = h
	return news
}

// keepHealth goes on with what was known of the same endpoints before, unless
// our own are no longer asked.
func (g *group) keepHealth(old *group, self snapshot.Label) {
	if old.pop != g.pop {
		return
	}
	g.reach = old.reach
	if g.pop == self && g.Health == nil {
		return
	}
	for a, h := range old.health {
		if g.lists(a) {
			g.health[a] = h
		}
	}
}

// dueHealth tells the other PoPs how our endpoints are, and acts on what is
// known here.
func (e *Engine) dueHealth(now mono.Time) {
	e.healthAt = now.Add(healthEvery)
	for _, g := range e.plan.groups {
		e.lookForWay(now, g)
	}
	e.tellHealth(now)
	e.failover(now)
}

func (e *Engine) lookForWay(now mono.Time, g *group) {
	if w := e.plan.ways[g.pop]; g.pop == e.plan.self || w != nil && w.alive() {
		g.reach = reach{}
		return
	}
	if g.reach.missing == 0 {
		g.reach.missing = now
	}
	g.reach.lost = now.Sub(g.reach.missing) >= reachPatience
}

// tellHealth sends Health frames to every PoP that we have a way to.
func (e *Engine) tellHealth(now mono.Time) {
	buf, n := e.healthBuf[:0], 0
	for _, sg := range e.plan.snap.EndpointGroups {
		g := e.plan.groups[session.NameOf(sg.Name)]
		if g.pop != e.plan.self {
			continue
		}
		for _, ep := range g.Endpoints {
			h, known := g.health[ep.Address]
			if !known {
				continue
			}
			one := frame.EndpointHealth{Group: uint64(g.name), Address: ep.Address, Up: h.up, RTT: h.rtt}
			buf = one.Append(buf)
			if n++; n == healthPerFrame {
				e.sendHealth(now, buf)
				buf, n = buf[:0], 0
			}
		}
	}
	if n > 0 {
		e.sendHealth(now, buf)
	}
	e.healthBuf = buf
}

func (e *Engine) sendHealth(now mono.Time, payload []byte) {
	for _, w := range e.plan.sortedWays() {
		if !w.alive() {
			continue
		}
		e.route(now, w.to.Label, frame.Header{
			Kind: frame.Health, Flags: frame.Urgent | frame.Once, Hops: frame.MaxHops, Origin: e.plan.self, Session: e.healthSeq(now),
		}, nil, payload)
	}
}

// healthSeq is a number that grows with time, and beyond the life of this
// process by the clock of the machine.
func (e *Engine) healthSeq(now mono.Time) uint64 {
	if e.healthBase == 0 {
		e.healthBase = e.cfg.Wall().UnixNano() - int64(now)
	}
	return uint64(e.healthBase + int64(now))
}

// hearHealth takes in another PoP's word on the endpoints behind it. What it
// says of others' endpoints, or of endpoints that our snapshot does not have, is
// passed over.
func (e *Engine) hearHealth(now mono.Time, h *frame.Header, b []byte) {
	news := false
	for len(b) > 0 {
		one, rest, ok := frame.ParseEndpointHealth(b)
		if !ok {
			e.drops.add(DropMalformed)
			break
		}
		b = rest
		g := e.plan.groups[session.Name(one.Group)]
		if g == nil || g.pop != h.Origin || g.pop == e.plan.self || !g.lists(one.Address) {
			continue
		}
		if old, known := g.health[one.Address]; known && h.Session <= old.seq && now.Sub(old.at) <= healthAge {
			continue // overtaken by a newer one
		}
		if g.learn(now, one.Address, endpointHealth{up: one.Up, rtt: one.RTT, seq: h.Session}) {
			news = true
		}
	}
	if news {
		e.failover(now)
	}
}

// healthOf is what is known of an endpoint; known is false where nobody has said
// anything of late.
func (e *Engine) healthOf(now mono.Time, g *group, a netip.Addr) (h endpointHealth, known bool) {
	h, known = g.health[a]
	if known && g.pop != e.plan.self && now.Sub(h.at) > healthAge {
		known = false
	}
	return h, known
}
