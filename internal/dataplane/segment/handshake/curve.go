package handshake

import (
	"crypto/ecdh"
	"crypto/subtle"
	"io"

	"github.com/flynn/noise"

	"causeway/internal/keys"
)

// curve is X25519 for the noise package, which names private keys by their
// bytes. The standard library multiplies once to take in such bytes and once
// more to use them; curve remembers the two keys of a handshake as taken in,
// and so halves its price. It is for one handshake.
type curve struct {
	static    *ecdh.PrivateKey
	ephemeral *ecdh.PrivateKey // nil until generated
}

// staticKey takes in a static key, once for many handshakes.
func staticKey(k keys.PrivateKey) *ecdh.PrivateKey {
	private, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		panic("handshake: " + err.Error()) // the key is 32 bytes
	}
	return private
}

// publicOf is the public key that belongs to a static key.
func publicOf(k *ecdh.PrivateKey) keys.PublicKey { return keys.PublicKey(k.PublicKey().Bytes()) }

// suiteFor is Noise's 25519_AESGCM_SHA256 with a static key taken in. It is
// fixed: what follows the handshake is negotiated inside it.
func suiteFor(static *ecdh.PrivateKey) noise.CipherSuite {
	return noise.NewCipherSuite(&curve{static: static}, noise.CipherAESGCM, noise.HashSHA256)
}

// dhKey is a key pair as the noise package wants it.
func dhKey(k *ecdh.PrivateKey) noise.DHKey {
	return noise.DHKey{Private: k.Bytes(), Public: k.PublicKey().Bytes()}
}

// GenerateKeypair implements noise.DHFunc.
func (c *curve) GenerateKeypair(rng io.Reader) (noise.DHKey, error) {
	var raw [keys.Size]byte
	if _, err := io.ReadFull(rng, raw[:]); err != nil {
		return noise.DHKey{}, err
	}
	var err error
	if c.ephemeral, err = ecdh.X25519().NewPrivateKey(raw[:]); err != nil {
		return noise.DHKey{}, err
	}
	return dhKey(c.ephemeral), nil
}

// DH implements noise.DHFunc. A point of low order, which would make the secret
// known to all, is an error.
func (c *curve) DH(private, public []byte) ([]byte, error) {
	point, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	for _, known := range [...]*ecdh.PrivateKey{c.static, c.ephemeral} {
		if known != nil && subtle.ConstantTimeCompare(known.Bytes(), private) == 1 {
			return known.ECDH(point)
		}
	}
	scalar, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return scalar.ECDH(point)
}

// DHLen implements noise.DHFunc.
func (c *curve) DHLen() int { return keys.Size }

// DHName implements noise.DHFunc.
func (c *curve) DHName() string { return "25519" }
