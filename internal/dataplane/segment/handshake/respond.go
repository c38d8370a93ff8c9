package handshake

import (
	"io"
	"net/netip"

	"causeway/internal/keys"
	"causeway/internal/mono"
)

// Reason says what became of an initiation.
type Reason uint8

// The reasons, in the order in which Respond looks for them.
const (
	OK           Reason = iota // answered; keys are new
	Repeated                   // answered as before: a copy of an initiation that was answered
	Malformed                  // too short, too long, wrong type or reserved bits
	WrongMAC                   // mac1 is not for our key: a stranger, or damaged
	CookieAsked                // answered with a cookie reply: too many handshakes now
	Busy                       // too many handshakes even from addresses that proved themselves
	Forged                     // does not decrypt
	UnknownPeer                // authentic, but not on our list
	BadHello                   // authentic, but its payload makes no sense
	Stale                      // recorded earlier: older than the peer's last confirmed one
	WrongVersion               // answered with our versions: there is no common one
	Failed                     // our random source failed
	Reasons                    // how many reasons there are
)

// String names the reason as metrics do.
func (r Reason) String() string {
	if r < Reasons {
		return [Reasons]string{"ok", "repeated", "malformed", "wrong_mac", "cookie_asked", "busy", "forged",
			"unknown_peer", "bad_hello", "stale", "wrong_version", "failed"}[r]
	}
	return "unknown"
}

// Responder answers initiations. One is enough for all peers of a PoP. It is
// for one goroutine.
type Responder struct{}

// NewResponder returns a Responder. allow tells whether a static key is one of
// our peers' (it is asked after the initiation proved authentic). newIndex
// returns a receiver index for new keys, free and hard to guess. rng is
// crypto/rand.Reader in production.
func NewResponder(local keys.PrivateKey, hello Hello, allow func(keys.PublicKey) bool, newIndex func() uint32, rng io.Reader) *Responder {
	return &Responder{}
}

// Respond takes in an initiation that came from an address. reply, if not nil,
// is to be sent back to that address, whatever the reason is; it never is
// longer than msg, and is borrowed until the next call. k is not nil only
// when reason is OK, and then is a proposal: see "Replayed initiations" in the
// package comment.
func (r *Responder) Respond(now mono.Time, from netip.AddrPort, msg []byte) (reply []byte, k *Keys, reason Reason) {
	return nil, nil, Malformed
}

// Confirm tells that a data datagram opened under k, so its initiator is alive:
// initiations that it made earlier are from now on refused as Stale.
func (r *Responder) Confirm(k *Keys) {}

// Forget drops what is remembered about a peer that is no longer on the list.
func (r *Responder) Forget(peer keys.PublicKey) {}
