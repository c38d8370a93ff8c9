package dataplane

import (
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
