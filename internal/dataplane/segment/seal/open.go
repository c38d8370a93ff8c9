package seal

import (
	"encoding/binary"

	"causeway/internal/dataplane/segment/seal/aesgcm"
)

// Reason says what became of a datagram given to Open.
type Reason uint8

// The reasons, in the order in which Open looks for them.
const (
	OK       Reason = iota // opened: the first and only time
	Short                  // shorter than header and tag
	NotData                // the first byte is not Type
	TooOld                 // more than Window behind the newest of its wire
	Replayed               // its counter was opened before
	Forged                 // not sealed under this key, or changed on its way
	Reasons                // how many reasons there are
)

// String names the reason as metrics do.
func (r Reason) String() string {
	if r < Reasons {
		return [Reasons]string{"ok", "short", "not_data", "too_old", "replayed", "forged"}[r]
	}
	return "unknown"
}

// Opener opens the datagrams of one direction under one key, each once. It is
// for one goroutine.
type Opener struct {
	aead    *aesgcm.AEAD
	nonce   [aesgcm.NonceLen]byte
	windows [256]*window // by wire; made when a wire's first datagram proved genuine
}

// NewOpener returns an Opener for datagrams sealed with key.
func NewOpener(key [32]byte) *Opener { return &Opener{aead: aesgcm.New(key)} }

// Narrow makes o use nothing but the standard library's AES-GCM.
func (o *Opener) Narrow() { o.aead.Narrow() }

// Open authenticates a datagram, decrypts it in place and returns its
// plaintext, which lies inside datagram and lives as long as that. Unless
// reason is OK, plaintext is nil; when it is Forged, the datagram's body has
// been destroyed.
//
// The replay window is looked at before the costly authentication and marked
// only after it, so a forger cannot move it. Reserved bytes are authenticated
// and otherwise ignored: what they mean one day is settled in the handshake.
func (o *Opener) Open(datagram []byte) (plaintext []byte, wire uint8, pn uint64, reason Reason) {
	if len(datagram) < Overhead {
		return nil, 0, 0, Short
	}
	if datagram[0] != Type {
		return nil, 0, 0, NotData
	}
	counter := binary.BigEndian.Uint64(datagram[8:])
	wire, pn = uint8(counter>>56), counter&(1<<56-1)
	w := o.windows[wire]
	if w != nil {
		if reason := w.check(pn); reason != OK {
			return nil, wire, pn, reason
		}
	}
	binary.BigEndian.PutUint64(o.nonce[4:], counter)
	plaintext, ok := o.aead.Open(datagram[HeaderLen:], &o.nonce, (*[HeaderLen]byte)(datagram))
	if !ok {
		return nil, wire, pn, Forged
	}
	if w == nil {
		w = new(window)
		o.windows[wire] = w
	}
	w.mark(pn)
	return plaintext, wire, pn, OK
}
