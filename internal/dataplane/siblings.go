package dataplane

import (
	"encoding/binary"
	"net/netip"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/ipsec"
	"causeway/internal/keys"
)

// Siblings is what an Engine knows of the others when several share a PoP, each
// with a lane of its own: sessions, segments and sockets of lane n of one PoP only
// ever meet lane n of others. The kernel steers packets to the lane they belong to;
// Siblings helps where it cannot know better. An Engine without is the only one.
//
// All methods may be called by the Engine's goroutine at any time, and are off the
// packets' usual way.
type Siblings interface {
	// Lane is which of the engines this one is; Lanes is among how many new clients
	// are spread, and what a snapshot bounds is divided.
	Lane() uint8
	Lanes() int
	// ListenShared opens a socket at an address that all the engines have.
	ListenShared(addr netip.AddrPort, use Use, token uint64) (Socket, error)
	// Steered reports whether packets from a remote address to a shared edge socket
	// reach this engine.
	Steered(remote netip.Addr) bool
	// Hold makes the others pass on what comes to local from remote, until Release.
	Hold(local, remote netip.AddrPort)
	Release(local, remote netip.AddrPort)
	// Pass gives a packet to the engine that holds its flow, and reports whether
	// there is one other than this.
	Pass(local netip.AddrPort, m udpio.Message) bool
	// PassHome gives a new client's packet to the engine that its packets are steered to, and
	// reports whether that is another than this: until all engines have opened their sockets, the
	// kernel steers to those that have.
	PassHome(local netip.AddrPort, m udpio.Message) bool
	// HoldClaim makes the others pass on what shows a claim of a session of ours from
	// an address that they do not know, until ReleaseClaim; see session.ClaimOf.
	HoldClaim(claim uint64)
	ReleaseClaim(claim uint64)
	// PassClaim gives a packet to the engine that holds its claim, and reports whether
	// there is one other than this.
	PassClaim(claim uint64, local netip.AddrPort, m udpio.Message) bool
	// Claim notes that a client of this lane belongs to an endpoint of the group.
	Claim(group session.Name, endpoint netip.Addr, claim uint8)
	// PassCall gives a packet with which an endpoint begins to the engine whose
	// claim to it is the strongest, and reports whether that is another than this.
	PassCall(group session.Name, local netip.AddrPort, m udpio.Message) bool
	// Want tells that a peer has a lane that this PoP has not begun yet.
	Want(lane uint8)
	// Share takes in what this engine has used, in bytes since it last told, of
	// an allowance in a direction, and how many sessions it has under it. It returns
	// what part of the allowance's rate is this engine's at present, and how many
	// sessions the others have.
	Share(allowance string, direction int, used uint64, open int) (part float64, others int)
}

// lane is which lane this engine is.
func (e *Engine) lane() uint8 {
	if e.cfg.Siblings == nil {
		return 0
	}
	return e.cfg.Siblings.Lane()
}

// lanes is among how many engines clients are spread.
func (e *Engine) lanes() int {
	if e.cfg.Siblings == nil {
		return 1
	}
	return e.cfg.Siblings.Lanes()
}

// among divides what a snapshot bounds by the engines that share it.
func (e *Engine) among(bound int) int {
	if e.cfg.Siblings == nil || bound == 0 {
		return bound
	}
	lanes := e.cfg.Siblings.Lanes()
	return (bound + lanes - 1) / lanes
}

// passed gives a packet of no session of ours to the engine that has it, if one has.
func (e *Engine) passed(sock *socket, m *udpio.Message) bool {
	return e.cfg.Siblings != nil && e.cfg.Siblings.Pass(sock.addr, *m)
}

// passedHome gives a new client's packet to the engine that is to have its session: here,
// all of its packets would have to be passed on for as long as it lasts.
func (e *Engine) passedHome(sock *socket, m *udpio.Message) bool {
	return e.cfg.Siblings != nil && e.cfg.Siblings.PassHome(sock.addr, *m)
}

// passedByClaim gives a packet from an address without a session to the engine
// that has its client, if one has.
func (e *Engine) passedByClaim(sock *socket, m *udpio.Message, what *ipsec.Packet) bool {
	if e.cfg.Siblings == nil {
		return false
	}
	claim, ok := session.ClaimOf(e.claimSeed, sock.addr, what)
	return ok && e.cfg.Siblings.PassClaim(claim, sock.addr, *m)
}

// tellClaim tells the other engines which claims lead to sessions of ours.
func (e *Engine) tellClaim(claim uint64, held bool) {
	if held {
		e.cfg.Siblings.HoldClaim(claim)
	} else {
		e.cfg.Siblings.ReleaseClaim(claim)
	}
}

// claimSeed makes claims that all engines of a PoP understand, and nobody else can make.
func claimSeed(key keys.PrivateKey) (seed uint64) {
	for i := 0; i < len(key); i += 8 {
		seed = ipsec.Mix(seed ^ binary.BigEndian.Uint64(key[i:]))
	}
	return seed
}

// steered reports whether what remote sends to a shared socket reaches this engine.
func (e *Engine) steered(remote netip.Addr) bool {
	return e.cfg.Siblings == nil || e.cfg.Siblings.Steered(remote)
}

// hold makes a session's packets reach us where steering takes them elsewhere;
// release ends it.
func (e *Engine) hold(s *session.Session) {
	e.know(s, true)
	if e.cfg.Siblings == nil {
		return
	}
	e.strays(s, e.cfg.Siblings.Hold)
}

func (e *Engine) release(s *session.Session) {
	e.takeBack(s)
	e.know(s, false)
	if e.cfg.Siblings == nil {
		return
	}
	e.strays(s, e.cfg.Siblings.Release)
}

func (e *Engine) strays(s *session.Session, f func(local, remote netip.AddrPort)) {
	if s.Role&session.Ingress != 0 && !e.steered(s.Client().Addr()) {
		f(s.Accelerated, s.Client())
	}
	if s.Role&session.Egress != 0 && s.Egress().Port() != 0 && !e.steered(s.Endpoint.Addr()) {
		f(s.Egress(), s.Endpoint)
	}
}

// listenShared is listen for an address that all the engines of a PoP have.
func (e *Engine) listenShared(addr netip.AddrPort, use Use) (*socket, error) {
	if e.cfg.Siblings == nil {
		return e.listen(addr, use)
	}
	return e.open(addr, use, e.cfg.Siblings.ListenShared)
}

// shareAllowances settles what part of each allowance is this engine's.
func (e *Engine) shareAllowances() {
	if e.cfg.Siblings == nil || e.cfg.Siblings.Lanes() < 2 {
		return
	}
	for i := range e.plan.snap.Allowances {
		s := &e.plan.snap.Allowances[i]
		a := e.plan.allowances[s.Name]
		others := 0
		for d := range a.Lanes {
			l := &a.Lanes[d]
			used := l.Passed.Bytes + l.Dropped.Bytes
			var part float64
			part, others = e.cfg.Siblings.Share(s.Name, d, used-min(used, l.Told), a.Open)
			l.Told = used
			l.Set(e.now, int64(float64(s.Rate)*part), int64(float64(s.Burst)*part))
		}
		if s.Sessions > 0 { // 0 would mean no bound
			a.Sessions = max(1, s.Sessions-others)
		}
	}
}
