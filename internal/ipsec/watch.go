package ipsec

import "causeway/internal/mono"

// Direction is which way a packet goes, named by who is to have it.
type Direction uint8

// The two directions.
const (
	ToEndpoint Direction = iota
	ToClient
)

// Other is the opposite direction.
func (d Direction) Other() Direction { return d ^ 1 }

// Watch is what can be seen of one association's IPsec at one place on its way,
// without keys: it reads what Peek has found, changes nothing and allocates
// only when an SPI appears that it does not know, and not more than a few times.
//
// A PoP sees each direction once: the ingress sees what comes from the client
// as it comes in and what goes to it as it leaves, the egress the other way
// round. So the numbers of ESP packets missing at the ingress towards the endpoint
// were lost before the first PoP, and those missing at the egress but
// not at the ingress between the PoPs. See docs/explanation/ipsec-awareness.md.
//
// The zero Watch is ready.
type Watch struct {
	esp  [2]espLane
	IKE  IKECount
	sas  [ikeSAs]ikeSA
	Last [2]mono.Time // when a packet of IKE or ESP last went each way; zero: never
}

// Reset makes w as new, with the memory it has.
func (w *Watch) Reset() {
	flows := [2][]espFlow{w.esp[0].flows[:0], w.esp[1].flows[:0]}
	*w = Watch{}
	for d := range flows {
		w.esp[d].flows = flows[d]
	}
}

// ESP is what the numbers of ESP packets show of one direction.
func (w *Watch) ESP(d Direction) *ESPCount { return &w.esp[d].ESPCount }

// Note takes in a packet of size bytes (UDP payload) that goes in direction d;
// natt says that its port carries the non-ESP marker. It reports whether an SA that was not
// known has just become known: its second packet came.
func (w *Watch) Note(now mono.Time, d Direction, natt bool, p *Packet, size int) (fresh bool) {
	switch p.Kind {
	case ESP:
		return w.NoteESP(now, d, p.SPI, p.Seq)
	case IKE:
		w.Last[d] = now
		return w.noteIKE(now, d, natt, p, size)
	}
	return false
}

// NoteESP is Note for a packet of which only the ESP header was read.
func (w *Watch) NoteESP(now mono.Time, d Direction, spi, seq uint32) (fresh bool) {
	w.Last[d] = now
	return w.esp[d].note(now, spi, seq)
}

// Refuse notes that this PoP did not carry on a packet that Note was told of.
func (w *Watch) Refuse(d Direction, p *Packet) {
	if p.Kind == ESP {
		w.esp[d].Refused++
	}
}

// Follows reports whether a packet to the endpoint from an address that is not
// the client's may be the client's all the same: it goes on where an SA of this
// association stands. What a recording repeats does not: its numbers are old.
// It proves nothing yet: see docs/explanation/ipsec-awareness.md.
func (w *Watch) Follows(p *Packet) bool {
	switch p.Kind {
	case ESP:
		return w.esp[ToEndpoint].follows(p.SPI, p.Seq)
	case IKE:
		return w.followsIKE(p)
	}
	return false
}

// Holds reports whether a packet is of an SA of this association, whether it is
// new or was seen: ESP with a number not far from the newest, or protected IKE.
func (w *Watch) Holds(p *Packet) bool {
	switch p.Kind {
	case ESP:
		return w.esp[ToEndpoint].holds(p.SPI, p.Seq)
	case IKE:
		return w.holdsIKE(p)
	}
	return false
}

// Newest is the highest number of an ESP SA that has been seen; ok is false where there is no
// such SA, or one packet alone speaks for it.
func (w *Watch) Newest(d Direction, spi uint32) (seq uint32, ok bool) {
	for i := range w.esp[d].flows {
		if f := &w.esp[d].flows[i]; f.spi == spi && f.count >= 2 {
			return f.top, true
		}
	}
	return 0, false
}

// Skip notes that an SA's packets up to a number went by unseen: none of them counts,
// neither as carried nor as lost.
func (w *Watch) Skip(now mono.Time, d Direction, spi, seq uint32) {
	w.Last[d] = now
	for i := range w.esp[d].flows {
		f := &w.esp[d].flows[i]
		if f.spi == spi && f.count >= 2 && int32(seq-f.top) > 0 {
			f.advance(seq)
			f.active, f.run = now, 0
		}
	}
}

// SA is an ESP SA that was seen of late.
type SA struct {
	SPI    uint32
	Newest uint32 // number
	Active mono.Time
}

// SAs calls f for each ESP SA followed in a direction.
func (w *Watch) SAs(d Direction, f func(SA)) {
	for i := range w.esp[d].flows {
		if s := &w.esp[d].flows[i]; s.count >= 2 {
			f(SA{s.spi, s.top, s.active})
		}
	}
}
