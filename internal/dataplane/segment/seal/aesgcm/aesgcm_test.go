package aesgcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// twin is the standard library's.
func twin(key [KeyLen]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// compare seals and opens plain both ways, in place and not.
func compare(t *testing.T, a *AEAD, std cipher.AEAD, nonce [NonceLen]byte, aad [AADLen]byte, plain []byte) {
	t.Helper()
	want := std.Seal(nil, nonce[:], plain, aad[:])
	got := bytes.Repeat([]byte{0xaa}, len(plain)+TagLen+64)
	a.Seal(got, &nonce, plain, &aad)
	if !bytes.Equal(got[:len(want)], want) {
		t.Fatalf("%d bytes are sealed as\n%x, by the standard library as\n%x", len(plain), got[:len(want)], want)
	}
	if !bytes.Equal(got[len(want):], bytes.Repeat([]byte{0xaa}, 64)) {
		t.Fatalf("%d bytes: wrote behind the tag", len(plain))
	}
	copy(got, plain)
	a.Seal(got, &nonce, got[:len(plain)], &aad)
	if !bytes.Equal(got[:len(want)], want) {
		t.Fatalf("%d bytes are sealed otherwise in place", len(plain))
	}
	opened, ok := a.Open(got[:len(want)], &nonce, &aad)
	if !ok || !bytes.Equal(opened, plain) {
		t.Fatalf("%d bytes: opened %v as %x", len(plain), ok, opened)
	}
	if !bytes.Equal(got[len(want):], bytes.Repeat([]byte{0xaa}, 64)) {
		t.Fatalf("%d bytes: opening wrote behind the tag", len(plain))
	}
}

func random(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func TestEveryLengthIsAsTheStandardLibrarySealsIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var key [KeyLen]byte
	var nonce [NonceLen]byte
	var aad [AADLen]byte
	plain := make([]byte, 2100)
	for n := range len(plain) {
		if n%50 == 0 {
			random(r, key[:])
		}
		random(r, nonce[:])
		random(r, aad[:])
		random(r, plain[:n])
		compare(t, New(key), twin(key), nonce, aad, plain[:n])
	}
	random(r, plain)
	compare(t, New(key), twin(key), nonce, aad, bytes.Repeat(plain, 31)) // longer than any datagram
}

// What differs from all random inputs: keys, nonces and bodies of equal bits.
func TestPlainPatternsAreAsTheStandardLibrarySealsThem(t *testing.T) {
	for _, b := range []byte{0, 0xff, 0x80, 1} {
		var key [KeyLen]byte
		var nonce [NonceLen]byte
		var aad [AADLen]byte
		for i := range key {
			key[i], nonce[i%NonceLen], aad[i%AADLen] = b, b, b
		}
		for _, n := range []int{0, 1, 15, 16, 17, 255, 256, 257, 511, 512, 513, 1024, 1400} {
			compare(t, New(key), twin(key), nonce, aad, bytes.Repeat([]byte{b}, n))
		}
	}
}

func TestAnyBitThatChangesIsNoticed(t *testing.T) {
	var key [KeyLen]byte
	nonce, aad := [NonceLen]byte{1}, [AADLen]byte{2}
	a := New(key)
	for _, n := range []int{0, 1, 16, 100, 300, 1200} {
		sealed := make([]byte, n+TagLen)
		a.Seal(sealed, &nonce, make([]byte, n), &aad)
		for bit := range 8 * (len(sealed) + NonceLen + AADLen) {
			s, c, d := bytes.Clone(sealed), nonce, aad
			at := bit / 8
			switch {
			case at < len(s):
				s[at] ^= 1 << (bit % 8)
			case at < len(s)+NonceLen:
				c[at-len(s)] ^= 1 << (bit % 8)
			default:
				d[at-len(s)-NonceLen] ^= 1 << (bit % 8)
			}
			if _, ok := a.Open(s, &c, &d); ok {
				t.Fatalf("%d bytes with bit %d changed were opened", n, bit)
			}
			if Wide() && !bytes.Equal(s[:n], make([]byte, n)) {
				t.Fatalf("%d bytes with bit %d changed: what is forged was left to be read", n, bit)
			}
		}
	}
	if _, ok := a.Open(make([]byte, TagLen-1), &nonce, &aad); ok {
		t.Error("less than a tag was opened")
	}
}

func TestWithoutWideInstructions(t *testing.T) {
	key := [KeyLen]byte{3}
	a := New(key)
	a.Narrow()
	compare(t, a, twin(key), [NonceLen]byte{1}, [AADLen]byte{2}, make([]byte, 333))
}

func FuzzAsTheStandardLibrary(f *testing.F) {
	f.Add(uint64(1), []byte("plain"), 1)
	f.Add(uint64(2), make([]byte, 1500), 700)
	f.Fuzz(func(t *testing.T, seed uint64, plain []byte, flip int) {
		r := rand.New(rand.NewPCG(seed, 0))
		var key [KeyLen]byte
		var nonce [NonceLen]byte
		var aad [AADLen]byte
		random(r, key[:])
		random(r, nonce[:])
		random(r, aad[:])
		a, std := New(key), twin(key)
		compare(t, a, std, nonce, aad, plain)
		// And what is forged is forged to both.
		forged := std.Seal(nil, nonce[:], plain, aad[:])
		forged[uint(flip)%uint(len(forged))] ^= byte(flip>>8) | 1
		if _, ok := a.Open(forged, &nonce, &aad); ok {
			t.Fatal("opened what was changed")
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	a := New([KeyLen]byte{1})
	buf := make([]byte, 1400+TagLen)
	var nonce [NonceLen]byte
	var aad [AADLen]byte
	if n := testing.AllocsPerRun(100, func() {
		nonce[0]++
		a.Seal(buf, &nonce, buf[:1400], &aad)
		if _, ok := a.Open(buf, &nonce, &aad); !ok {
			t.Fatal("not opened")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{64, 256, 1400} {
		buf := make([]byte, n+TagLen)
		var nonce [NonceLen]byte
		var aad [AADLen]byte
		for _, wide := range []bool{true, false} {
			a := New([KeyLen]byte{1})
			if !wide {
				a.Narrow()
			}
			b.Run(fmt.Sprintf("%dB/wide=%v", n, wide && Wide()), func(b *testing.B) {
				b.SetBytes(int64(n))
				for i := range b.N {
					binary.BigEndian.PutUint64(nonce[:], uint64(i))
					a.Seal(buf, &nonce, buf[:n], &aad)
				}
			})
		}
	}
}
