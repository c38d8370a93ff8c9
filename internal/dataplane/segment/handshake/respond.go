package handshake

import (
	"crypto/cipher"
	"crypto/ecdh"
	"fmt"
	"io"
	"net/netip"

	"github.com/flynn/noise"

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
	UnknownPeer                // authentic, but no segment of ours
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
// for one goroutine. What it remembers is bounded: of strangers nothing at all.
type Responder struct {
	static   *ecdh.PrivateKey
	hello    Hello
	allow    func(Segment) bool
	newIndex func() uint32
	rng      io.Reader
	// incarnation tells each segment's; nil: all have hello's.
	incarnation func(Segment) uint64

	mac1      *mac // of datagrams to us
	sealer    cipher.AEAD
	baker     baker
	admission admission
	answers   answers
	lives     lives
	handedOut uint64
	scratch   []byte
}

// NewResponder returns a Responder. allow tells whether we have a segment with that
// peer, through that relay (it is asked after the initiation proved authentic). newIndex
// returns a receiver index for new keys, free and hard to guess. rng is
// crypto/rand.Reader in production. It panics if hello's versions are no range.
func NewResponder(local keys.PrivateKey, hello Hello, allow func(Segment) bool, newIndex func() uint32, rng io.Reader) *Responder {
	if err := hello.check(); err != nil {
		panic("handshake: " + err.Error())
	}
	hello.Sequence = 0
	static := staticKey(local)
	public := publicOf(static)
	return &Responder{
		static: static, hello: hello, allow: allow, newIndex: newIndex, rng: rng,
		mac1: newMAC1(public), sealer: cookieSealer(public), baker: baker{rng: rng},
		lives: make(lives),
	}
}

// SetIncarnations lets each segment be told an incarnation of its own instead of the
// hello's, for when what is kept for one begins anew without the process.
// It must be the one that our Initiations for it carry. of is asked for allowed segments.
func (r *Responder) SetIncarnations(of func(Segment) uint64) { r.incarnation = of }

// Meant reports whether an initiation is for our key and not just noise. It costs
// one hash, and says nothing of who sent it.
func (r *Responder) Meant(msg []byte) bool {
	if !wellFormed(msg, TypeInitiation, minInitiation) {
		return false
	}
	signed := msg[:len(msg)-macLen]
	body := signed[:len(signed)-macLen]
	return r.mac1.verify(body, signed[len(body):])
}

// SetRate sets how many handshakes a second anybody may ask for before a cookie
// is demanded; 0 means 50.
func (r *Responder) SetRate(perSecond int) { r.admission.rate = float64(max(perSecond, 0)) }

// Respond takes in an initiation that came from an address. reply, if not nil,
// is to be sent back to that address, whatever the reason is; it never is
// longer than msg, and is borrowed until the next call. k is not nil only
// when reason is OK, and then is a proposal: see "Replayed initiations" in the
// package comment.
func (r *Responder) Respond(now mono.Time, from netip.AddrPort, msg []byte) (reply []byte, k *Keys, reason Reason) {
	if !wellFormed(msg, TypeInitiation, minInitiation) {
		return nil, nil, Malformed
	}
	signed := msg[:len(msg)-macLen]
	body := signed[:len(signed)-macLen]
	if !r.mac1.verify(body, signed[len(body):]) {
		return nil, nil, WrongMAC
	}
	if reply := r.answers.find(now, signed); reply != nil {
		return reply, nil, Repeated
	}
	if reply, reason := r.admit(now, from, msg); reason != OK {
		return reply, nil, reason
	}
	reply, k, reason = r.answer(body)
	if reply != nil {
		r.answers.keep(now, signed, reply)
	}
	return reply, k, reason
}

// admit decides whether an initiation is worth curve operations now, and else
// makes the cookie reply.
func (r *Responder) admit(now mono.Time, from netip.AddrPort, msg []byte) (reply []byte, reason Reason) {
	if r.admission.admitAnybody(now) {
		return nil, OK
	}
	if r.baker.rotate(now) != nil || r.salt() != nil {
		return nil, Failed
	}
	signed, mac2 := msg[:len(msg)-macLen], msg[len(msg)-macLen:]
	if r.baker.proves(from, signed, mac2) {
		if r.admission.admitProven(now, from) {
			return nil, OK
		}
		return nil, Busy
	}
	return r.cookieReply(from, msg)
}

// salt makes the secret by which sources are sorted.
func (r *Responder) salt() error {
	if r.admission.salt != nil {
		return nil
	}
	var secret [32]byte
	if _, err := io.ReadFull(r.rng, secret[:]); err != nil {
		return err
	}
	r.admission.salt = newMAC(secret[:])
	return nil
}

// cookieReply asks the sender to show that it receives at its address.
func (r *Responder) cookieReply(from netip.AddrPort, msg []byte) ([]byte, Reason) {
	r.scratch = append(r.scratch[:0], make([]byte, headerLen+nonceLen)...)
	putHeader(r.scratch, TypeCookieReply, r.hello.Shard, 0, indexOf(msg))
	nonce := r.scratch[headerLen:]
	if _, err := io.ReadFull(r.rng, nonce); err != nil {
		return nil, Failed
	}
	mac1 := msg[len(msg)-2*macLen : len(msg)-macLen]
	r.scratch = r.sealer.Seal(r.scratch, nonce, r.baker.cookie(from), mac1)
	return r.scratch, CookieAsked
}

// answer does the handshake proper on an initiation without its MACs.
func (r *Responder) answer(body []byte) (reply []byte, k *Keys, reason Reason) {
	state, err := r.state(body[:headerLen])
	if err != nil {
		return nil, nil, Failed
	}
	records, _, _, err := state.ReadMessage(nil, body[headerLen:])
	if err != nil {
		return nil, nil, Forged
	}
	peer := keys.PublicKey(state.PeerStatic())
	segment := Segment{peer, throughOf(body)}
	if !r.allow(segment) {
		return nil, nil, UnknownPeer
	}
	said, err := decodePayload(records)
	if err != nil {
		return nil, nil, BadHello
	}
	if r.lives.stale(segment, said.hello) {
		return nil, nil, Stale
	}
	said.hello.Through = segment.Through
	k = &Keys{Peer: peer, PeerHello: said.hello, PeerIndex: indexOf(body)}
	var ok bool
	hello := r.hello
	if r.incarnation != nil {
		hello.Incarnation = r.incarnation(segment)
	}
	if k.Version, k.Capabilities, ok = agree(hello, said.hello); !ok {
		reply, _, _ := r.write(state, peer, k.PeerIndex, payload{hello: hello})
		return reply, nil, WrongVersion
	}
	r.handedOut++
	k.LocalIndex, k.order = r.newIndex(), r.handedOut
	reply, receive, send := r.write(state, peer, k.PeerIndex, payload{hello: hello, index: k.LocalIndex, hasIndex: true})
	if reply == nil {
		return nil, nil, Failed
	}
	k.Send, k.Receive = keys.Secret(send.UnsafeKey()), keys.Secret(receive.UnsafeKey())
	return reply, k, OK
}

// state is a Noise state that has yet to read the initiation with this header.
func (r *Responder) state(header []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:   suiteFor(r.static),
		Random:        r.rng,
		Pattern:       noise.HandshakeIK,
		Prologue:      append([]byte(prologue), header...),
		StaticKeypair: dhKey(r.static),
	})
}

// write makes a response and ends the Noise handshake. The first key is the
// initiator's for sending. reply is nil when the random source failed.
func (r *Responder) write(state *noise.HandshakeState, peer keys.PublicKey, index uint32, p payload) (reply []byte, toUs, toPeer *noise.CipherState) {
	reply = make([]byte, headerLen, minResponse+64)
	putHeader(reply, TypeResponse, r.hello.Shard, 0, index)
	reply, toUs, toPeer, err := state.WriteMessage(reply, p.encode(nil))
	if err != nil {
		return nil, nil, nil
	}
	return append(reply, newMAC1(peer).of(reply)...), toUs, toPeer
}

// Confirm tells that a data datagram opened under k, so its initiator is alive:
// initiations that it made earlier are from now on refused as Stale.
func (r *Responder) Confirm(k *Keys) { r.lives.confirm(k) }

// Forget drops what is remembered of a segment that we no longer have.
func (r *Responder) Forget(s Segment) { delete(r.lives, s) }

// Format prints whose Responder it is, and none of its keys.
func (r *Responder) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "responder of %v", publicOf(r.static))
}
