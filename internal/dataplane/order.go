package dataplane

import (
	"net/netip"

	"causeway/internal/dataplane/resequence"
	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// orderMemory bounds what all sessions' held packets may take, bytes.
const orderMemory = 64 << 20

// leave sends a payload out of the overlay: in ESP order where the session asks for it.
func (e *Engine) leave(now mono.Time, s *session.Session, sock *socket, to netip.AddrPort, what ipsec.Packet, payload []byte, stable bool) {
	// What leaves where it entered has crossed no segment and is in order.
	if what.Kind != ipsec.ESP || s.Order == uint8(resequence.Off) && s.Window == 0 || both(s) {
		if !both(s) {
			e.watch(now, s, leaving(s), &what, len(payload))
		}
		if !stable {
			payload = e.arena.Copy(payload)
		}
		e.queue(sock, payload, to, s.TOS)
		return
	}
	e.watchOf(now, s)
	e.emitTo(s, sock, to, payload, stable)
	if s.InOrder == 0 {
		if s.AtRest.Pass(now, what.SPI, what.Seq, e.pool) {
			e.emit(payload)
			return
		}
		s.InOrder = s.AtRest.Resume(e.orderFor(s), e.pool, true)
	}
	b := e.pool.Buffer(s.InOrder)
	dup, late := e.pool.Count.Duplicates, e.pool.Count.LateReplay
	b.Push(now, payload, e.holdUntil(now, s), e.emit)
	e.drops[DropDuplicate] += e.pool.Count.Duplicates - dup
	e.drops[DropLate] += e.pool.Count.LateReplay - late
	if !s.Waiting && b.Next() != 0 {
		s.Waiting = true
		e.waiting = append(e.waiting, s)
	}
	if !s.Waiting {
		if rest, ok := b.Rest(now); ok {
			e.pool.Drop(s.InOrder)
			s.AtRest, s.InOrder = rest, 0
		}
	}
}

// emitTo says where e.emit sends; direct is the payload that needs no copy if
// it is emitted itself.
func (e *Engine) emitTo(s *session.Session, sock *socket, to netip.AddrPort, direct []byte, stable bool) {
	e.emitting.sock, e.emitting.to, e.emitting.tos = sock, to, s.TOS
	e.emitting.watch, e.emitting.direction = s.Watch(), leaving(s)
	e.emitting.direct = nil
	if stable {
		e.emitting.direct = direct
	}
}

// emission is where packets given back in order go at the moment.
type emission struct {
	sock   *socket
	to     netip.AddrPort
	tos    uint8
	direct []byte

	watch     *session.Watched // of the association; nil: nobody watches
	direction ipsec.Direction
}

func (e *Engine) emitHeld(payload []byte) {
	o := &e.emitting
	if len(o.direct) == 0 || len(payload) == 0 || &payload[0] != &o.direct[0] {
		payload = e.arena.Copy(payload)
	}
	o.watchEmitted(e.now, payload)
	e.queue(o.sock, payload, o.to, o.tos)
}

// holdUntil is how long a packet that came now may wait for those before it:
// not at all when nothing is missing on its way, because then the hole is not
// ours to fill.
func (e *Engine) holdUntil(now mono.Time, s *session.Session) mono.Time {
	if e.arrivedFrom != nil && !e.arrivedFrom.Outstanding() && e.arrivedDirect {
		return now
	}
	return 0
}

// dueOrder gives up holes whose time has come.
func (e *Engine) dueOrder(now mono.Time) {
	for i := 0; i < len(e.waiting); i++ {
		s := e.waiting[i]
		b := e.pool.Buffer(s.InOrder)
		if next := b.Next(); next != 0 && next <= now {
			sock, to := e.exitOf(s)
			if sock != nil {
				e.emitTo(s, sock, to, nil, false)
				b.Due(now, e.emit)
			} else {
				b.Flush(nil)
			}
		}
		if b.Next() == 0 {
			s.Waiting = false
			last := len(e.waiting) - 1
			e.waiting[i] = e.waiting[last]
			e.waiting[last] = nil
			e.waiting = e.waiting[:last]
			i--
		}
	}
}

func (e *Engine) nextOrder() (next mono.Time) {
	for _, s := range e.waiting {
		next = mono.Earliest(next, e.pool.Buffer(s.InOrder).Next())
	}
	return next
}

// exitOf is where a session's packets leave at this PoP.
func (e *Engine) exitOf(s *session.Session) (*socket, netip.AddrPort) {
	if s.Role&session.Egress != 0 {
		return e.egressSocket(s), s.Endpoint
	}
	return e.byAddr[s.Accelerated], s.Client()
}

// reorder goes on by the session's settings, which have changed.
func (e *Engine) reorder(s *session.Session) {
	if s.InOrder == 0 { // where nothing is missing no setting matters
		return
	}
	if sock, to := e.exitOf(s); sock != nil {
		e.emitTo(s, sock, to, nil, false)
		e.pool.Buffer(s.InOrder).Reconfigure(e.orderFor(s), e.emit)
	} else {
		e.pool.Buffer(s.InOrder).Reconfigure(e.orderFor(s), nil)
	}
}

// forgetOrder drops what a session that ends still holds.
func (e *Engine) forgetOrder(s *session.Session) {
	if s.InOrder == 0 {
		return
	}
	e.pool.Buffer(s.InOrder).Flush(nil)
	if s.Waiting {
		for i, w := range e.waiting {
			if w == s {
				e.waiting = append(e.waiting[:i], e.waiting[i+1:]...)
				break
			}
		}
	}
	e.pool.Drop(s.InOrder)
	s.InOrder, s.Waiting = 0, false
}

// orderFor is the shared configuration for a session's mode and window.
func (e *Engine) orderFor(s *session.Session) *resequence.Config {
	k := orderKey{s.Order, s.Window}
	c := e.orders[k]
	if c == nil {
		c = &resequence.Config{Mode: resequence.Mode(min(s.Order, uint8(resequence.Off))), Window: min(int(s.Window), 4096)}
		e.orders[k] = c
	}
	return c
}

type orderKey struct {
	mode   uint8
	window uint16
}
