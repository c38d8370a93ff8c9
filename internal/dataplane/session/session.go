// Package session remembers who talks to whom: a client's flow, the addresses
// it has on the egress side, and which flows belong together. It decides who
// may be remembered at all when strangers knock; it sends nothing.
//
// The same table serves both ends. On the ingress a session is found by the
// client's address and the accelerated address it sent to; on the egress by
// the egress address and the endpoint that answered. One client's sessions
// towards one endpoint group form an association: same endpoint, same egress
// IP, kept as long as any of them lives.
package session

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"causeway/internal/dataplane/resequence"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Role says which ends of a session this PoP is.
type Role uint8

const (
	Ingress Role = 1 << 0
	Egress  Role = 1 << 1
)

// Name stands for an endpoint group's or a listener's name: a 64-bit hash that
// is the same on every PoP and on disk. Zero is no name.
type Name uint64

// NameOf returns n's Name (FNV-1a).
func NameOf(n string) Name {
	h := uint64(14695981039346656037)
	for i := range len(n) {
		h = (h ^ uint64(n[i])) * 1099511628211
	}
	return Name(h | 1)
}

// Terms are what many sessions have in common, and share: see Session. Comparable.
type Terms struct {
	Accelerated netip.AddrPort // in the ingress's bind form
	Endpoint    netip.AddrPort // the VPN device near the egress
	IngressPoP  snapshot.Label
	EgressPoP   snapshot.Label
	Group       Name
	Listener    Name
	Idle        time.Duration
	Mode        uint8  // repair.Mode
	Order       uint8  // resequence.Mode
	Window      uint16 // the VPN devices' replay window, packets

	egressIP netip.Addr // of the session's Egress
}

// Opening is a session to be: what Table.Add makes one of, and what is on disk.
type Opening struct {
	ID     uint64 // what frames call it: the name that the other end is known to have for it
	Alias  uint64 // what it was called before, when both ends opened it at once; 0: nothing
	Role   Role
	Client netip.AddrPort // the VPN device near the ingress
	Egress netip.AddrPort // in the egress's bind form; port 0 on an ingress until the egress told it
	Terms

	Confirmed bool
	Seen      Seen
}

// Session is one client flow and its addresses on the egress side. What is
// exported may be read; what of it may be set says so, the rest is the Table's.
//
// There may be millions, and a packet of each finds it in no cache: so a Session
// is three cache lines, packets at an ingress towards the endpoint need the
// first, all others the first two. What sessions have in common is elsewhere (Terms).
type Session struct {
	*Terms // shared: never to be changed in place, see Table.Renew
	ID     uint64
	// LastActive is when a packet last came or went.
	LastActive mono.Time
	ToEndpoint Count // packets of this session that this PoP carried; to be set
	client     [16]byte
	clientPort uint16
	egressPort uint16
	Role       Role
	Seen       Seen  // to be set
	TOS        uint8 // of the newest packet that left here; to be set
	state      state

	ToClient Count           // to be set
	AtRest   resequence.Rest // the order of its ESP where it leaves here, while InOrder is 0; to be set
	InOrder  uint32          // the number of the resequence.Buffer that puts packets in order where they leave here; 0: nothing is out of order. To be set
	Exit     uint32          // by which its owner finds where its packets leave; to be set
	Created  mono.Time
	Saved    mono.Time // when last written to the store; zero: never

	Assoc *Association
	alias uint64
	// What tells ESP from other UDP where there is no IKE, each way; to be set.
	GuessToEndpoint, GuessToClient Guess

	slot    uint32
	ring    int32  // place in the ring of unconfirmed sessions; -1: confirmed
	next    uint32 // the slot + 1 of the next session of its association
	claims  uint32 // its claims' place + 1, by which it is found where its address is not known; 0: none
	Moves   uint16 // times that the client's address has changed
	Logged  uint16 // records of it that were handed out while it lasts; to be set
	End     End    // why it ends; to be set just before it does
	Waiting bool   // InOrder holds packets and is on the engine's list; to be set
	// Forwarded: the kernel forwards packets of it by itself (dataplane/below.go); to be set.
	Forwarded bool
}

// state is what of a session is true or not.
type state uint8

const (
	confirmed state = 1 << iota
	peerKnows
	proven  // as its association is
	ike     // likewise
	watched // likewise
	roams   // see Table.Moving
)

func (s *Session) is(what state) bool { return s.state&what != 0 }

func (s *Session) set(what state, is bool) {
	if s.state &^= what; is {
		s.state |= what
	}
}

// Client is the VPN device near the ingress.
func (s *Session) Client() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(s.client).Unmap(), s.clientPort)
}

// Egress is the session's address in the egress's bind form; port 0 on an ingress
// until the egress told it.
func (s *Session) Egress() netip.AddrPort { return netip.AddrPortFrom(s.egressIP, s.egressPort) }

// Alias is what s was called before, when both ends opened it at once; 0: nothing.
func (s *Session) Alias() uint64 { return s.alias }

// Confirmed reports whether the endpoint has answered.
func (s *Session) Confirmed() bool { return s.is(confirmed) }

// PeerKnows reports whether the other end acknowledged the description.
func (s *Session) PeerKnows() bool { return s.is(peerKnows) }

// SetPeerKnows notes whether the other end knows the session.
func (s *Session) SetPeerKnows(knows bool) { s.set(peerKnows, knows) }

// Proven reports whether the client receives at its address: its association knows.
func (s *Session) Proven() bool { return s.is(proven) }

