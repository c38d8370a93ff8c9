package dataplane

import (
	"net/netip"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// fromClient carries one packet from a client into the overlay.
func (e *Engine) fromClient(now mono.Time, sock *socket, m *udpio.Message) {
	what := ipsec.Peek(m.Data, ipsec.NATT(sock.addr.Port()))
	s := e.table.ByFlow(e.plan.self, m.From, sock.addr)
	if s == nil || !s.Confirmed() {
		if e.passed(sock, m) {
			return
		}
		if moved := e.follow(now, sock, m.From, &what); moved != nil {
			s = moved
		} else if e.passedByClaim(sock, m, &what) {
			return
		}
	} else if s.Roams() {
		e.stays(now, s, &what)
	}
	if s == nil || what.Begins() {
		if s = e.begin(now, sock, m, &what, s); s == nil {
			return
		}
	}
	if !e.mayCross(now, sock, s, &what) {
		e.drops.add(DropUnproven)
		return
	}
	what = e.observe(s, what, &s.GuessToEndpoint)
	e.watch(now, s, ipsec.ToEndpoint, &what, len(m.Data))
	if !e.admit(now, sock.listener, s, limit.ToEndpoint, what, len(m.Data)) {
		refuse(s, ipsec.ToEndpoint, &what)
		return
	}
	e.prove(now, s, what)
	e.table.Touch(now, s)
	s.ToEndpoint.Add(len(m.Data))
	e.send(now, s, 0, what, m.TOS, m.Data)
	if sock.listener.InKernel && what.Kind == ipsec.ESP {
		e.handOver(now, s, ipsec.ToEndpoint, &what)
	}
}

// welcome reports whether a listener is for a client, and counts why not.
func (e *Engine) welcome(sock *socket, client netip.Addr) bool {
	reason, ok := sock.listener.clients.judge(client)
	if !ok {
		e.drops.add(reason)
	}
	return ok
}

// begin judges a packet that has no session yet, or that begins a negotiation in
// the one it has, and returns the session that it goes on in.
func (e *Engine) begin(now mono.Time, sock *socket, m *udpio.Message, what *ipsec.Packet, s *session.Session) *session.Session {
	if s != nil {
		if g := e.plan.groups[s.Group]; g == nil || !e.mayBegin(now, sock, m, what, g, s.Endpoint.Addr()) {
			return nil
		}
		return s
	}
	if !e.welcome(sock, m.From.Addr()) || e.passedHome(sock, m) {
		return nil
	}
	g, endpoint, ok := e.endpointFor(now, sock.listener, m.From.Addr())
	switch {
	case !ok:
		e.drops.add(DropNoEndpoint)
		return nil
	case what.Begins() && !e.mayBegin(now, sock, m, what, g, endpoint):
		return nil
	case !e.mayOpen(now, what):
		e.drops.add(DropFlood)
		return nil
	}
	return e.openFromClient(now, sock, m.From, g, endpoint)
}

// openFromClient makes a session for a client's first packet.
func (e *Engine) openFromClient(now mono.Time, sock *socket, client netip.AddrPort, g *group, endpoint netip.Addr) *session.Session {
	l := sock.listener
	// A session that can never be confirmed would only cost the endpoint its half of it.
	if !e.room(l.heldTo(g.name)) {
		return nil
	}
	s := session.Opening{
		ID:     e.newSessionID(),
		Role:   session.Ingress,
		Client: client,
		Egress: netip.AddrPortFrom(g.egress, 0),
		Terms: session.Terms{
			Accelerated: sock.addr,
			Endpoint:    netip.AddrPortFrom(endpoint, sock.addr.Port()),
			IngressPoP:  e.plan.self, EgressPoP: g.pop,
			Group: g.name, Listener: l.name,
			Idle: l.idle, Mode: l.mode, Order: l.order, Window: l.window,
		},
	}
	if g.pop == e.plan.self { // the packet leaves where it entered
		s.Role |= session.Egress
		if !e.giveEgress(&s, client.Port()) {
			return nil
		}
	}
	n := e.add(now, s)
	if n == nil && s.Role&session.Egress != 0 {
		e.releaseEgress(s.Egress)
	}
	return n
}

// toClient gives a packet from the overlay to its client. stable tells that
// payload lives until Flush.
func (e *Engine) toClient(now mono.Time, s *session.Session, tos uint8, payload []byte, stable bool) {
	sock := e.listenerSocket(s)
	if sock == nil || sock.listener == nil {
		e.drops.add(DropNoListener)
		return
	}
	what := ipsec.Peek(payload, ipsec.NATT(s.Accelerated.Port()))
	what = e.observe(s, what, &s.GuessToClient)
	if both(s) {
		e.watch(now, s, ipsec.ToClient, &what, len(payload))
	}
	if s.Roams() {
		e.answered(now, s, &what)
	}
	switch {
	case what.Kind == ipsec.IKE:
		e.negotiated(now, sock.listener, s, &what)
	case what.Kind == ipsec.ESP && s.Seen&session.SeenOwnESP == 0 && s.Proven():
		becomesKnown(sock.listener, s)
	}
	if !s.Proven() {
		e.noteAnswer(s.Assoc, what)
		if s.ToClient.Bytes+uint64(len(payload)) > 3*s.ToEndpoint.Bytes {
			e.drops.add(DropAmplify)
			return
		}
	}
	if !e.admit(now, sock.listener, s, limit.ToClient, what, len(payload)) {
		refuse(s, ipsec.ToClient, &what)
		return
	}
	if !e.confirm(now, s) {
		return
	}
	e.table.Touch(now, s)
	s.ToClient.Add(len(payload))
	s.TOS = tos
	copies := e.drops[DropDuplicate]
	e.leave(now, s, sock, s.Client(), what, payload, stable)
	if e.drops[DropDuplicate] != copies { // came over a second way, and did not leave: costs the customer nothing
		limit.Refund(sock.listener.heldTo(s.Group), limit.ToClient, len(payload))
	}
	if sock.listener.InKernel && what.Kind == ipsec.ESP {
		e.handOver(now, s, ipsec.ToClient, &what)
	}
}

// confirm marks that the endpoint has answered. What anyone can make it do under
// a foreign address is no reason to keep a session: the client must be proven, too.
func (e *Engine) confirm(now mono.Time, s *session.Session) bool {
	if s.Confirmed() || !s.Proven() {
		return true
	}
	if !e.hasRoom(s) {
		return false
	}
	if !e.table.Confirm(now, s) {
		e.drops.add(DropSessionsLimited)
		return false
	}
	e.count(s)
	e.know(s, true)
	return true
}

// noteAnswer takes in what an endpoint sends to a client that is not proven yet.
// IKE is no answer that counts for an exchange: anyone can make an endpoint send some.
func (e *Engine) noteAnswer(a *session.Association, what ipsec.Packet) {
	p := proving(a)
	p.Proof.FromEndpoint(what)
	p.Answered = p.Answered || what.Kind != ipsec.IKE
}

// proofRounds and proofSpan are what must be seen of traffic that carries no
// IKE proof (ESP alone after a PoP lost its state; other UDP): so many
// exchanges, client's packet after ours, over so long. Weaker than the proof by
// IKE: it holds off who floods, not who sends patiently.
const (
	proofRounds = 8
	proofSpan   = time.Second
)

// prove looks whether a client's packet shows that it receives at its address.
// Both ends of a session look for themselves.
func (e *Engine) prove(now mono.Time, s *session.Session, what ipsec.Packet) {
	if s.Proven() || s.Assoc.Proving == nil { // nothing has gone to it yet
		return
	}
	a := s.Assoc.Proving
	if a.Answered && what.Kind != ipsec.IKE {
		if a.Rounds == 0 {
			a.RoundsSince = now
		}
		a.Answered = false
		a.Rounds++
	}
	if a.Proof.FromClient(what) || a.Rounds >= proofRounds && now.Sub(a.RoundsSince) >= proofSpan {
		e.table.Prove(s.Assoc)
		e.table.Save(now, s)
		e.remember(s)
	}
}

// proving is what is seen of an association's client until it is proven.
func proving(a *session.Association) *session.Proving {
	if a.Proving == nil {
		a.Proving = new(session.Proving)
	}
	return a.Proving
}

// remember notes whom an endpoint reaches when it begins.
func (e *Engine) remember(s *session.Session) {
	if g := e.plan.groups[s.Group]; g != nil && s.Role&session.Egress != 0 {
		g.remember(s)
		if e.cfg.Siblings != nil {
			e.cfg.Siblings.Claim(g.name, s.Endpoint.Addr(), claimOf(s))
		}
	}
}

// observe notes what kind of traffic a session carries, and returns the packet as
// what it is to be taken for. On ports like 4500 any payload has the shape of
// ESP; it is taken for ESP where there is IKE, or where it is numbered as ESP is.
// Other UDP would lose packets that seem to come twice.
func (e *Engine) observe(s *session.Session, what ipsec.Packet, guess *session.Guess) ipsec.Packet {
	switch what.Kind {
	case ipsec.IKE:
		s.Seen |= session.SeenIKE
		if !s.IKE() {
			e.table.SetIKE(s.Assoc)
		}
	case ipsec.ESP:
		if !s.IKE() && !guess.ESP(what.SPI, what.Seq) {
			what.Kind = ipsec.Other
			break
		}
		s.Seen |= session.SeenESP
	}
	return what
}

// send puts one packet of a session on its way to the session's other end.
func (e *Engine) send(now mono.Time, s *session.Session, flags uint8, what ipsec.Packet, tos uint8, payload []byte) {
	h := frame.Header{Kind: frame.Data, Flags: flags, Hops: frame.MaxHops, Mode: s.Mode, TOS: tos, Origin: e.plan.self, Session: s.ID}
	if what.Kind == ipsec.IKE || what.Kind == ipsec.Keepalive {
		h.Flags |= frame.Urgent
	}
	if what.Kind != ipsec.ESP {
		h.Flags |= frame.Once
	}
	to := s.EgressPoP
	if flags&frame.ToClient != 0 {
		to = s.IngressPoP
	}
	if to == e.plan.self {
		if flags&frame.ToClient != 0 {
			e.toClient(now, s, tos, payload, true)
		} else {
			e.toEndpoint(now, s, tos, payload, true)
		}
		return
	}
	if len(payload) > udpio.MaxPayload {
		e.drops.add(DropTooLarge)
		return
	}
	if !s.PeerKnows() {
		h.Kind = frame.Open
		d := e.describe(s)
		e.route(now, to, h, d.Append, payload)
		return
	}
	e.route(now, to, h, nil, payload)
}

// classOf is how a frame is protected.
func classOf(flags uint8) segment.Class {
	if flags&frame.Urgent != 0 {
		return segment.Urgent
	}
	return segment.Bulk
}
