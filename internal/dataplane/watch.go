package dataplane

import (
	"encoding/binary"

	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// Where associations are watched: each direction once at each PoP. What comes in
// from a client or an endpoint is seen before anything of ours can drop it, what
// leaves is seen as it leaves, after repair and in the order it has then. So what
// two PoPs have seen tells what was lost before the first and between them.

// watch shows a packet to its association's Watch, which is made when the first
// comes that belongs to IPsec.
func (e *Engine) watch(now mono.Time, s *session.Session, d ipsec.Direction, what *ipsec.Packet, size int) {
	if what.Kind != ipsec.ESP && what.Kind != ipsec.IKE {
		return
	}
	w := s.Assoc.Watch
	if w == nil {
		w = new(ipsec.Watch)
		s.Assoc.Watch = w
	}
	fresh := w.Note(now, d, ipsec.NATT(s.Accelerated.Port()), what, size)
	if d == ipsec.ToEndpoint && s.Role&session.Ingress != 0 && (fresh || what.Kind == ipsec.IKE || !s.Claimed()) {
		if claim, ok := session.ClaimOf(e.claimSeed, s.Accelerated, what); ok {
			e.table.Claim(s, claim)
		}
	}
}

// refuse notes that a packet of s ends here for want of bandwidth.
func refuse(s *session.Session, d ipsec.Direction, what *ipsec.Packet) {
	if w := s.Assoc.Watch; w != nil {
		w.Refuse(d, what)
	}
}

// both reports whether s leaves where it entered: then what comes in is all that
// there is to see.
func both(s *session.Session) bool { return s.Role == session.Ingress|session.Egress }

// leaving is in which direction packets of s leave at this PoP.
func leaving(s *session.Session) ipsec.Direction {
	if s.Role&session.Egress != 0 {
		return ipsec.ToEndpoint
	}
	return ipsec.ToClient
}

// watchEmitted shows an ESP packet that leaves now to the Watch of its association.
func (o *emission) watchEmitted(now mono.Time, payload []byte) {
	if o.watch != nil && len(payload) >= 8 {
		o.watch.NoteESP(now, o.direction, binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:]))
	}
}
