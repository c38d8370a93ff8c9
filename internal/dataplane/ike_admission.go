package dataplane

import (
	"net/netip"

	"causeway/internal/dataplane/admission"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// Which IKE negotiations of clients cross to an endpoint: see admission. The
// account is kept at the ingress, by listener, of what goes to the endpoint and
// what it answers.

// challengesPerSecond bounds how many cookies are asked for: no more goes out than
// came in, but a PoP has better things to do than to answer a flood.
const challengesPerSecond = 5000

// gate is the account of a listener's clients with an endpoint.
func (l *listener) gate(endpoint netip.Addr) *admission.Gate {
	g := l.gates[endpoint]
	if g == nil {
		g = new(admission.Gate)
		l.gates[endpoint] = g
	}
	return g
}

// mayBegin judges the first message of a negotiation with an endpoint of g. It may answer it with
// a request for a cookie, and makes no session for it.
func (e *Engine) mayBegin(now mono.Time, sock *socket, m *udpio.Message, what *ipsec.Packet, g *group, endpoint netip.Addr) bool {
	l, source := sock.listener, admission.Source(m.From.Addr())
	cookie := what.Init.Cookie(m.Data)
	verified := cookie != nil && e.cookies.Check(now, m.From, what.InitiatorSPI, cookie)
	gate := l.gate(endpoint)
	gate.Lanes = e.lanes()
	switch gate.Begin(now, source, what.InitiatorSPI, l.known.Has(source), verified, l.ask(what, g, endpoint)) {
	case admission.Admit:
		return true
	case admission.Challenge:
		if cookie != nil {
			e.drops.add(DropCookieWrong)
		} else {
			e.drops.add(DropCookieAsked)
		}
		e.challenge(now, sock, m, what)
	default:
		e.drops.add(DropHalfOpen)
	}
	return false
}

// ask says when strangers are asked for a cookie before what they begin crosses.
func (l *listener) ask(what *ipsec.Packet, g *group, endpoint netip.Addr) admission.Ask {
	switch {
	case what.Major() != 2: // IKEv1 has no cookies
		return admission.Never
	case l.Admission == snapshot.AdmitChallenge:
		return admission.Always
	case l.Admission == snapshot.AdmitAuto && g.bearing(endpoint):
		return admission.IfPressed
	}
	return admission.Never
}

// bearing reports whether an endpoint is known to accept cookies that it did not ask for.
func (g *group) bearing(endpoint netip.Addr) bool {
	return g.bears[endpoint] || g.health[endpoint].bears
}

func (e *Engine) challenge(now mono.Time, sock *socket, m *udpio.Message, what *ipsec.Packet) {
	b := e.cookies.AppendChallenge(e.header[:0], now, m.From, what.InitiatorSPI, what.Marker)
	if len(b) > len(m.Data) || !e.challengeBudget.take(now, challengesPerSecond) {
		return
	}
	e.queue(sock, e.arena.Copy(b), m.From, 0)
}

// negotiated notes what an endpoint's message means for a negotiation that began here.
func (e *Engine) negotiated(now mono.Time, l *listener, s *session.Session, what *ipsec.Packet) {
	source, spi, gate := admission.Source(s.Client().Addr()), what.InitiatorSPI, l.gate(s.Endpoint.Addr())
	switch {
	case what.Major() == 1:
		if what.Flags&ipsec.FlagEncrypted != 0 {
			gate.Done(source, spi)
		} else if what.Init.HasSA {
			gate.Answered(now, source, spi)
		}
	case !what.Response():
	case what.Exchange == ipsec.IKEAuth:
		gate.Done(source, spi)
	case what.Exchange != ipsec.IKESAInit:
	case what.Init.HasSA:
		if gate.Answered(now, source, spi) {
			e.learnBearing(s)
		}
	case what.Init.Has(ipsec.NotifyCookie), what.Init.Has(ipsec.NotifyInvalidKE):
		gate.Turned(now, source, spi)
	default:
		gate.Done(source, spi)
	}
}

// learnBearing notes that an endpoint has accepted a request with a cookie that it did not ask for.
func (e *Engine) learnBearing(s *session.Session) {
	if g := e.plan.groups[s.Group]; g != nil {
		g.bears[s.Endpoint.Addr()] = true
	}
}

// becomesKnown notes that an endpoint has sent ESP to the client, and so holds keys with it.
func becomesKnown(l *listener, s *session.Session) {
	s.Seen |= session.SeenOwnESP
	l.known.Good(admission.Source(s.Client().Addr()))
}

// SetEndpointBears takes in whether an endpoint of a group that leaves here
// accepts a request with a cookie that it did not ask for, as a probe has shown.
func (e *Engine) SetEndpointBears(groupName string, endpoint netip.Addr, bears bool) {
	if e.plan == nil {
		return
	}
	g := e.plan.groups[session.NameOf(groupName)]
	if g != nil && g.pop == e.plan.self && g.lists(endpoint) {
		g.bears[endpoint] = bears
	}
}

// reportAdmission tells of all a listener's endpoints together.
func (l *listener) reportAdmission(now mono.Time) report.Admission {
	r := report.Admission{Mode: string(l.Listener.Admission), Bears: true, Known: l.known.Len()}
	for _, g := range l.groups {
		for _, ep := range g.Endpoints {
			r.Bears = r.Bears && g.bearing(ep.Address)
		}
	}
	for _, g := range l.gates {
		r.HalfOpen += g.Len(now)
		r.Admitted += g.Admitted
		r.Challenged += g.Challenged
		r.Refused += g.Refused
	}
	return r
}

// pressed is since when half-open negotiations have piled up at one of a
// listener's endpoints; zero: they do not.
func (l *listener) pressed(now mono.Time) (since mono.Time) {
	for _, g := range l.gates {
		if g.Pressed(now) {
			since = mono.Earliest(since, g.PressedSince)
		}
	}
	return since
}

// SetEndpointBears takes in whether an endpoint of a group that leaves here
// accepts a cookie that it has not asked for. Any goroutine may call it while Run runs.
func (p *Plane) SetEndpointBears(group string, endpoint netip.Addr, bears bool) {
	_ = p.each(func(_ mono.Time, e *Engine) error { // stopped: nobody wants to know
		e.SetEndpointBears(group, endpoint, bears)
		return nil
	})
}