// IKE reports whether one of the association's sessions has carried IKE.
func (s *Session) IKE() bool { return s.is(ike) }

// Watch is what is seen of the association's IPsec; nil: it is not watched.
func (s *Session) Watch() *Watched {
	if !s.is(watched) {
		return nil
	}
	return s.Assoc.watch
}

// Roams reports whether something is known of its client elsewhere: see Table.Moving.
func (s *Session) Roams() bool { return s.is(roams) }

// Opening is what s could be made of again.
func (s *Session) Opening() Opening {
	return Opening{
		ID: s.ID, Alias: s.alias, Role: s.Role, Client: s.Client(), Egress: s.Egress(), Terms: *s.Terms, Confirmed: s.Confirmed(), Seen: s.Seen,
	}
}

func (s *Session) setClient(a netip.AddrPort) { s.client, s.clientPort = a.Addr().As16(), a.Port() }

func (s *Session) hasFlow(ingress snapshot.Label, client, accelerated netip.AddrPort) bool {
	return s.clientPort == client.Port() && s.client == client.Addr().As16() && s.Accelerated == accelerated && s.IngressPoP == ingress
}

func (s *Session) hasEgress(egress, endpoint netip.AddrPort) bool {
	return s.Role&Egress != 0 && s.egressPort == egress.Port() && s.Endpoint == endpoint && s.egressIP == egress.Addr()
}

// End says why a session ended.
type End uint8

// The reasons. The zero End is of one that its owner took out without a word.
const (
	Closed        End = iota // the other PoP said so
	Idle                     // nothing passed for its idle timeout
	Pushed                   // unconfirmed, and newer ones needed the place
	Replaced                 // another session has its flow
	EndpointLost             // its client has a better endpoint
	NotAllowed               // the snapshot no longer has it
	EndpointBegan            // made room for a client that belongs to the endpoint
	Stopped                  // the PoP stopped; the session is on disk
)

// String names the reason as flow logs do.
func (e End) String() string {
	names := [...]string{"closed", "idle", "pushed", "replaced", "endpoint_lost", "not_allowed", "endpoint_began", "stopped"}
	if int(e) < len(names) {
		return names[e]
	}
	return "unknown"
}

// Claimed reports whether s can be found by a claim at all.
func (s *Session) Claimed() bool { return s.claims != 0 }

// Moving is what is known of a client at an address that is not its own: see
// dataplane/rebind.go.
type Moving struct {
	To      netip.AddrPort // it may be there now; invalid: nothing says so
	Since   mono.Time      // of the first packet from there
	Last    mono.Time      // of the newest
	First   uint32         // number of that packet, of ESP
	Packets uint8          // from there that go on with its SAs

	// The newest IKE request from there, which the endpoint has not answered yet.
	Asked                bool
	Request              uint32
	Initiator, Responder uint64

	Quiet mono.Time      // until when nobody else is believed: it was heard where it is
	Was   netip.AddrPort // where it was before it last moved
	Until mono.Time      // how long it may go back there at once
}

// Count is packets and their payload bytes.
type Count struct{ Packets, Bytes uint64 }

// Add counts one packet of n bytes.
func (c *Count) Add(n int) { c.Packets++; c.Bytes += uint64(n) }

// Seen is what kinds of traffic a session has carried.
type Seen uint8

const (
	SeenIKE Seen = 1 << iota
	SeenESP
	SeenPeerESP // ESP from the endpoint: it has keys with the client
	SeenOwnESP  // the same, seen at the ingress
)

// Guess finds out whether packets that have the shape of ESP are numbered like
// ESP: most often one more than the one before, never the same for long.
type Guess struct {
	spi, seq uint32
	run      uint8
}

// guessRun is after how many packets that are numbered so it is believed, guessMost
// how many count; one that is not takes back as many as are needed.
const guessRun, guessMost = 4, 32

// ESP takes in the next packet and reports whether it is likely to be ESP.
func (g *Guess) ESP(spi, seq uint32) bool {
	const near = 64
	switch step := int32(seq - g.seq); {
	case spi != g.spi || step <= -near || step >= near: // a new SPI, or something else
		g.run -= min(g.run, guessRun)
	case step != 0: // a packet that comes twice says nothing
		g.run = min(g.run+1, guessMost)
	}
	g.spi, g.seq = spi, seq
	return g.run >= guessRun
}

// portsKey is an egress IP and an endpoint: what ports are given out between.
type portsKey struct {
	egress   netip.Addr
	endpoint netip.AddrPort
}

// ClaimOf is what a packet of an SA that stands shows of whose it is, beside its
// source: ESP's SPI, or both of IKE's, at an accelerated address. seed makes it impossible to
// construct two packets with one claim. ok is false when the packet shows nothing.
func ClaimOf(seed uint64, accelerated netip.AddrPort, p *ipsec.Packet) (claim uint64, ok bool) {
	ip := accelerated.Addr().As16()
	at := binary.BigEndian.Uint64(ip[:]) ^ bits.RotateLeft64(binary.BigEndian.Uint64(ip[8:]), 17) ^ uint64(accelerated.Port())<<48
	switch {
	case p.Kind == ipsec.ESP:
		return ipsec.Mix(ipsec.Mix(seed^at)^uint64(p.SPI)) | 1, true
	case p.Kind == ipsec.IKE && p.ResponderSPI != 0:
		return ipsec.Mix(ipsec.Mix(ipsec.Mix(seed^at)+p.InitiatorSPI)^p.ResponderSPI) | 1, true
	}
	return 0, false
}
