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

// Session is one client flow and its addresses on the egress side. Fields in
// the first group never change while a session lives in a Table, except through
// the Table's methods.
type Session struct {
	ID          uint64 // what frames call it: the name that the other end is known to have for it
	Alias       uint64 // what it was called before, when both ends opened it at once; 0: nothing
	Role        Role
	Client      netip.AddrPort // the VPN device near the ingress
	Accelerated netip.AddrPort // in the ingress's bind form
	Endpoint    netip.AddrPort // the VPN device near the egress
	Egress      netip.AddrPort // in the egress's bind form; port 0 on an ingress until the egress told it
	IngressPoP  snapshot.Label
	EgressPoP   snapshot.Label
	Group       Name
	Listener    Name
	Idle        time.Duration
	Mode        uint8  // repair.Mode
	Order       uint8  // resequence.Mode
	Window      uint16 // the VPN devices' replay window, packets

	Assoc *Association

	PeerKnows  bool // the other end acknowledged the description
	Confirmed  bool // the endpoint has answered
	Created    mono.Time
	LastActive mono.Time
	Saved      mono.Time // when last written to the store; zero: never

	// What tells ESP from other UDP where there is no IKE, each way.
	GuessToEndpoint, GuessToClient Guess

	TOS        uint8 // of the newest packet that left here
	Seen       Seen
	End        End    // why it ends; set just before it does
	Moves      uint16 // times that the client's address has changed
	Logged     uint16 // records of it that were handed out while it lasts
	ToEndpoint Count  // packets of this session that this PoP carried, each way
	ToClient   Count

	InOrder *resequence.Buffer // puts packets in order where they leave here; nil until needed
	Waiting bool               // InOrder holds packets and is on the engine's list

	Moving *Moving // where the client may be now, or was before; nil: it has stayed

	claims *claims // by which it is found where its address is not known; nil: none

	slot uint32
	ring int32 // place in the ring of unconfirmed sessions; -1: confirmed
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
func (s *Session) Claimed() bool { return s.claims != nil }

// claims are a session's newest ones; 0: none.
type claims struct {
	held [claimsHeld]uint64
	next uint8
}

// claimsHeld is how many claims a session has at most: its newest SAs.
const claimsHeld = 4

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

// Association is what one client's sessions towards one endpoint group share.
type Association struct {
	Endpoint netip.Addr
	Proof    ipsec.Proof
	Proven   bool     // the client receives at its address; kept on disk
	IKE      bool     // one of the sessions has carried IKE
	Watch    *Watched // what is seen of its IPsec; nil: it is not watched

	// Until it is proven: exchanges seen (a client's packet after one to it),
	// since when, and whether one has gone to the client since its last.
	Rounds      uint8
	RoundsSince mono.Time
	Answered    bool

	LastActive mono.Time

	key      assocKey
	sessions int
}

// Watched is a Watch and whose it is.
type Watched struct {
	ipsec.Watch
	Owner *Association
}

// Ended reports whether none of a's sessions is left.
func (a *Association) Ended() bool { return a.sessions == 0 }

// Client is the association's client address.
func (a *Association) Client() netip.Addr { return netip.AddrFrom16(a.key.client).Unmap() }

type assocKey struct {
	client  [16]byte
	group   Name
	ingress snapshot.Label
}

type flowKey struct {
	client, accelerated [16]byte
	clientPort, accPort uint16
	ingress             snapshot.Label
}

type egressKey struct {
	egress, endpoint         [16]byte
	egressPort, endpointPort uint16
}

// portsKey is an egress IP and an endpoint: what ports are given out between.
type portsKey struct {
	egress, endpoint [16]byte
	endpointPort     uint16
}

func portsOf(s *Session) portsKey {
	return portsKey{s.Egress.Addr().As16(), s.Endpoint.Addr().As16(), s.Endpoint.Port()}
}

func flowOf(ingress snapshot.Label, client, accelerated netip.AddrPort) flowKey {
	return flowKey{client.Addr().As16(), accelerated.Addr().As16(), client.Port(), accelerated.Port(), ingress}
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

func egressOf(egress, endpoint netip.AddrPort) egressKey {
	return egressKey{egress.Addr().As16(), endpoint.Addr().As16(), egress.Port(), endpoint.Port()}
}
