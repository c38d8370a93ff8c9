package aesgcm

import (
	"crypto/cipher"
	"encoding/binary"
	"sync"

	"golang.org/x/sys/cpu"
)

// proven tells whether this processor works on many blocks at a time, and rightly.
var proven = sync.OnceValue(func() bool { return capable && agree() })

// capable tells whether the processor says that it can.
var capable = cpu.X86.HasAES && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2 &&
	cpu.X86.HasAVX512VAES && cpu.X86.HasAVX512VPCLMULQDQ

// blocks is how many blocks are worked on at a time, and few where there are less.
const (
	blocks = 32
	few    = 16
)

// wide is a key in the form that crypt (wide_amd64.s, which knows the offsets) wants.
type wide struct {
	rounds [15][16]byte // AES-256's round keys
	_      [16]byte
	// powers are H^32 … H^1, then zeros: a row of n blocks is multiplied with those from
	// H^n on, and what is behind its end with nothing.
	powers [blocks + few - 1]element
}

// element is a member of GCM's field times 1/x. A block's bytes read as one
// big-endian number, low and high half; the highest bit is the coefficient of x^0.
type element struct{ low, high uint64 }

func newWide(key [KeyLen]byte, block cipher.Block) *wide {
	w := new(wide)
	w.expand(key)
	var zero [16]byte
	block.Encrypt(zero[:], zero[:]) // NIST SP 800-38D's hash subkey
	h := element{binary.BigEndian.Uint64(zero[8:]), binary.BigEndian.Uint64(zero[:])}
	power := h
	for i := blocks - 1; i >= 0; i-- {
		w.powers[i] = power.overX()
		power = power.times(h)
	}
	return w
}

// expand fills in the round keys (FIPS 197, 5.2).
func (w *wide) expand(key [KeyLen]byte) {
	var words [60]uint32
	for i := range 8 {
		words[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := 8; i < len(words); i++ {
		t := words[i-1]
		switch i % 8 {
		case 0:
			t = subWord(t>>8|t<<24) ^ rcon
			rcon <<= 1
		case 4:
			t = subWord(t)
		}
		words[i] = words[i-8] ^ t
	}
	for i, word := range words {
		binary.LittleEndian.PutUint32(w.rounds[i/4][i%4*4:], word)
	}
}

// timesX multiplies by x: in this order of bits, a shift to the right.
func (e element) timesX() element {
	carry := -(e.low & 1) // the coefficient of x^127; x^128 is x^7 + x^2 + x + 1
	return element{e.low>>1 | e.high<<63, e.high>>1 ^ carry&(0xe1<<56)}
}

// overX divides by x.
func (e element) overX() element {
	carry := -(e.high >> 63) // the coefficient of x^0; 1/x is x^127 + x^6 + x + 1
	return element{e.low<<1 ^ carry&1, e.high<<1 | e.low>>63 ^ carry&(0xc2<<56)}
}

// times multiplies, slowly and in constant time.
func (e element) times(f element) (product element) {
	for i := range 128 {
		bit := f.high >> (63 - i&63)
		if i >= 64 {
			bit = f.low >> (63 - i&63)
		}
		mask := -(bit & 1)
		product.low ^= e.low & mask
		product.high ^= e.high & mask
		e = e.timesX()
	}
	return product
}

func (w *wide) seal(dst, plain []byte, nonce *[NonceLen]byte, aad *[AADLen]byte, tag *[TagLen]byte) {
	crypt(w, dst, plain, nonce, aad, tag, 0)
}

func (w *wide) open(body []byte, nonce *[NonceLen]byte, aad *[AADLen]byte, tag *[TagLen]byte) {
	crypt(w, body, body, nonce, aad, tag, 1)
}

// crypt writes src to dst, which is as long, with the key stream added, and the tag: of
// dst, or, if opening is 1, of src.
//
//go:noescape
func crypt(w *wide, dst, src []byte, nonce *[NonceLen]byte, aad *[AADLen]byte, tag *[TagLen]byte, opening uint64)

// subWord puts each byte through AES's S-box, by the processor's instruction: a table's
// cache lines would tell of the key.
//
//go:noescape
func subWord(word uint32) uint32
