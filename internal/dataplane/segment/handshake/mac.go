package handshake

import (
	"crypto/subtle"
	"hash"

	"golang.org/x/crypto/blake2s"

	"causeway/internal/keys"
)

// deriveKey makes a key for one purpose out of a public key. It is no secret to
// whoever knows that; it keeps out those who do not.
func deriveKey(purpose string, public keys.PublicKey) [32]byte {
	return blake2s.Sum256(append([]byte("Causeway "+purpose), public[:]...))
}

// mac computes keyed BLAKE2s-128 sums without allocating. It is for one goroutine.
type mac struct {
	hash hash.Hash
	sum  [macLen]byte
}

// newMAC returns a mac with a key of up to 32 bytes.
func newMAC(key []byte) *mac {
	h, err := blake2s.New128(key)
	if err != nil {
		panic("handshake: " + err.Error()) // keys are 16 or 32 bytes
	}
	return &mac{hash: h}
}

// newMAC1 returns the mac of datagrams that are meant for the holder of public.
func newMAC1(public keys.PublicKey) *mac {
	key := deriveKey("mac1", public)
	return newMAC(key[:])
}

// of returns the sum of data, which lives until the next call.
func (m *mac) of(data []byte) []byte {
	m.hash.Reset()
	_, _ = m.hash.Write(data)
	return m.hash.Sum(m.sum[:0])
}

// verify tells, in constant time, whether tag is the sum of data.
func (m *mac) verify(data, tag []byte) bool {
	return subtle.ConstantTimeCompare(m.of(data), tag) == 1
}
