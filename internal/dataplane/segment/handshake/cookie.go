package handshake

import (
	"crypto/cipher"
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"causeway/internal/keys"
	"causeway/internal/mono"
)

// A cookie is a MAC of the sender's address under a secret that lives for
// cookieLifetime: whoever shows it again receives at that address. It travels
// encrypted under a key made of the responder's public key, and tied to the
// initiation's mac1, so that nobody else can feed an initiator false cookies
// without having seen its initiation.

// cookieLifetime is how long a secret is given out; it is accepted as long again.
const cookieLifetime = 2 * time.Minute

// cookieSealer encrypts and decrypts the cookies that the holder of a public key gives out.
func cookieSealer(public keys.PublicKey) cipher.AEAD {
	key := deriveKey("cookie", public)
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("handshake: " + err.Error()) // the key is 32 bytes
	}
	return aead
}

// baker makes and recognises cookies.
type baker struct {
	rng       io.Reader
	now, last *mac // by the present secret and the one before; nil until needed
	since     mono.Time
	address   [18]byte
}

// rotate draws a new secret when the present one is too old.
func (b *baker) rotate(now mono.Time) error {
	age := now.Sub(b.since)
	if b.now != nil && age < cookieLifetime {
		return nil
	}
	var secret [32]byte
	if _, err := io.ReadFull(b.rng, secret[:]); err != nil {
		return err
	}
	b.last = b.now
	if age >= 2*cookieLifetime {
		b.last = nil
	}
	b.now, b.since = newMAC(secret[:]), now
	return nil
}

// cookie returns the present cookie for an address, alive until the next call.
func (b *baker) cookie(from netip.AddrPort) []byte { return b.now.of(b.encode(from)) }

// proves tells whether mac2 over data was made with a cookie given to from.
func (b *baker) proves(from netip.AddrPort, data, mac2 []byte) bool {
	for _, secret := range [...]*mac{b.now, b.last} {
		if secret != nil && newMAC(secret.of(b.encode(from))).verify(data, mac2) {
			return true
		}
	}
	return false
}

// encode writes an address as bytes, alike for both spellings of IPv4.
func (b *baker) encode(from netip.AddrPort) []byte {
	ip := from.Addr().As16()
	copy(b.address[:], ip[:])
	binary.BigEndian.PutUint16(b.address[16:], from.Port())
	return b.address[:]
}
