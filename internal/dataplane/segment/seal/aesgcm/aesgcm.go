// Package aesgcm is AES-256-GCM (NIST SP 800-38D) for datagrams: nonces of 12 bytes,
// 16 bytes of header that are authenticated only, tags of 16 bytes.
//
// On processors with VAES and AVX-512 (Intel since Ice Lake, AMD since Zen 4) it
// works on sixteen blocks at a time; the standard library's works on one per
// instruction. That makes a datagram of 1,400 bytes cost a third (BenchmarkSeal). Everywhere else it
// is the standard library's, which is also the twin that tests compare it with.
// Both take time that depends on lengths alone.
package aesgcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// Lengths in bytes.
const (
	KeyLen   = 32
	NonceLen = 12
	AADLen   = 16
	TagLen   = 16
)

// AEAD seals and opens under one key. It is for one goroutine.
type AEAD struct {
	std  cipher.AEAD
	wide *wide // nil where the processor cannot
	tag  [TagLen]byte
}

// Wide tells whether New returns what works on many blocks at a time: the processor
// can, and has shown once in this process that it does it right.
func Wide() bool { return proven() }

// Narrow makes a the standard library's.
func (a *AEAD) Narrow() { a.wide = nil }

// agree reports whether the wide way seals and opens a few datagrams as the standard
// library does: what a processor, or who pretends to be one, gets wrong must not go out.
func agree() bool {
	var key [KeyLen]byte
	var nonce [NonceLen]byte
	var aad [AADLen]byte
	plain := make([]byte, 1500)
	for i := range plain {
		plain[i] = byte(i * 7)
		key[i%KeyLen], nonce[i%NonceLen], aad[i%AADLen] = byte(i*3), byte(i*5), byte(i*11)
	}
	std, w := newStd(key), &AEAD{}
	w.std, w.wide = std.std, newWide(key, std.block)
	for _, n := range []int{0, 1, 16, 255, 256, 511, 512, 1024, 1500} {
		want := std.std.Seal(nil, nonce[:], plain[:n], aad[:])
		got := make([]byte, n+TagLen)
		w.Seal(got, &nonce, plain[:n], &aad)
		if !bytes.Equal(got, want) {
			return false
		}
		if opened, ok := w.Open(got, &nonce, &aad); !ok || !bytes.Equal(opened, plain[:n]) {
			return false
		}
	}
	return true
}

// stdlib is a key in the standard library's form.
type stdlib struct {
	block cipher.Block
	std   cipher.AEAD
}

func newStd(key [KeyLen]byte) stdlib {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("aesgcm: " + err.Error()) // the key has the right length by its type
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("aesgcm: " + err.Error())
	}
	return stdlib{block, gcm}
}

// New returns an AEAD with key.
func New(key [KeyLen]byte) *AEAD {
	std := newStd(key)
	a := &AEAD{std: std.std}
	if Wide() {
		a.wide = newWide(key, std.block)
	}
	return a
}

// Seal writes the ciphertext of plain, and the tag behind it, to dst, which has
// len(plain) + TagLen bytes. dst and plain begin at the same byte or do not overlap.
func (a *AEAD) Seal(dst []byte, nonce *[NonceLen]byte, plain []byte, aad *[AADLen]byte) {
	dst = dst[:len(plain)+TagLen]
	if a.wide == nil {
		a.std.Seal(dst[:0], nonce[:], plain, aad[:])
		return
	}
	a.wide.seal(dst[:len(plain)], plain, nonce, aad, &a.tag)
	copy(dst[len(plain):], a.tag[:])
}

// Open checks what Seal made of a plaintext and decrypts it in place: the plaintext is the
// front of sealed, TagLen shorter. When ok is false sealed holds nothing of it.
func (a *AEAD) Open(sealed []byte, nonce *[NonceLen]byte, aad *[AADLen]byte) (plain []byte, ok bool) {
	n := len(sealed) - TagLen
	if n < 0 {
		return nil, false
	}
	if a.wide == nil {
		plain, err := a.std.Open(sealed[:0], nonce[:], sealed, aad[:])
		return plain, err == nil
	}
	plain = sealed[:n]
	a.wide.open(plain, nonce, aad, &a.tag)
	if subtle.ConstantTimeCompare(a.tag[:], sealed[n:]) != 1 {
		clear(plain)
		return nil, false
	}
	return plain, true
}
