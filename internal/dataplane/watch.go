package dataplane

import (
	"encoding/binary"
	"time"

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
	w := e.watchOf(now, s)
	if w == nil {
		return
	}
	if s.Forwarded {
		e.look(now, s) // what went by is no gap
	}
	fresh := w.Note(now, d, ipsec.NATT(s.Accelerated.Port()), what, size)
	if d == ipsec.ToEndpoint && s.Role&session.Ingress != 0 && (fresh || what.Kind == ipsec.IKE || !s.Claimed()) {
		if claim, ok := session.ClaimOf(e.claimSeed, s.Accelerated, what); ok {
			e.table.Claim(s, claim)
		}
	}
}

const (
	// watchMost is how many associations an engine watches at once. A Watch is larger than all else
	// that is kept of an association, and there may be a million of those; most are idle.
	watchMost = 4096
	// watchSilent is after what silence its Watch may go to another association.
	watchSilent = time.Minute
	// watchLooks is at how many an association that wants one looks, in turn.
	watchLooks = 16
	// watchPause is how long nobody looks after one has looked in vain.
	watchPause = 10 * time.Millisecond
)

// watches are the Watches of an engine, in use or not.
type watches struct {
	all  []*session.Watched
	hand int
	full [2]mono.Time // until when there is no use in looking: for strangers, for proven clients
}

// watchOf is the Watch of an association; nil while there is none for it.
func (e *Engine) watchOf(now mono.Time, s *session.Session) *session.Watched {
	if w := s.Watch(); w != nil {
		return w
	}
	w := e.watches.find(now, s.Proven())
	if w == nil {
		return nil
	}
	e.table.SetWatch(s.Assoc, w)
	return w
}

// find returns a Watch as new: one whose association has ended, else one more
// while there may be more, else one that has seen nothing for watchSilent. A proven
// client's association may take that of a stranger, of whom there are any number.
func (p *watches) find(now mono.Time, proven bool) *session.Watched {
	who := 0
	if proven {
		who = 1
	}
	if now < p.full[who] {
		return nil
	}
	var silent *session.Watched
	for range min(watchLooks, len(p.all)) {
		p.hand = (p.hand + 1) % len(p.all)
		w := p.all[p.hand]
		owner := w.Owner()
		if owner == nil || proven && !owner.Proven() && len(p.all) == watchMost {
			w.Reset()
			return w
		}
		if last := max(w.Last[0], w.Last[1]); silent == nil && now.Sub(last) >= watchSilent {
			silent = w
		}
	}
	if len(p.all) < watchMost {
		w := new(session.Watched)
		p.all = append(p.all, w)
		return w
	}
	if silent == nil {
		p.full[who] = now.Add(watchPause)
		return nil
	}
	silent.Reset()
	return silent
}

// refuse notes that a packet of s ends here for want of bandwidth.
func refuse(s *session.Session, d ipsec.Direction, what *ipsec.Packet) {
	if w := s.Watch(); w != nil {
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
