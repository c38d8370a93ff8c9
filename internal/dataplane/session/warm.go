package session

import (
	"net/netip"

	"causeway/internal/snapshot"
)

// What a batch of packets needs is read before the first of them is carried: where
// sessions are many, each packet would else wait for memory several times, one wait after
// the other. Read together, they wait together. Nothing but time comes of it.

// warmMost is how many packets' sessions are read together: as many as a socket's read gives.
const warmMost = 64

// warming are the packets whose sessions are to be read.
type warming struct {
	in     [warmMost]*index
	hashes [warmMost]uint32
	slots  [warmMost]uint32
	n      int
	sink   uint64 // something of what was read, lest it is not
}

// manySessions is from how many sessions on warming pays: fewer stay in the caches by themselves.
const manySessions = 2048

// Many reports whether there are so many sessions that it pays to warm them.
func (t *Table) Many() bool { return t.sessions.made >= manySessions }

// WarmFlow notes a client's packet for Warm; see ByFlow.
func (t *Table) WarmFlow(ingress snapshot.Label, client, accelerated netip.AddrPort) {
	t.warmLater(&t.byFlow, t.flowHash(ingress, client, accelerated))
}

// WarmEgress notes an endpoint's packet for Warm; see ByEgress.
func (t *Table) WarmEgress(egress, endpoint netip.AddrPort) {
	t.warmLater(&t.byOut, t.outHash(egress, endpoint))
}

// WarmID notes a frame for Warm; see ByID.
func (t *Table) WarmID(id uint64) { t.warmLater(&t.byID, t.idHash(id)) }

func (t *Table) warmLater(in *index, hash uint32) {
	w := &t.warming
	w.in[w.n], w.hashes[w.n] = in, hash
	if w.n++; w.n == warmMost {
		t.Warm()
	}
}

// Warm reads what carrying the packets will need that were noted since it was last
// called. It goes step by step: the reads of a step do not wait for one another.
func (t *Table) Warm() {
	w := &t.warming
	if w.n == 0 {
		return
	}
	in, hashes, slots := w.in[:w.n], w.hashes[:w.n], w.slots[:w.n]
	w.n = 0
	sink := w.sink
	for i, h := range hashes {
		sink += in[i].warm(h)
	}
	for i, h := range hashes {
		c := in[i].seek(h)
		slots[i], _ = c.next() // of one that is unknown, any: it does no harm
	}
	if t.sessions.made > 0 {
		for _, slot := range slots {
			s := t.at(slot)
			sink += s.ID + s.ToClient.Packets // one of each cache line that packets need
		}
	}
	if t.Warmer != nil && t.sessions.made > 0 {
		for _, slot := range slots {
			sink += t.Warmer(t.at(slot))
		}
	}
	w.sink = sink
}
