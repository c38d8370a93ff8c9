package seal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

var key = [32]byte{1, 2, 3}

// sealed returns a datagram with n bytes of plaintext.
func sealed(t testing.TB, s *Sealer, plain []byte, wire uint8) []byte {
	t.Helper()
	buf := make([]byte, len(plain)+Overhead)
	copy(buf[HeaderLen:], plain)
	datagram, _, ok := s.Seal(buf, len(plain), wire)
	if !ok {
		t.Fatal("not sealed")
	}
	return datagram
}

func TestWhatIsSealedOpensOnce(t *testing.T) {
	s, o := NewSealer(key, 0xa1b2c3d4), NewOpener(key)
	for _, n := range []int{0, 1, 15, 16, 17, 64, 1400, 9000, 65000} {
		for _, wire := range []uint8{0, 1, 255} {
			plain := make([]byte, n)
			for i := range plain {
				plain[i] = byte(i * n)
			}
			datagram := sealed(t, s, plain, wire)
			if index, ok := PeekIndex(datagram); !ok || index != 0xa1b2c3d4 {
				t.Errorf("index %#x, %v", index, ok)
			}
			if len(datagram) != n+Overhead || n > 8 && bytes.Contains(datagram, plain) {
				t.Errorf("%d bytes became %d", n, len(datagram))
			}
			copied := bytes.Clone(datagram)
			got, w, pn, reason := o.Open(datagram)
			if reason != OK || !bytes.Equal(got, plain) || w != wire || pn != s.next[wire]-1 {
				t.Fatalf("%d bytes on wire %d: %v, wire %d, number %d", n, wire, reason, w, pn)
			}
			if got, _, _, reason := o.Open(copied); reason != Replayed || got != nil {
				t.Errorf("a copy: %v", reason)
			}
		}
	}
	if s.Sealed() != 27 {
		t.Errorf("%d sealed, want 27", s.Sealed())
	}
}

// The format does not change unnoticed. The bytes were made from the layout by
// another AES-256-GCM, OpenSSL's.
func TestDatagramLayout(t *testing.T) {
	s := NewSealer([32]byte{0: 0x42}, 0x01020304)
	s.next[7] = 0x0a0b0c0d0e0f10
	got := hex.EncodeToString(sealed(t, s, []byte("causeway"), 7))
	const want = "0400000001020304070a0b0c0d0e0f10550ab44cd48bff865b212a963ca4cbc7bea6f7a307918055"
	if got != want {
		t.Errorf("datagram %s, want %s", got, want)
	}
}

func TestEveryDamageIsNoticed(t *testing.T) {
	s, o := NewSealer(key, 9), NewOpener(key)
	datagram := sealed(t, s, []byte("a packet"), 3)
	for bit := range len(datagram) * 8 {
		bad := bytes.Clone(datagram)
		bad[bit/8] ^= 1 << (bit % 8)
		want := Forged
		if bit < 8 {
			want = NotData
		}
		if plain, _, _, reason := o.Open(bad); reason != want || plain != nil {
			t.Fatalf("bit %d: %v, want %v", bit, reason, want)
		}
	}
	for n := range len(datagram) {
		want := Forged
		if n < Overhead {
			want = Short
		}
		if plain, _, _, reason := o.Open(bytes.Clone(datagram[:n])); reason != want || plain != nil {
			t.Fatalf("%d bytes: %v, want %v", n, reason, want)
		}
		if _, ok := PeekIndex(datagram[:n]); ok != (n >= Overhead) {
			t.Errorf("PeekIndex of %d bytes: %v", n, ok)
		}
	}
	other := [32]byte{9}
	if _, _, _, reason := NewOpener(other).Open(bytes.Clone(datagram)); reason != Forged {
		t.Errorf("another key: %v", reason)
	}
	if o.windows != [256]*window{} {
		t.Error("a forger made the opener remember something")
	}
	if _, _, _, reason := o.Open(datagram); reason != OK {
		t.Errorf("the true one afterwards: %v", reason)
	}
}

