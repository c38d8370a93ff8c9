// Package seal makes a segment's data datagrams unreadable and unforgeable,
// and tells replays from news. It knows nothing of what it carries, of sockets
// or of time; keys come from package handshake, one per direction.
//
// A data datagram:
//
//	 0        1        2        3        4 … 7             8        9 … 15          16 …
//	+--------+--------+-----------------+-----------------+--------+---------------+------------------+
//	| type 4 | shard  | reserved, zero  | receiver index  | wire   | packet number | ciphertext + tag |
//	+--------+--------+-----------------+-----------------+--------+---------------+------------------+
//	|<------------------- header: authenticated, not encrypted ------------------->|  n + 16 bytes    |
//
// Numbers are big endian. Bytes 8–15, the counter, are the nonce of AES-256-GCM
// behind four zero bytes: a packet number is counted per wire from 0, so no two
// datagrams under one key have the same counter.
//
// Counters live in memory only, and that is enough: a key is made by one
// handshake, held by one Sealer and never written down, so a process that
// crashed comes back with other keys and cannot repeat a nonce. For the same
// reason a Sealer must not be copied.
package seal

import (
	"encoding/binary"

	"causeway/internal/dataplane/segment/seal/aesgcm"
)

const (
	// Type is the first byte of a data datagram.
	Type = 4
	// HeaderLen is the room to leave in front of the plaintext.
	HeaderLen = 16
	// TagLen is the room to leave behind the plaintext.
	TagLen = 16
	// Overhead is what sealing adds to a plaintext.
	Overhead = HeaderLen + TagLen

	// MaxPacketNumber is one more than the last packet number Seal gives out on a wire.
	MaxPacketNumber = 1<<56 - 1
	// RekeyAfter is how many datagrams, all wires together, to seal under one
	// key at most: half of what RFC 9001 appendix B.1.1 allows AES-GCM with
	// datagrams of up to 2,048 bytes. Seal does not enforce it.
	RekeyAfter = 1 << 27
)

// Sealer seals the datagrams of one direction under one key. It is for one
// goroutine, and must not be copied.
type Sealer struct {
	aead   *aesgcm.AEAD
	header uint64 // type, shard, reserved and receiver index, as every datagram has them
	nonce  [aesgcm.NonceLen]byte
	next   [256]uint64 // by wire
	sealed uint64
}

// NewSealer returns a Sealer that seals with key for the peer's receiver index.
// A key must be given to one Sealer only, ever.
func NewSealer(key [32]byte, peerIndex uint32) *Sealer {
	return &Sealer{aead: aesgcm.New(key), header: Type<<56 | uint64(peerIndex)}
}

// Narrow makes s use nothing but the standard library's AES-GCM.
func (s *Sealer) Narrow() { s.aead.Narrow() }

// Steer makes datagrams carry a shard byte, by which their receiver finds the
// lane they are for. Call it before the first Seal.
func (s *Sealer) Steer(shard uint8) { s.header |= uint64(shard) << 48 }

// Seal turns the n plaintext bytes at buf[HeaderLen:] into a datagram, in
// place: buf must be at least HeaderLen + n + TagLen long, and the datagram is
// the front of it. The packet number is wire's next. Nothing is allocated.
//
// ok is false, and buf untouched, when buf is too short for n or when the
// wire's packet numbers are used up (MaxPacketNumber).
func (s *Sealer) Seal(buf []byte, n int, wire uint8) (datagram []byte, pn uint64, ok bool) {
	if n < 0 || n > len(buf)-Overhead {
		return nil, 0, false
	}
	return s.SealFrom(buf, buf[HeaderLen:HeaderLen+n], wire)
}

// SealFrom is Seal for a plaintext that lies elsewhere, or exactly at
// buf[HeaderLen:], but nowhere between.
func (s *Sealer) SealFrom(buf, plain []byte, wire uint8) (datagram []byte, pn uint64, ok bool) {
	pn = s.next[wire]
	if len(plain) > len(buf)-Overhead || pn >= MaxPacketNumber {
		return nil, 0, false
	}
	s.next[wire] = pn + 1
	s.sealed++
	counter := uint64(wire)<<56 | pn
	binary.BigEndian.PutUint64(buf, s.header)
	binary.BigEndian.PutUint64(buf[8:], counter)
	binary.BigEndian.PutUint64(s.nonce[4:], counter)
	s.aead.Seal(buf[HeaderLen:], &s.nonce, plain, (*[HeaderLen]byte)(buf))
	return buf[:Overhead+len(plain)], pn, true
}

// Sealed is how many datagrams were sealed so far, all wires together; compare
// it with RekeyAfter.
func (s *Sealer) Sealed() uint64 { return s.sealed }

// PeekIndex returns the receiver index of a data datagram, by which the
// receiver finds the Opener. ok is false when it is no data datagram of
// possible length. Nothing is authenticated yet.
func PeekIndex(datagram []byte) (index uint32, ok bool) {
	if len(datagram) < Overhead || datagram[0] != Type {
		return 0, false
	}
	return binary.BigEndian.Uint32(datagram[4:]), true
}

// Continue makes s's packet numbers go on where old's are, wire by wire, so that
// what is built on them does not notice new keys. Call it before the first Seal.
func (s *Sealer) Continue(old *Sealer) { s.next = old.next }
