package ipsec

import (
	"time"

	"causeway/internal/mono"
)

// IKECount is what can be seen of an association's IKE at one place on its way.
type IKECount struct {
	Version    uint8                 // as in the header, of the newest message: 0x10, 0x20; 0: none yet
	NATT       bool                  // IKE or ESP has come on a port for NAT traversal
	NoNATD     [2]bool               // a first message without NAT detection went this way: no NAT traversal is offered
	Messages   [2][2]uint32          // on port 500, then on ports with the marker; by direction
	Exchanges  [ExchangeKinds]uint32 // begun, retransmissions left out
	Retransmit [2]uint32             // requests that went again, by direction
	AnswerLost [2]uint32             // of those, requests that had been answered here already: the answer was lost behind this place
	Unanswered [2]uint32             // requests given up: another followed, and no answer had come
	Collisions uint32                // both ends began to renew at the same time
	IKESAs     uint32                // that were begun or renewed
	Fragments  [2]uint32             // messages in the pieces of RFC 7383
	Large      [2]uint32             // messages larger than an Ethernet frame takes: IP fragments
	LargeAgain [2]uint32             // of Retransmit: those of large messages and of pieces
	Largest    [2]uint16             // bytes
	Notifies   [2][NotifyKinds]uint16
	Probes     [2]Probes
	Answer     time.Duration // from the newest request to its answer, as seen here
}

// Probes are small INFORMATIONAL requests: most often dead peer detection (RFC 7296 section 1.4).
type Probes struct {
	Sent  uint32
	Every time.Duration // smoothed; 0 until there were two
	last  mono.Time
}

// ExchangeKind sorts exchanges for counting.
type ExchangeKind uint8

// The kinds, with what they are in either version.
const (
	KindInit   ExchangeKind = iota // IKE_SA_INIT; main and aggressive mode
	KindAuth                       // IKE_AUTH
	KindCreate                     // CREATE_CHILD_SA; quick mode
	KindInformational
	KindOther
	ExchangeKinds
)

// String names the kind as a report does.
func (k ExchangeKind) String() string {
	return [...]string{"init", "auth", "create", "informational", "other"}[min(k, KindOther)]
}

func (p *Packet) kind() ExchangeKind {
	switch p.Exchange {
	case IKESAInit, MainMode, AggressiveMode:
		return KindInit
	case IKEAuth:
		return KindAuth
	case CreateChildSA, QuickMode:
		return KindCreate
	case Informational, InformationalV1:
		return KindInformational
	}
	return KindOther
}

// noted are the notifies in the clear that are counted.
var noted = [...]struct {
	notify Notify
	name   string
}{
	{NotifyInvalidIKESPI, "INVALID_IKE_SPI"},
	{NotifyInvalidMajorVersion, "INVALID_MAJOR_VERSION"},
	{NotifyInvalidSyntax, "INVALID_SYNTAX"},
	{NotifyNoProposalChosen, "NO_PROPOSAL_CHOSEN"},
	{NotifyInvalidKE, "INVALID_KE_PAYLOAD"},
	{NotifyAuthenticationFailed, "AUTHENTICATION_FAILED"},
	{NotifyCookie, "COOKIE"},
	{NotifyRedirect, "REDIRECT"},
	{NotifyFragmentationSupported, "IKEV2_FRAGMENTATION_SUPPORTED"},
}

// NotifyKinds is how many notifies are counted.
const NotifyKinds = len(noted)

// NotifyName is the name of the i-th notify of IKECount.Notifies, as IANA has it.
func NotifyName(i int) string { return noted[i].name }

const (
	ikeSAs    = 3    // followed at once
	largeIKE  = 1472 // bytes of UDP payload that an Ethernet frame takes over IPv4
	smallIKE  = 112  // bytes; an empty INFORMATIONAL has 57 to 97, by its algorithms
	collision = 10 * time.Second
)

// ikeSA is the talk of two peers about one IKE SA.
type ikeSA struct {
	initiator, responder uint64
	active               mono.Time
	last                 Direction // of the newest message
	requests             [2]ikeRequest
	highest              uint32 // message ID of requests to the endpoint
	sealed               bool   // an encrypted message of the endpoint has been seen
}

// ikeRequest is the newest request that went one way.
type ikeRequest struct {
	id       uint32
	at       mono.Time
	size     uint16
	fragment uint16
	exchange Exchange
	next     uint8
	there    bool
	answered bool
	refused  bool // answered by a notify that asks for another try
}

func (w *Watch) noteIKE(now mono.Time, d Direction, natt bool, p *Packet, size int) (fresh bool) {
	c := &w.IKE
	c.Version = p.Version
	port := 0
	if natt || p.Marker {
		port, c.NATT = 1, true
	}
	c.Messages[port][d]++
	c.Largest[d] = max(c.Largest[d], uint16(min(size, 1<<16-1)))
	if size > largeIKE {
		c.Large[d]++
	}
	if p.Fragment > 0 {
		c.Fragments[d]++
	}
	if p.Opening() {
		w.noteClear(d, p)
	}
	sa, known := w.saOf(now, p)
	fresh = !known || sa.responder == 0 && p.ResponderSPI != 0
	if p.ResponderSPI != 0 {
		sa.responder = p.ResponderSPI
	}
	sa.active = now
	if d == ToClient && p.sealed() {
		sa.sealed = true
	}
	switch {
	case p.Major() == 1:
		w.noteV1(now, sa, d, p, size)
	case p.Response():
		w.noteResponse(now, sa, d, p)
	default:
		w.noteRequest(now, sa, d, p, size)
	}
	sa.last = d
	return fresh
}

