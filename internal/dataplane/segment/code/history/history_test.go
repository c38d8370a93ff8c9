package history

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestRingIsAMap compares a ring with a map of what the last symbol in each slot was.
func TestRingIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 8
		r := NewRing(slots)
		headed := rapid.Bool().Draw(t, "headed")
		if headed {
			r = NewHeadedRing(slots)
		}
		held := map[uint32][]byte{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			seq := rapid.Uint32Range(0xfffffff0, 0xffffffff).Draw(t, "seq") + 8 // wraps
			for other := range held {
				if other%slots == seq%slots {
					delete(held, other)
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "release") == 0 {
				r.Release(seq)
			} else {
				n := rapid.SampledFrom([]int{0, 1, 61, 62, 63, 126, 127, 1500, 9000}).Draw(t, "length")
				held[seq] = bytes.Repeat([]byte{rapid.ByteRange(1, 255).Draw(t, "byte")}, n)
				if rapid.Bool().Draw(t, "made in room") {
					room := append(r.Room(rapid.IntRange(n, 9000).Draw(t, "room")), held[seq]...)
					r.Put(seq, room)
					if n > 0 && &room[0] != &r.Symbol(seq)[0] {
						t.Fatal("what was made in room was copied")
					}
				} else {
					r.Put(seq, held[seq])
				}
			}
			if headed {
				for seq := range held { // what is written in front harms nothing
					clear(r.Headed(seq, 1+int(seq%Headroom))[:1+seq%Headroom])
				}
			}
			used := 0
			for seq, symbol := range held {
				frame := r.Frame(seq)
				size := r.Size(seq)
				if size != 2+len(symbol) || len(frame)%64 != 0 || len(frame)-size >= 64 ||
					frame[0] != byte(len(symbol)>>8) || frame[1] != byte(len(symbol)) ||
					!bytes.Equal(r.Symbol(seq), symbol) || len(bytes.Trim(frame[size:], "\x00")) != 0 {
					t.Fatalf("symbol %d of %d bytes is framed wrongly", seq, len(symbol))
				}
				used++
			}
			for seq := range uint32(slots) {
				if r.Size(seq) == 0 {
					used++
					if r.Frame(seq) != nil || r.Symbol(seq) != nil {
						t.Fatal("a free slot has bytes")
					}
				}
			}
			if used != slots {
				t.Fatalf("%d slots are accounted for", used)
			}
		}
	})
}

func TestPool(t *testing.T) {
	var p Pool
	for n := 0; n <= classes[len(classes)-1]; n++ {
		b := p.Get(n)
		if len(b) < n || len(b)-n >= 64 || len(b)%64 != 0 {
			t.Fatalf("asked for %d bytes, got %d", n, len(b))
		}
		p.Put(b)
	}
	a := p.Get(100)
	p.Put(a)
	if b := p.Get(70); &a[0] != &b[0] {
		t.Error("a buffer was not used again")
	}
	p.Put(make([]byte, 100)) // not one of its own
	for range 2 * spare / 9216 {
		p.Put(make([]byte, 9216))
	}
	kept := 0
	for _, list := range p.free {
		for _, b := range list {
			kept += cap(b)
		}
	}
	if kept != p.unused || kept > spare || kept < spare-9216 {
		t.Errorf("keeps %d bytes, says %d", kept, p.unused)
	}
}
