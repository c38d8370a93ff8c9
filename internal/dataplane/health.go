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
	// healthSoon is how long a change waits for others: a PoP that loses its
	// uplink finds all of its endpoints down together.
	healthSoon = 10 * time.Millisecond
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
	bears bool          // it accepts cookies that it did not ask for, as its egress PoP says
	told  bool          // the other PoPs were told since it changed; of an endpoint of our own
}

// reach is whether a group's egress PoP can be sent to.
type reach struct {
	missing mono.Time // since when there is no way; zero: there is one
	lost    bool      // for longer than reachPatience
}

// SetEndpointHealth takes in what asking an endpoint has shown: one of a group
// that leaves here. A change is acted on, and told to the other PoPs, within healthSoon.
func (e *Engine) SetEndpointHealth(now mono.Time, groupName string, endpoint netip.Addr, up bool, rtt time.Duration) error {
	if e.plan == nil {
		return fmt.Errorf("health of %v: no snapshot was applied yet", endpoint)
	}
	g := e.plan.groups[session.NameOf(groupName)]
	if g == nil || g.pop != e.plan.self || !g.lists(endpoint) {
		return fmt.Errorf("health of %v: endpoint group %q does not leave here, or does not have it", endpoint, groupName)
	}
	if g.learn(now, endpoint, endpointHealth{up: up, rtt: rtt}) {
		e.healthAt = mono.Earliest(e.healthAt, now.Add(healthSoon))
	}
	return nil
}

// learn takes in what was said of an endpoint and reports whether it is news.
func (g *group) learn(now mono.Time, a netip.Addr, h endpointHealth) (news bool) {
	old, known := g.health[a]
	h.at, h.since, h.told = now, old.since, old.told
	if news = !known || old.up != h.up; news {
		h.since, h.told = now, false
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

// dueHealth tells the other PoPs how our endpoints are, all of them once a second
// and those that have changed in between, and acts on what is known here.
func (e *Engine) dueHealth(now mono.Time) {
	all := now >= e.healthAllAt
	if all {
		e.healthAllAt = now.Add(healthEvery)
	}
	e.healthAt = e.healthAllAt
	for _, g := range e.plan.groups {
		e.lookForWay(now, g)
	}
	e.tellHealth(now, all)
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

// tellHealth sends Health frames to every PoP that we have a way to: of all our
// endpoints, or of those that have changed.
func (e *Engine) tellHealth(now mono.Time, all bool) {
	buf, n := e.healthBuf[:0], 0
	for _, sg := range e.plan.snap.EndpointGroups {
		g := e.plan.groups[session.NameOf(sg.Name)]
		if g.pop != e.plan.self {
			continue
		}
		for _, ep := range g.Endpoints {
			h, known := g.health[ep.Address]
			if !known || h.told && !all {
				continue
			}
			h.told = true
			g.health[ep.Address] = h
			one := frame.EndpointHealth{Group: uint64(g.name), Address: ep.Address, Up: h.up, RTT: h.rtt, Bears: g.bears[ep.Address]}
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
		if g.learn(now, one.Address, endpointHealth{up: one.Up, rtt: one.RTT, bears: one.Bears, seq: h.Session}) {
			e.healthAt = mono.Earliest(e.healthAt, now.Add(healthSoon))
		}
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