func TestForgersCannotMoveTheWindow(t *testing.T) {
	s, o := NewSealer(key, 9), NewOpener(key)
	if _, _, _, reason := o.Open(sealed(t, s, nil, 0)); reason != OK {
		t.Fatal(reason)
	}
	forged := make([]byte, Overhead)
	forged[0] = Type
	binary.BigEndian.PutUint64(forged[8:], 1<<56-1)
	if _, _, _, reason := o.Open(forged); reason != Forged {
		t.Fatal(reason)
	}
	if _, _, _, reason := o.Open(sealed(t, s, nil, 0)); reason != OK {
		t.Errorf("the next true one: %v", reason)
	}
}

func TestSealRefusesWhatItCannotDo(t *testing.T) {
	s := NewSealer(key, 9)
	for name, v := range map[string]struct{ room, n int }{
		"no room for the tag":    {HeaderLen + 10, 10},
		"no room for the header": {8, 0},
		"no room at all":         {0, 0},
		"one byte too few":       {Overhead + 9, 10},
		"a negative length":      {100, -1},
	} {
		if datagram, _, ok := s.Seal(make([]byte, v.room), v.n, 0); ok || datagram != nil {
			t.Errorf("%s: sealed", name)
		}
	}
	s.next[5] = MaxPacketNumber - 1
	buf := make([]byte, Overhead)
	if _, pn, ok := s.Seal(buf, 0, 5); !ok || pn != MaxPacketNumber-1 {
		t.Error("the last number was refused")
	}
	for range 3 {
		before := bytes.Clone(buf)
		if _, _, ok := s.Seal(buf, 0, 5); ok || !bytes.Equal(buf, before) {
			t.Error("sealed after the last number")
		}
	}
	if _, pn, ok := s.Seal(buf, 0, 6); !ok || pn != 0 {
		t.Error("another wire suffers")
	}
}

func TestNoCounterComesTwice(t *testing.T) {
	s := NewSealer(key, 9)
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[uint64]bool{}
	buf := make([]byte, Overhead)
	for range 100_000 {
		datagram, _, _ := s.Seal(buf, 0, uint8(r.IntN(256)))
		counter := binary.BigEndian.Uint64(datagram[8:])
		if seen[counter] {
			t.Fatalf("counter %#x came twice", counter)
		}
		seen[counter] = true
	}
}

func TestNothingIsAllocatedPerDatagram(t *testing.T) {
	s, o := NewSealer(key, 9), NewOpener(key)
	buf := make([]byte, 1400+Overhead)
	round := func() {
		datagram, _, _ := s.Seal(buf, 1400, 3)
		if _, _, _, reason := o.Open(datagram); reason != OK {
			t.Fatal(reason)
		}
		if _, _, _, reason := o.Open(datagram); reason != Replayed {
			t.Fatal(reason)
		}
	}
	round() // makes the wire's window
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { o.Open(buf[:20]) }); n != 0 {
		t.Errorf("%v allocations to refuse", n)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons + 1 {
		if seen[r.String()] || r.String() == "" {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
}

func FuzzOpen(f *testing.F) {
	genuine := sealed(f, NewSealer(key, 9), []byte("a packet"), 3)
	f.Add(bytes.Clone(genuine))
	f.Add([]byte{Type})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		o := NewOpener(key)
		for range 2 {
			datagram := bytes.Clone(datagram)
			_, _ = PeekIndex(datagram)
			same := bytes.Equal(datagram, genuine)
			plain, _, _, reason := o.Open(datagram)
			if (reason == OK) != (plain != nil) {
				t.Errorf("plaintext %v with %v", plain != nil, reason)
			}
			if reason == OK && !same {
				t.Error("a forged datagram was opened")
			}
		}
	})
}
