package dataplane

import (
	"net/netip"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// A client's address changes when its NAT restarts, forgets it, or when it moves
// itself. Its packets then come from an address that no session has, and show
// SAs that one has. Such a session follows its client:
//
//   - A packet counts that goes on with one of the session's SAs: a newer number than
//     any that came before, or an IKE request that has not been seen. What somebody
//     recorded is old by then, and an SPI alone is 32 bits to guess.
//   - It is carried to the endpoint, which knows whether it is authentic.
//     What comes back still goes to the address that is proven.
//   - The session moves when the endpoint has answered an IKE request from there: then
//     somebody with the keys sent it; or when roamPackets packets have come from there
//     over roamSpan or more and nothing of its SAs from the old address.
//   - When the client is heard at its old address after all, nobody is believed for
//     roamQuiet: whoever knows where the numbers stand could else put forged packets
//     among the client's, which would then be taken for duplicates where they leave.
//   - For roamBack it goes back at once when a packet that counts comes from the
//     address that it had.
//
// See docs/explanation/ipsec-awareness.md for what this holds against.
const (
	roamPackets = 4
	roamSpan    = 500 * time.Millisecond
	roamLate    = 300 * time.Millisecond // packets on the old way may come after the first on the new
	roamSilent  = time.Second            // after such a silence another address may try
	roamQuiet   = 5 * time.Second
	roamBack    = time.Minute
)

// follow finds the session that a packet from an address without one belongs to
// because its client has moved; nil when there is none.
func (e *Engine) follow(now mono.Time, sock *socket, from netip.AddrPort, what *ipsec.Packet) *session.Session {
	claim, ok := session.ClaimOf(e.claimSeed, sock.addr, what)
	if !ok {
		return nil
	}
	s := e.table.ByClaim(claim)
	if s == nil || s.Client() == from || s.Accelerated != sock.addr || !s.Confirmed() || !s.Proven() || s.Watch() == nil {
		return nil
	}
	m := e.table.Moving(s)
	if s.Forwarded {
		e.look(now, s)
	}
	fresh := s.Watch().Follows(what)
	if !fresh {
		if m != nil && m.To == from { // out of order behind one that was newer
			return s
		}
		return nil
	}
	if !sock.listener.allows(from.Addr()) {
		return nil
	}
	e.takeBack(s) // what comes from where it was is to be seen
	if m == nil {
		m = e.table.Roam(s)
	}
	switch {
	case m.Was == from && now < m.Until:
		e.moveClient(now, s, from)
		return s
	case m.To != from && m.To.IsValid() && now.Sub(m.Last) < roamSilent, now < m.Quiet:
		return nil // one at a time
	case m.To != from:
		*m = session.Moving{To: from, Since: now, First: what.Seq, Was: m.Was, Until: m.Until}
	}
	m.Last = now
	m.Packets = min(m.Packets+1, roamPackets)
	if what.Kind == ipsec.IKE {
		m.Asked, m.Request, m.Initiator, m.Responder = true, what.MessageID, what.InitiatorSPI, what.ResponderSPI
	} else if m.Packets >= roamPackets && now.Sub(m.Since) >= roamSpan {
		e.moveClient(now, s, from)
	}
	return s
}

// stays notes a packet from the client's own address while it may be elsewhere:
// one of its SAs ends that. It need not be the newest: somebody who forges numbers
// is always ahead.
func (e *Engine) stays(now mono.Time, s *session.Session, what *ipsec.Packet) {
	m, w := e.table.Moving(s), s.Watch()
	if !m.To.IsValid() || w == nil || !w.Holds(what) {
		return
	}
	if what.Kind == ipsec.ESP && int32(what.Seq-m.First) < 0 && now.Sub(m.Since) < roamLate {
		return
	}
	*m = session.Moving{Quiet: now.Add(roamQuiet), Was: m.Was, Until: m.Until}
}

// answered moves a session when the endpoint answers what was asked from where
// its client may be.
func (e *Engine) answered(now mono.Time, s *session.Session, what *ipsec.Packet) {
	m := e.table.Moving(s)
	if m.Asked && m.To.IsValid() && what.Response() && what.MessageID == m.Request && what.InitiatorSPI == m.Initiator && what.ResponderSPI == m.Responder {
		e.moveClient(now, s, m.To)
	}
}

// moveClient makes a session's client be at another address, at both ends: the
// other is told with the next packet.
func (e *Engine) moveClient(now mono.Time, s *session.Session, to netip.AddrPort) {
	from := s.Client()
	if other := e.table.ByFlow(s.IngressPoP, to, s.Accelerated); other != nil { // a stranger so far
		e.tellClosed(now, other)
		e.end(other, session.Replaced)
	}
	e.release(s)
	e.table.Move(now, s, to)
	e.hold(s)
	e.remember(s)
	s.SetPeerKnows(both(s))
	*e.table.Roam(s) = session.Moving{Was: from, Until: now.Add(roamBack)}
	e.cfg.Log.Info("a client's address has changed", "session", s.ID, "from", from, "to", to)
}

// movedElsewhere follows the ingress of a session in what it says of its client:
// the same session in all else. It reports false when it is another.
func (e *Engine) movedElsewhere(now mono.Time, h *frame.Header, d *frame.Description, s *session.Session) bool {
	if s.Role != session.Egress || h.Origin != s.IngressPoP || d.Ingress != s.IngressPoP || d.EgressPoP != s.EgressPoP ||
		s.Accelerated != d.Accelerated || s.Endpoint != d.Endpoint || s.Group != session.NameOf(d.Group) || d.Egress != s.Egress() {
		return false
	}
	if other := e.table.ByFlow(s.IngressPoP, d.Client, s.Accelerated); other != nil && other != s {
		e.end(other, session.Replaced)
	}
	e.release(s)
	e.table.Move(now, s, d.Client)
	e.hold(s)
	e.remember(s)
	return true
}

// movedHere reports whether a description is of s before its client moved, which
// its egress has not heard of yet.
func (e *Engine) movedHere(s *session.Session, d *frame.Description) bool {
	return s.Role == session.Ingress && s.Roams() && e.table.Moving(s).Was == d.Client && s.Accelerated == d.Accelerated && s.Endpoint == d.Endpoint
}
