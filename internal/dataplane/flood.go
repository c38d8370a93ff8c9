package dataplane

import (
	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// While the ring of unconfirmed sessions is not full, everybody may open one. Once it
// is, somebody floods, or very many come at once: then so many may in a second. Each
// costs an egress address at the other end and pushes out another session; packets of
// tunnels that are there must not wait for that, and those let in must live
// long enough to be answered. Clients that begin a negotiation have most of the places.
const (
	beginningPerSecond = 2000
	othersPerSecond    = 500
)

// mayOpen reports whether a client's first packet may make a session now.
func (e *Engine) mayOpen(now mono.Time, what *ipsec.Packet) bool {
	all, confirmed := e.table.Len()
	if all-confirmed < e.among(e.plan.snap.Limits.Unconfirmed) {
		return true
	}
	if what.Begins() {
		return e.beginningBudget.take(now, beginningPerSecond)
	}
	return e.othersBudget.take(now, othersPerSecond)
}

// What crosses of a client that nobody knows costs two PoPs and the endpoint as much as what
// crosses of a tunnel. So a session carries a few packets until its client is proven, and
// more for each answer, which strangers to an endpoint do not get; whatever is beyond that shares so
// many a second, in each listener. A negotiation, its retransmissions and fragments, has enough with what it has
// by itself; ESP that comes first, after a PoP has lost its disk, needs one packet that is
// answered, and goes on from answer to answer until it is proven (see proofRounds). Traffic that is
// never answered goes on by what is shared while nobody floods.
const (
	unprovenPackets   = 2  // of a session that has not been answered
	unprovenIKE       = 16 // in place of that, of IKE
	unprovenPerAnswer = 8
	unprovenPerSecond = 1000
)

// mayCross reports whether a packet of a client may cross that is not proven to be where it seems to be.
func (e *Engine) mayCross(now mono.Time, sock *socket, s *session.Session, what *ipsec.Packet) bool {
	if s.Proven() || s.Confirmed() {
		return true
	}
	own := uint64(unprovenPackets)
	if what.Kind == ipsec.IKE {
		own = unprovenIKE
	}
	if s.ToEndpoint.Packets < own+unprovenPerAnswer*s.ToClient.Packets {
		return true
	}
	return sock.listener.unproven.take(now, e.among(unprovenPerSecond))
}
