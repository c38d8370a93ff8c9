package admission

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// Cookies makes and checks the cookies of RFC 7296 section 2.6 without keeping
// anything of who was asked: a cookie is a keyed hash of the asker's address and
// SPI. Who sends it back receives at that address.
//
// A cookie is one byte that tells which secret it was made with, and 16 of the hash. Secrets are
// changed every rotate, and the one before is good for as long again.
//
// The zero Cookies needs Random.
type Cookies struct {
	Random func() uint64 // must be hard to predict

	secrets [2][32]byte
	newest  uint8
	born    mono.Time // of the newest; zero: there is none
}

const (
	rotate    = time.Minute
	cookieLen = 1 + 16
)

// Check reports whether cookie was made for this client and SPI of late.
func (c *Cookies) Check(now mono.Time, client netip.AddrPort, spi uint64, cookie []byte) bool {
	c.turn(now)
	if len(cookie) != cookieLen || now.Sub(c.born) < 0 {
		return false
	}
	if n := cookie[0]; n != c.newest && n != c.newest-1 {
		return false
	}
	want := c.of(cookie[0], client, spi)
	return subtle.ConstantTimeCompare(want[:], cookie) == 1
}

// turn takes new secrets when it is time. After a long silence both are new.
func (c *Cookies) turn(now mono.Time) {
	age := now.Sub(c.born)
	if c.born != 0 && age < rotate {
		return
	}
	if c.born == 0 || age >= 2*rotate {
		c.draw()
	}
	c.draw()
	c.born = now
}

func (c *Cookies) draw() {
	c.newest++
	s := &c.secrets[c.newest&1]
	for i := 0; i < len(s); i += 8 {
		binary.BigEndian.PutUint64(s[i:], c.Random())
	}
}

// of is the cookie of secret n. The input has one length, so that a plain hash
// behind the secret is a keyed one.
func (c *Cookies) of(n uint8, client netip.AddrPort, spi uint64) (cookie [cookieLen]byte) {
	var in [32 + 16 + 2 + 8 + 1]byte
	copy(in[:], c.secrets[n&1][:])
	ip := client.Addr().As16()
	copy(in[32:], ip[:])
	binary.BigEndian.PutUint16(in[48:], client.Port())
	binary.BigEndian.PutUint64(in[50:], spi)
	in[58] = n
	sum := sha256.Sum256(in[:])
	cookie[0] = n
	copy(cookie[1:], sum[:])
	return cookie
}

// ChallengeLen is how long a challenge is, without the non-ESP marker.
const ChallengeLen = 28 + 8 + cookieLen

// AppendChallenge appends the answer to an IKE_SA_INIT request that asks for a
// cookie: a header without a responder's SPI, and one notify. natt puts the non-ESP
// marker in front. The caller sends it only when it is no longer than the request.
//
//	 0  initiator's SPI, 8 | zero, 8
//	16  next payload: notify | version 2.0 | IKE_SA_INIT | flag: response | message ID 0
//	24  length
//	28  no next payload, 0, length, 2 | protocol 0, SPI size 0 | COOKIE, 2 | the cookie
func (c *Cookies) AppendChallenge(dst []byte, now mono.Time, client netip.AddrPort, spi uint64, natt bool) []byte {
	c.turn(now)
	if natt {
		dst = append(dst, 0, 0, 0, 0)
	}
	dst = binary.BigEndian.AppendUint64(dst, spi)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, payloadNotify, 0x20, byte(ipsec.IKESAInit), byte(ipsec.FlagResponse), 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, ChallengeLen)
	dst = append(dst, 0, 0, 0, 8+cookieLen, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(ipsec.NotifyCookie))
	cookie := c.of(c.newest, client, spi)
	return append(dst, cookie[:]...)
}

const payloadNotify = 41
