package handshake

import "encoding/binary"

// Where things stand in a datagram.
const (
	headerLen = 8
	macLen    = 16
	nonceLen  = 24 // XChaCha20-Poly1305's
	cookieLen = 16
	tagLen    = 16

	// noise1 and noise2 are the Noise messages with an empty payload:
	// e, encrypted s and tag, tag; and e, tag.
	noise1 = 32 + 32 + tagLen + tagLen
	noise2 = 32 + tagLen

	minInitiation  = headerLen + noise1 + macLen + macLen
	minResponse    = headerLen + noise2 + macLen
	cookieReplyLen = headerLen + nonceLen + cookieLen + tagLen
)

// putHeader writes the first 8 bytes of a datagram; through is 0 in all but initiations.
func putHeader(b []byte, kind, shard byte, through uint16, index uint32) {
	binary.BigEndian.PutUint32(b, uint32(kind)<<24|uint32(shard)<<16|uint32(through))
	binary.BigEndian.PutUint32(b[4:], index)
}

// wellFormed tells whether msg is of kind and of possible length. The shard
// byte is for whoever steers datagrams; reserved ones must be zero.
func wellFormed(msg []byte, kind byte, least int) bool {
	return len(msg) >= least && len(msg) <= MaxMessage && msg[0] == kind && (kind == TypeInitiation || throughOf(msg) == 0)
}

// throughOf is bytes 2 and 3.
func throughOf(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }

// indexOf is bytes 4–7.
func indexOf(msg []byte) uint32 { return binary.BigEndian.Uint32(msg[4:]) }

// PeekIndex returns the receiver index of a response or cookie reply, by which
// the caller finds the Initiation. Nothing is authenticated yet.
func PeekIndex(msg []byte) (index uint32, ok bool) {
	if wellFormed(msg, TypeResponse, minResponse) || wellFormed(msg, TypeCookieReply, cookieReplyLen) {
		return indexOf(msg), true
	}
	return 0, false
}

// prologue begins what both sides must agree on before the first message; the
// initiation's header follows it, and so is authenticated.
const prologue = "Causeway segment handshake"
