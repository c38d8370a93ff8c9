package dataplane

import (
	"net/netip"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// toEndpoint gives a packet from the overlay to its endpoint. stable tells that
// payload lives until Flush.
func (e *Engine) toEndpoint(now mono.Time, s *session.Session, tos uint8, payload []byte, stable bool) {
	sock := e.egressSocket(s)
	if sock == nil {
		e.drops.add(DropRefusedSession)
		return
	}
	what := ipsec.Peek(payload, ipsec.NATT(s.Endpoint.Port()))
	e.table.Touch(now, s)
	if s.IngressPoP != s.EgressPoP { // else fromClient has done so
		what = e.observe(s, what, &s.GuessToEndpoint)
		e.prove(now, s, what)
		s.ToEndpoint.Add(len(payload))
	}
	s.TOS = tos
	e.leave(now, s, sock, s.Endpoint, what, payload, stable)
}

// fromEndpoint carries one packet from an endpoint into the overlay.
func (e *Engine) fromEndpoint(now mono.Time, sock *socket, m *udpio.Message) {
	what := ipsec.Peek(m.Data, ipsec.NATT(m.From.Port()))
	s := e.table.ByEgress(sock.addr, m.From)
	if s != nil && e.yields(sock, s, what) {
		e.end(s, session.EndpointBegan)
		s = nil
	}
	if s == nil {
		if e.passed(sock, m) {
			return
		}
		if s = e.openFromEndpoint(now, sock, m); s == nil {
			return
		}
	}
	if s.EgressPoP != s.IngressPoP { // else toClient does so
		what = e.observe(s, what, &s.GuessToClient)
		e.watch(now, s, ipsec.ToClient, &what, len(m.Data))
	}
	if what.Kind == ipsec.ESP && s.Seen&session.SeenPeerESP == 0 {
		s.Seen |= session.SeenPeerESP
		e.remember(s)
	}
	if s.EgressPoP != s.IngressPoP { // else toClient does so
		if !s.Proven() {
			e.noteAnswer(s.Assoc, what)
		}
		if !e.confirm(now, s) {
			return
		}
		s.ToClient.Add(len(m.Data))
	}
	e.table.Touch(now, s)
	e.send(now, s, frame.ToClient, what, m.TOS, m.Data)
}

// yields reports whether a session must make room for an endpoint that begins an
// IKE SA: its client, who may be anyone that was there first, has shown less than
// the one that belongs to the endpoint.
func (e *Engine) yields(sock *socket, s *session.Session, what ipsec.Packet) bool {
	if !sock.fixed || what.Kind != ipsec.IKE || what.Response() || what.ResponderSPI != 0 {
		return false
	}
	g := e.plan.groups[s.Group]
	if g == nil {
		return false
	}
	c, ok := g.callee(s.Endpoint.Addr())
	return ok && c.client != s.Client().Addr() && c.claim > claimOf(s)
}

// openFromEndpoint makes a session for an endpoint that begins: towards the
// client that last belonged to it, or the one the snapshot names.
func (e *Engine) openFromEndpoint(now mono.Time, sock *socket, m *udpio.Message) *session.Session {
	from := m.From
	if !sock.fixed { // a port given to one session is nobody else's to call
		e.drops.add(DropStranger)
		return nil
	}
	g, c, passed := e.calleeOf(sock, m)
	switch {
	case passed:
		return nil
	case g == nil:
		e.drops.add(DropStranger)
		return nil
	}
	port := sock.addr.Port()
	s := session.Opening{
		ID:     e.newSessionID(),
		Role:   session.Egress,
		Client: netip.AddrPortFrom(c.client, port),
		Egress: sock.addr,
		Terms: session.Terms{
			Accelerated: netip.AddrPortFrom(c.accelerated, port),
			Endpoint:    from,
			IngressPoP:  c.ingress, EgressPoP: e.plan.self,
			Group: g.name, Listener: c.listener,
			Idle: c.idle, Mode: c.mode, Order: c.order, Window: c.window,
		},
	}
	if c.ingress == e.plan.self {
		s.Role |= session.Ingress
	}
	// The client's flow may be known under another endpoint port: the
	// newer one replaces it.
	sock.egress++
	proven := e.replace(e.table.ByFlow(s.IngressPoP, s.Client, s.Accelerated))
	n := e.add(now, s)
	if n == nil {
		e.releaseEgress(sock.addr)
		return nil
	}
	if proven || c.claim == claimSnapshot { // which vouches for the address
		e.table.Prove(n.Assoc)
	}
	return n
}

// calleeOf is the client that an endpoint which begins is for: of those of the
// groups that have it and leave from this egress IP, the one that belongs to it the
// most surely; of several, that of the group that the snapshot names first. passed
// tells that another engine of this PoP has it.
func (e *Engine) calleeOf(sock *socket, m *udpio.Message) (in *group, who callee, passed bool) {
	from, port := m.From.Addr(), sock.addr.Port()
	for _, sg := range e.plan.snap.EndpointGroups {
		g := e.plan.groups[session.NameOf(sg.Name)]
		if g.pop != e.plan.self || g.egress != sock.addr.Addr() || !g.lists(from) {
			continue
		}
		if e.cfg.Siblings != nil && e.cfg.Siblings.PassCall(g.name, sock.addr, *m) {
			return nil, callee{}, true
		}
		c, ok := g.callee(from)
		if ok && !e.claimed(e.now, c, port, from) && (in == nil || c.claim > who.claim) {
			in, who = g, c
		}
	}
	return in, who, false
}

// giveEgress gives s its egress address: the client's own port where it is free.
func (e *Engine) giveEgress(s *session.Opening, want uint16) bool {
	ip := s.Egress.Addr()
	port, ok := e.table.FreePort(ip, s.Endpoint, want, func(p uint16) bool {
		sock, err := e.listen(netip.AddrPortFrom(ip, p), Edge)
		return err == nil && sock.listener == nil && (!sock.fixed || e.steered(s.Endpoint.Addr()))
	})
	if !ok {
		e.drops.add(DropPortsTaken)
		return false
	}
	s.Egress = netip.AddrPortFrom(ip, port)
	e.byAddr[s.Egress].egress++
	return true
}

// releaseEgress lets go of a session's egress socket.
func (e *Engine) releaseEgress(addr netip.AddrPort) {
	sock := e.byAddr[addr]
	if sock == nil {
		return
	}
	if sock.egress--; sock.egress <= 0 && !sock.fixed && sock.listener == nil {
		e.closeSocket(sock)
	}
}
