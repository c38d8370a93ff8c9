package dataplane

import (
	"net/netip"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/resequence"
	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// unknownPerSecond bounds how often a PoP tells others that it does not know a session.
const unknownPerSecond = 2000

// arrived takes in a frame that is for this PoP.
func (e *Engine) arrived(now mono.Time, h frame.Header, rest []byte, stable bool) {
	if h.Kind == frame.Health {
		e.hearHealth(now, &h, rest)
		return
	}
	if h.Kind == frame.Echo {
		e.hearEcho(now, &h, rest)
		return
	}
	s := e.table.ByID(h.Session)
	if s != nil && h.Origin != s.IngressPoP && h.Origin != s.EgressPoP {
		e.drops.add(DropRefusedSession) // a session of two others
		return
	}
	switch h.Kind {
	case frame.Open:
		d, payload, ok := frame.ParseDescription(rest)
		if !ok {
			e.drops.add(DropMalformed)
			return
		}
		if s == nil || !matches(s, &d) && !e.movedHere(s, &d) && !e.movedElsewhere(now, &h, &d, s) {
			if s = e.openFromFrame(now, &h, &d, s); s == nil {
				return
			}
		}
		e.adopt(s, &d)
		e.tellOpened(now, &h, s)
		e.table.Rename(s, h.Session)
		s.SetPeerKnows(true) // who opens it knows it, by this name
		if len(payload) > 0 {
			e.leaveBy(now, h.Flags, s, h.TOS, payload, stable)
		}
	case frame.Data:
		if s == nil {
			e.drops.add(DropUnknownSession)
			if e.unknownBudget.take(now, unknownPerSecond) {
				e.reply(now, &h, frame.Unknown, nil)
			}
			return
		}
		if s.ID == h.Session {
			s.SetPeerKnows(true) // so does who sends it without a description
		}
		e.leaveBy(now, h.Flags, s, h.TOS, rest, stable)
	case frame.Opened:
		if s == nil {
			return
		}
		s.SetPeerKnows(s.PeerKnows() || s.ID == h.Session)
		if d, _, ok := frame.ParseDescription(rest); ok && s.Role&session.Egress == 0 {
			e.table.SetEgress(s, d.Egress)
		}
	case frame.Unknown:
		if s != nil {
			s.SetPeerKnows(false)
		}
	case frame.Close:
		if s != nil {
			e.end(s, session.Closed)
		}
	}
}

// leaveBy sends a payload out at this end of its session.
func (e *Engine) leaveBy(now mono.Time, flags uint8, s *session.Session, tos uint8, payload []byte, stable bool) {
	switch {
	case flags&frame.ToClient != 0 && s.Role&session.Ingress != 0:
		e.toClient(now, s, tos, payload, stable)
	case flags&frame.ToClient == 0 && s.Role&session.Egress != 0:
		e.toEndpoint(now, s, tos, payload, stable)
	default:
		e.drops.add(DropMalformed)
	}
}

// matches reports whether s is the session that d describes.
func matches(s *session.Session, d *frame.Description) bool {
	return s.Client() == d.Client && s.Accelerated == d.Accelerated && s.Endpoint == d.Endpoint
}

// openFromFrame makes the session that another PoP describes, if our own
// snapshot allows it. known is a session that has this id but other addresses.
func (e *Engine) openFromFrame(now mono.Time, h *frame.Header, d *frame.Description, known *session.Session) *session.Session {
	s := session.Opening{
		ID: h.Session, Client: d.Client, Egress: d.Egress,
		Terms: session.Terms{
			Accelerated: d.Accelerated, Endpoint: d.Endpoint,
			IngressPoP: d.Ingress, EgressPoP: d.EgressPoP,
			Group: session.NameOf(d.Group), Listener: session.NameOf(d.Listener),
		},
	}
	settle(&s.Terms, d)
	g := e.plan.groups[s.Group]
	if g == nil || g.pop != d.EgressPoP || !g.lists(d.Endpoint.Addr()) || d.Ingress == d.EgressPoP {
		e.drops.add(DropRefusedSession)
		return nil
	}
	old := e.table.ByFlow(d.Ingress, d.Client, d.Accelerated)
	if old != nil && known == nil && matches(old, d) && (h.Origin == old.IngressPoP || h.Origin == old.EgressPoP) {
		e.table.Rename(old, h.Session) // both ends opened it at once, or one forgot its name
		return old
	}
	asEgress := e.plan.self == d.EgressPoP && h.Origin == d.Ingress
	if !asEgress && !e.mayCall(now, h, d, g) {
		e.drops.add(DropRefusedSession)
		return nil
	}
	proven := e.replace(known)
	if old != known {
		proven = e.replace(old) || proven
	}
	var n *session.Session
	if asEgress {
		n = e.openAsEgress(now, d, g, s)
	} else {
		n = e.openAsIngress(now, d, g, s)
	}
	if n != nil && proven {
		e.table.Prove(n.Assoc)
	}
	return n
}

// replace takes out a session that another takes the place of, and returns
// whether its client was proven: that is not lost with the flow.
func (e *Engine) replace(old *session.Session) (proven bool) {
	if old == nil {
		return false
	}
	proven = old.Proven()
	e.end(old, session.Replaced)
	return proven
}

// settle gives terms the settings of a description, as far as they can be.
func settle(s *session.Terms, d *frame.Description) {
	s.Idle = min(max(d.Idle, snapshot.MinIdle), snapshot.MaxIdle)
	s.Mode, s.Order, s.Window = d.Mode&3, min(d.Order, uint8(resequence.Off)), d.Window
}

// adopt gives the egress's end of a session the settings that its ingress has now.
func (e *Engine) adopt(s *session.Session, d *frame.Description) {
	if s.Role != session.Egress {
		return
	}
	order, window := s.Order, s.Window
	terms := *s.Terms
	settle(&terms, d)
	e.table.Renew(s, terms)
	if s.Order != order || s.Window != window {
		e.reorder(s)
	}
}

// openAsEgress makes the egress's end: it gives the session its egress address.
func (e *Engine) openAsEgress(now mono.Time, d *frame.Description, g *group, s session.Opening) *session.Session {
	s.Role = session.Egress
	kept := d.Egress.Port()
	s.Egress = netip.AddrPortFrom(g.egress, 0)
	if kept == 0 || d.Egress.Addr() != g.egress {
		kept = d.WantPort
	}
	if !e.giveEgress(&s, kept) {
		return nil
	}
	n := e.add(now, s)
	if n == nil {
		e.releaseEgress(s.Egress)
	}
	return n
}

// mayCall reports whether an endpoint may begin towards a client of ours: the
// snapshot says so, or the client is proven to be there, and does not belong to
// another endpoint that is well: one that comes back after its clients were
// moved must not take them away again.
func (e *Engine) mayCall(now mono.Time, h *frame.Header, d *frame.Description, g *group) bool {
	sock := e.byAddr[d.Accelerated]
	if e.plan.self != d.Ingress || h.Origin != d.EgressPoP || sock == nil || sock.listener == nil || !sock.listener.goesTo(g) || !sock.listener.allows(d.Client.Addr()) {
		return false
	}
	if e.belongsElsewhere(now, sock.listener, d.Client.Addr(), d.Endpoint.Addr()) {
		e.reply(now, h, frame.Close, nil)
		return false
	}
	a := e.table.Association(e.plan.self, d.Client.Addr(), g.name)
	return a != nil && a.Proven() || g.mayCall(d.Endpoint.Addr(), d.Client.Addr())
}

// openAsIngress makes the ingress's end of a session that an endpoint began.
func (e *Engine) openAsIngress(now mono.Time, d *frame.Description, g *group, s session.Opening) *session.Session {
	l := e.byAddr[d.Accelerated].listener
	s.Role = session.Ingress
	s.Listener, s.Idle, s.Mode, s.Order, s.Window = l.name, l.idle, l.mode, l.order, l.window
	n := e.add(now, s)
	if n != nil && g.mayCall(d.Endpoint.Addr(), d.Client.Addr()) {
		e.table.Prove(n.Assoc) // the snapshot vouches for the address
	}
	return n
}

// add puts s in the table, or counts why not.
func (e *Engine) add(now mono.Time, s session.Opening) *session.Session {
	n, refusal := e.table.Add(now, s)
	if refusal == session.PrefixFull {
		e.drops.add(DropPrefixFull)
		return nil
	}
	e.remember(n)
	e.hold(n)
	return n
}

// end takes a session out.
func (e *Engine) end(s *session.Session, why session.End) {
	s.End = why
	e.table.Remove(s)
}

// gone releases what a session held.
func (e *Engine) gone(s *session.Session) {
	e.takeBack(s)
	e.logEnd(s)
	e.release(s)
	if s.Role&session.Egress != 0 && s.Egress().Port() != 0 {
		e.releaseEgress(s.Egress())
	}
	e.uncount(s)
	e.forgetOrder(s)
}

// describe says everything about s that its other end needs.
func (e *Engine) describe(s *session.Session) *frame.Description {
	d := &frame.Description{
		Client: s.Client(), Accelerated: s.Accelerated, Endpoint: s.Endpoint, Egress: s.Egress(),
		WantPort: s.Client().Port(), Ingress: s.IngressPoP, EgressPoP: s.EgressPoP,
		Order: s.Order, Window: s.Window, Mode: s.Mode, Idle: s.Idle.Truncate(time.Second),
	}
	if g := e.plan.groups[s.Group]; g != nil {
		d.Group = g.text
	}
	if l := e.plan.listeners[s.Listener]; l != nil {
		d.Listener = l.text
	}
	return d
}

// tellOpened acknowledges a description, with the egress address if we gave it.
func (e *Engine) tellOpened(now mono.Time, h *frame.Header, s *session.Session) {
	e.reply(now, h, frame.Opened, e.describe(s).Append)
}

// tellClosed tells the session's other end that it is over.
func (e *Engine) tellClosed(now mono.Time, s *session.Session) {
	to := s.EgressPoP
	if to == e.plan.self {
		to = s.IngressPoP
	}
	if to != e.plan.self {
		e.route(now, to, frame.Header{Kind: frame.Close, Flags: frame.Urgent | frame.Once, Hops: frame.MaxHops, Origin: e.plan.self, Session: s.ID}, nil, nil)
	}
}

// reply answers a frame to the PoP it came from.
func (e *Engine) reply(now mono.Time, to *frame.Header, kind frame.Kind, describe func([]byte) []byte) {
	e.route(now, to.Origin, frame.Header{
		Kind: kind, Flags: frame.Urgent | frame.Once | to.Flags&frame.ToClient ^ frame.ToClient,
		Hops: frame.MaxHops, Mode: to.Mode, Origin: e.plan.self, Session: to.Session,
	}, describe, nil)
}

func (e *Engine) newSessionID() uint64 {
	for {
		if id := e.cfg.Random(); id != 0 && e.table.ByID(id) == nil {
			return id
		}
	}
}
