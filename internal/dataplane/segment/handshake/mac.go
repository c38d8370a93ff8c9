package handshake

import (
	"crypto/sha256"
	"crypto/subtle"
	"hash"

	"causeway/internal/keys"
)

// deriveKey makes a key for one purpose out of a public key. It is no secret to
// whoever knows that; it keeps out those who do not.
func deriveKey(purpose string, public keys.PublicKey) [32]byte {
	return sha256.Sum256(append([]byte("Causeway "+purpose), public[:]...))
}

// mac computes the first 128 bits of SHA-256(key | data), without allocating.
// With half of the hash cut off, nobody can extend a message of which he knows
// the sum (Coron et al., "Merkle–Damgård revisited", CRYPTO 2005), so HMAC's
// second pass is not needed. On a processor with SHA instructions this is a third
// of what HMAC or BLAKE2s cost, and it is what each stranger's datagram costs us.
// It is for one goroutine.
type mac struct {
	hash hash.Hash
	key  [32]byte
	sum  [sha256.Size]byte
}

// newMAC returns a mac with a key of up to 32 bytes. Keys for one purpose have one length.
func newMAC(key []byte) *mac {
	m := &mac{hash: sha256.New()}
	copy(m.key[:], key)
	return m
}

// newMAC1 returns the mac of datagrams that are meant for the holder of public.
func newMAC1(public keys.PublicKey) *mac {
	key := deriveKey("mac1", public)
	return newMAC(key[:])
}

// of returns the sum of data, which lives until the next call.
func (m *mac) of(data []byte) []byte {
	m.hash.Reset()
	_, _ = m.hash.Write(m.key[:])
	_, _ = m.hash.Write(data)
	return m.hash.Sum(m.sum[:0])[:macLen]
}

// verify tells, in constant time, whether tag is the sum of data.
func (m *mac) verify(data, tag []byte) bool {
	return subtle.ConstantTimeCompare(m.of(data), tag) == 1
}