// noteClear takes in what a message without encryption says.
func (w *Watch) noteClear(d Direction, p *Packet) {
	c := &w.IKE
	if p.Init.HasSA && p.Major() == 2 && !p.Init.NATDetection() {
		c.NoNATD[d] = true
	}
	for i := range noted {
		if p.Init.Has(noted[i].notify) && c.Notifies[d][i] < 1<<16-1 {
			c.Notifies[d][i]++
		}
	}
}

// saOf finds the SA of a message, or gives it the place of the longest silent one.
func (w *Watch) saOf(now mono.Time, p *Packet) (sa *ikeSA, known bool) {
	oldest := &w.sas[0]
	for i := range w.sas {
		sa := &w.sas[i]
		if sa.initiator == p.InitiatorSPI && (sa.responder == p.ResponderSPI || sa.responder == 0 || p.ResponderSPI == 0) {
			return sa, true
		}
		if sa.active < oldest.active || sa.initiator == 0 && oldest.initiator != 0 {
			oldest = sa
		}
	}
	w.IKE.IKESAs++
	*oldest = ikeSA{initiator: p.InitiatorSPI, active: now}
	return oldest, false
}

func (w *Watch) noteRequest(now mono.Time, sa *ikeSA, d Direction, p *Packet, size int) {
	c, r := &w.IKE, &sa.requests[d]
	if r.there && r.id == p.MessageID && r.exchange == p.Exchange && !(r.answered && r.refused) {
		if p.Fragment > r.fragment { // the next piece of the same message
			r.fragment = p.Fragment
			return
		}
		if p.Fragment <= 1 { // of a message in pieces, one counts
			c.again(d, r, p, size)
		}
		return
	}
	if r.there && !r.answered {
		c.Unanswered[d]++
	}
	other := &sa.requests[d.Other()]
	if p.Exchange == CreateChildSA && other.there && !other.answered && other.exchange == CreateChildSA && now.Sub(other.at) < collision {
		c.Collisions++
	}
	if p.Exchange == Informational && size <= smallIKE {
		c.Probes[d].note(now)
	}
	c.Exchanges[p.kind()]++
	if d == ToEndpoint {
		sa.highest = max(sa.highest, p.MessageID)
	}
	*r = ikeRequest{id: p.MessageID, at: now, size: uint16(min(size, 1<<16-1)), fragment: p.Fragment, exchange: p.Exchange, next: p.NextPayload, there: true}
}

// again counts a request that was sent before.
func (c *IKECount) again(d Direction, r *ikeRequest, p *Packet, size int) {
	c.Retransmit[d]++
	if r.answered {
		c.AnswerLost[d]++
	}
	if size > largeIKE || p.Fragment > 0 {
		c.LargeAgain[d]++
	}
}

func (p *Probes) note(now mono.Time) {
	if p.Sent++; p.last != 0 {
		if gap := now.Sub(p.last); p.Every == 0 {
			p.Every = gap
		} else {
			p.Every += (gap - p.Every) / 4
		}
	}
	p.last = now
}

func (w *Watch) noteResponse(now mono.Time, sa *ikeSA, d Direction, p *Packet) {
	r := &sa.requests[d.Other()]
	if !r.there || r.id != p.MessageID || r.answered {
		return
	}
	r.answered = true
	r.refused = p.Exchange == IKESAInit && !p.Init.HasSA
	w.IKE.Answer = now.Sub(r.at)
}

// noteV1 takes in a message of IKEv1, where nothing tells a request from an
// answer: the same message again, with nothing from the other side in between, is a
// retransmission.
func (w *Watch) noteV1(now mono.Time, sa *ikeSA, d Direction, p *Packet, size int) {
	c, r := &w.IKE, &sa.requests[d]
	same := r.there && r.id == p.MessageID && r.exchange == p.Exchange && r.next == p.NextPayload && int(r.size) == size
	if same && sa.last == d {
		c.again(d, r, p, size)
		return
	}
	if other := &sa.requests[d.Other()]; other.there && !other.answered && other.exchange == p.Exchange && other.id == p.MessageID {
		other.answered = true
		c.Answer = now.Sub(other.at)
	} else {
		c.Exchanges[p.kind()]++
	}
	*r = ikeRequest{id: p.MessageID, at: now, size: uint16(min(size, 1<<16-1)), exchange: p.Exchange, next: p.NextPayload, there: true}
}

// followsIKE reports whether a protected IKE message goes on with an SA that the
// endpoint has part in: a request to it with an ID that has not been seen.
func (w *Watch) followsIKE(p *Packet) bool {
	if p.Major() != 2 || p.Response() || p.ResponderSPI == 0 || !p.sealed() {
		return false
	}
	for i := range w.sas {
		if sa := &w.sas[i]; sa.sealed && sa.initiator == p.InitiatorSPI && sa.responder == p.ResponderSPI {
			return p.MessageID-sa.highest-1 < 1<<10
		}
	}
	return false
}

func (w *Watch) holdsIKE(p *Packet) bool {
	if p.ResponderSPI == 0 || !p.sealed() {
		return false
	}
	for i := range w.sas {
		if sa := &w.sas[i]; sa.sealed && sa.initiator == p.InitiatorSPI && sa.responder == p.ResponderSPI {
			return true
		}
	}
	return false
}
