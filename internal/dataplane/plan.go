package dataplane

import (
	"net/netip"
	"slices"
	"time"

	"causeway/internal/dataplane/admission"
	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/session"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// plan is a snapshot in the shape the packet path looks things up in. It is
// made whole by apply.go and only its counters, wires' addresses in use and
// ways' choices change afterwards.
type plan struct {
	snap snapshot.Snapshot
	self snapshot.Label

	overlay   map[string]*overlayAddr
	peers     map[snapshot.Label]*peer
	byName    map[string]*peer
	bySegment map[*segment.Segment]*peer
	// ends has the neighbour of every segment that there is.
	ends map[handshake.Segment]*peer
	// neighbours are the peers with segments, in the snapshot's order. A peer stands here
	// again for each relay that a segment with it goes through.
	neighbours   []*peer
	through      map[hop]*peer // the latter
	passthroughs []*passthrough
	ways         map[snapshot.Label]*way
	latest       struct { // the one that was asked for last
		to  snapshot.Label
		way *way
	}
	listeners  map[session.Name]*listener
	groups     map[session.Name]*group
	allowances map[string]*limit.Allowance

	relayed session.Count
}

type overlayAddr struct {
	snapshot.Overlay
	sock *socket
}

// hop is the first step of a way: a segment with a PoP, direct or through a relay.
type hop struct{ to, through snapshot.Label }

func (h hop) less(o hop) bool { return h.to < o.to || h.to == o.to && h.through < o.through }

// first is the neighbour that a hop leads to, nil where there is none.
func (p *plan) first(h hop) *peer {
	if h.through != 0 {
		return p.through[h]
	}
	return p.peers[h.to]
}

type peer struct {
	snapshot.Peer
	relay   *peer // that passes the segment's datagrams on unopened; nil: it is direct
	key     keys.PublicKey
	segment *segment.Segment // nil: reached over relays only
	wires   []peerWire
	links   links // what the peer last said of its own segments
	toldUp  bool  // what the neighbours were last told of this segment
	fates   fates // of the newest pings
}

// hop is how the peer is reached by this segment.
func (p *peer) hop() hop {
	if p.relay == nil {
		return hop{to: p.Label}
	}
	return hop{p.Label, p.relay.Label}
}

// end is the same as handshakes have it.
func (p *peer) end() handshake.Segment {
	return handshake.Segment{Peer: p.key, Through: uint16(p.hop().through)}
}

// title names the segment for people.
func (p *peer) title() string {
	if p.relay == nil {
		return p.Name
	}
	return p.Name + " through " + p.relay.Name
}

type peerWire struct {
	name   string
	sock   *socket
	remote netip.AddrPort
}

// way is the way to a PoP; nil: there is none.
func (p *plan) way(to snapshot.Label) *way {
	if l := &p.latest; l.way == nil || l.to != to {
		l.to, l.way = to, p.ways[to]
	}
	return p.latest.way
}

// wireOf finds the wire of s that a datagram came over, -1 when it is none of ours.
func wireOf(s *segment.Segment, sock *socket, from netip.AddrPort) int {
	for i, w := range s.Owner.(*peer).wires {
		if w.sock == sock && w.remote == from {
			return i
		}
	}
	return -1
}

type listener struct {
	snapshot.Listener
	text   string
	name   session.Name
	group  *group
	idle   time.Duration
	mode   uint8
	order  uint8
	window uint16

	groups []*group             // where its clients may be sent: group first, then those to fail over to
	held   [][]*limit.Allowance // by group: what each packet there and back is held against

	moved       uint64    // sessions that were closed because their endpoint was lost
	openedBlind uint64    // sessions made while every endpoint was lost
	lostSince   mono.Time // since when every endpoint is lost; zero: one is not

	clients clients                        // who may use it
	known   *admission.Known               // clients that are no strangers to its endpoints
	gates   map[netip.Addr]*admission.Gate // the negotiations that its clients have begun, by endpoint

	unproven budget // see mayCross
}

// goesTo reports whether the listener's clients may be sent to g.
func (l *listener) goesTo(g *group) bool { return slices.Contains(l.groups, g) }

type group struct {
	snapshot.EndpointGroup
	text   string
	name   session.Name
	pop    snapshot.Label
	egress netip.Addr // in its bind form
	calls  []call
	last   map[netip.Addr]callee // by endpoint: the client that last belonged to it

	health  map[netip.Addr]endpointHealth // what is known of the endpoints; health.go
	bears   map[netip.Addr]bool           // endpoints that accept cookies that they did not ask for, as seen or probed here
	reach   reach
	wasLost map[netip.Addr]bool // when failover was last thought of
}

// call is a configured right of an endpoint to begin.
type call struct {
	endpoint netip.Addr
	callee
}

// callee is whom an endpoint reaches when it begins, and how.
type callee struct {
	client, accelerated netip.Addr
	ingress             snapshot.Label
	listener            session.Name
	idle                time.Duration
	mode, order         uint8
	window              uint16
	claim               uint8
}

// lists reports whether the endpoint is in the group, draining or not.
func (g *group) lists(a netip.Addr) bool {
	for _, e := range g.Endpoints {
		if e.Address == a {
			return true
		}
	}
	return false
}

func weight(e snapshot.Endpoint) int {
	if e.Weight == nil {
		return snapshot.DefaultWeight
	}
	return *e.Weight
}

// choose picks an endpoint for a client among those that fit: the highest of
// hash^(1/weight) (weighted rendezvous hashing), in logarithms. An endpoint that
// comes or goes moves only its own clients.
func (g *group) choose(client netip.Addr, fits func(netip.Addr) bool) (best netip.Addr, ok bool) {
	top := 0.0
	for _, e := range g.Endpoints {
		w := weight(e)
		if w == 0 || !fits(e.Address) {
			continue
		}
		score := rendezvous(client, e.Address, w)
		if !ok || score > top {
			best, top, ok = e.Address, score, true
		}
	}
	return best, ok
}

// takes reports whether the client is among the share of those that come to the
// group and stay: the same clients on every PoP, and none of them leaves when
// the percentage grows.
func (g *group) takes(client netip.Addr) bool {
	return share(client, uint64(g.name))*100 < float64(g.percentage())
}

func (g *group) percentage() int {
	if g.TrafficPercentage == nil {
		return snapshot.DefaultTrafficPercentage
	}
	return *g.TrafficPercentage
}

// How sure it is that a client belongs to an endpoint.
const (
	claimNone     = iota
	claimProven   // the client receives at its address
	claimESP      // the endpoint has sent it ESP, so they hold keys
	claimSnapshot // the snapshot says so
)

func claimOf(s *session.Session) uint8 {
	switch {
	case s.Seen&session.SeenPeerESP != 0:
		return claimESP
	case s.Proven():
		return claimProven
	}
	return claimNone
}

// remember notes that a client's session belongs to an endpoint. Who has shown
// less does not take the place of who has shown more.
func (g *group) remember(s *session.Session) {
	if g.last[s.Endpoint.Addr()].claim > claimOf(s) {
		return
	}
	c := callee{
		claim:  claimOf(s),
		client: s.Client().Addr(), accelerated: s.Accelerated.Addr(), ingress: s.IngressPoP,
		listener: s.Listener, idle: s.Idle, mode: s.Mode, order: s.Order, window: s.Window,
	}
	if g.last[s.Endpoint.Addr()] != c {
		g.last[s.Endpoint.Addr()] = c
	}
}

// callee is whom an endpoint reaches: by configuration, else by the last session.
func (g *group) callee(endpoint netip.Addr) (callee, bool) {
	for _, c := range g.calls {
		if c.endpoint == endpoint {
			c.claim = claimSnapshot
			return c.callee, true
		}
	}
	c, ok := g.last[endpoint]
	return c, ok
}

// mayCall reports whether the snapshot lets the endpoint begin towards client.
func (g *group) mayCall(endpoint, client netip.Addr) bool {
	for _, c := range g.calls {
		if c.endpoint == endpoint && c.client == client {
			return true
		}
	}
	return false
}
