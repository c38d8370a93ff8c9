// Package handshake gives two PoPs that list one another's static keys a pair
// of fresh data keys: Noise_IK_25519_AESGCM_SHA256, one datagram each way. It
// has no socket, clock or goroutine: datagrams and instants go in, datagrams
// and keys come out. Repeating, rekeying and deciding which keys to send under
// are its caller's business; sealing data is package seal's.
//
// The datagrams (numbers are big endian, reserved bytes must be zero, and the
// shard byte only steers datagrams to the lane of their receiver):
//
//	initiation    0 type 1 | 1 shard | 2 through  | 4 sender's index   | 8 Noise message 1 | mac1 16 | mac2 16
//	response      0 type 2 | 1 shard | 2 reserved | 4 receiver's index | 8 Noise message 2 | mac1 16
//	cookie reply  0 type 3 | 1 shard | 2 reserved | 4 receiver's index | 8 nonce 24 | sealed cookie 32
//
// Both Noise payloads are a list of type-length-value records (see tlv.go) in
// which each side says who it is; unknown records are skipped, so that a
// version and the one before it can talk. A version chosen is the smaller of
// both maxima. The initiation's header is part of the Noise prologue and so
// authenticated; of the answers' headers only the index says anything, and it
// must be the one that was asked with.
//
// # Several segments between the same two
//
// Two PoPs may have, besides a direct segment, others through relays that pass their
// datagrams on unopened. All are between the same static keys; *through* says which of
// them an initiation is for: the relay's label, 0 for the direct one. A PoP that knows
// of no such segments finds reserved bytes that are not zero, and stays silent.
//
// # Strangers
//
// mac1 is keyed by the receiver's public key and looked at first: whoever does
// not know that key gets silence for the price of one hash. Whoever knows it
// but has no listed static key gets silence too. A Responder that is asked for
// more handshakes than it likes answers with a cookie: no state kept, fewer
// bytes than it was sent, and only the holder of the source address can bring
// it back as mac2.
//
// # Replayed initiations
//
// An initiation recorded long ago still decrypts, and makes Respond hand out
// keys for an initiator that is not there. So keys from Respond are a
// proposal: hold them for PendingLifetime next to those in use, and move to
// them (and call Responder.Confirm) only when a data datagram opens under them,
// which a replayer cannot make. Never give up working keys for unconfirmed
// ones. Keys from Initiation.Finish are the peer's fresh answer and may be used at once.
package handshake

import (
	"errors"
	"fmt"
	"time"

	"causeway/internal/keys"
)

// The message types, each the first byte of its datagrams. Type 4 is data, package seal's.
const (
	TypeInitiation  = 1
	TypeResponse    = 2
	TypeCookieReply = 3
)

// MaxMessage bounds every handshake datagram in bytes, with room for records
// that later versions add.
const MaxMessage = 1024

// How long keys and messages last.
const (
	// PendingLifetime is how long the responder's side holds keys that no data
	// datagram has confirmed yet.
	PendingLifetime = 15 * time.Second
	// InitiationLifetime is how long an Initiation is repeated before a fresh one is made.
	InitiationLifetime = 30 * time.Second
)

// Hello is what one side says of itself, encrypted, to the other.
type Hello struct {
	// VersionMin and VersionMax are the data protocol's versions that this side speaks.
	VersionMin, VersionMax uint8
	// Capabilities is a set of bits; what both sides have is what may be used.
	Capabilities uint32
	// Label names this PoP in overlay headers.
	Label uint16
	// Incarnation is a number drawn at random by each start of the process, or of
	// what it keeps for this peer, so that a peer can tell a restart.
	Incarnation uint64
	// Sequence grows with each initiation of one incarnation, whichever
	// segment it is for (the process's monotonic clock does); by it the
	// responder refuses recorded initiations. Zero means "not given": no such
	// refusal. A response carries none.
	Sequence uint64
	// Shard is the lane that both ends' parts of this segment belong to. It stands
	// in the datagrams' headers, for whoever steers them, and not among the records.
	Shard uint8
	// Through says which of the two PoPs' segments this is: the label of the relay
	// that passes its datagrams on, 0 for the direct one. It stands in initiations'
	// headers, too.
	Through uint16
}

// Segment is one of the segments that this PoP has: whom with, and through which relay.
type Segment struct {
	Peer    keys.PublicKey
	Through uint16 // the relay's label; 0: direct
}

// Keys are the outcome of a handshake, the same on both sides but for direction.
type Keys struct {
	Send, Receive         keys.Secret    // one for a seal.Sealer, one for a seal.Opener
	Peer                  keys.PublicKey // proven
	PeerHello             Hello
	Version               uint8  // chosen: the smaller of both maxima
	Capabilities          uint32 // those that both have
	LocalIndex, PeerIndex uint32 // receiver indices: in datagrams to us, in datagrams to the peer

	order uint64 // responder's side: counts the keys it handed out
}

// Segment is which segment the keys are for.
func (k *Keys) Segment() Segment { return Segment{k.Peer, k.PeerHello.Through} }

// What Finish and Cookie can answer.
var (
	// ErrNotForUs: the datagram is no answer to this initiation. Ignore it.
	ErrNotForUs = errors.New("no answer to this initiation")
	// ErrForged: it looks like an answer but is not the peer's. Ignore it; the
	// Initiation goes on as if it had never come.
	ErrForged = errors.New("answer is not authentic")
	// ErrFinished: an answer was accepted before.
	ErrFinished = errors.New("handshake is finished already")
)

// VersionError is the peer's authentic answer that no common version exists.
// Repeating is useless until one of the two is upgraded.
type VersionError struct{ Local, Peer Hello }

// Error names both ranges.
func (e *VersionError) Error() string {
	return fmt.Sprintf("no common segment version: this PoP speaks %d to %d, the peer %d to %d; upgrade the older one",
		e.Local.VersionMin, e.Local.VersionMax, e.Peer.VersionMin, e.Peer.VersionMax)
}
