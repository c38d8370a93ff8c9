package blocks

import (
	"math/rand/v2"
	"testing"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/codetest"
)

var suite = codetest.Suite{Codec: Codec{}, Pool: blockLen, Complete: false}

func TestSuite(t *testing.T) { suite.Run(t) }

func BenchmarkCodec(b *testing.B) { suite.Bench(b) }

// FuzzDecoder lets a hostile peer send anything; no block may keep more parities than
// it has unknowns.
func FuzzDecoder(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		seed := make([]byte, 50+rng.IntN(500))
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		suite.Hostile(t, data, func(d code.Decoder) {
			d2 := d.(*decoder)
			for i := range d2.blocks {
				b := &d2.blocks[i]
				unknown, _ := d2.state(b)
				n := 0
				for range places(unknown) {
					n++
				}
				if len(b.parity) > n || len(b.parity) == n && n > 0 {
					t.Fatalf("block %d keeps %d parities for %d unknowns", b.first, len(b.parity), n)
				}
				for k := range places(b.pivots) {
					if unknown>>k&1 == 0 {
						t.Fatalf("block %d has a pivot that is known", b.first)
					}
				}
			}
		})
	})
}

// TestNeighboursHelp loses more of a block than its parities can recover, of which the
// next block recovers enough.
func TestNeighboursHelp(t *testing.T) {
	recovered := 0
	d := Codec{}.NewDecoder(code.Config{}, func(uint32, []byte) { recovered++ })
	e := Codec{}.NewEncoder(code.Config{})
	payload := make([]byte, 10)
	lost := map[uint32]bool{3: true, 20: true, 21: true} // block 0 has all, block 16 two
	for seq := range uint32(48) {
		e.Add(seq, []byte{byte(seq)})
		if !lost[seq] {
			d.Source(seq, []byte{byte(seq)})
		}
	}
	repair := func(first uint32, id uint16) {
		used, n := e.Repair(payload, code.Range(first, blockLen), id)
		d.Repair(used, id, payload[:n])
	}
	repair(0, 1)
	repair(16, 2)
	if recovered != 0 || d.Deficit(48) != 2 { // both have 21 as their newest
		t.Fatalf("recovered %d, deficit %d", recovered, d.Deficit(48))
	}
	repair(16, 3)
	if recovered != 3 {
		t.Errorf("recovered %d of 3", recovered)
	}
}

// TestTurns sees repairs over a sliding window shared out evenly among its blocks.
func TestTurns(t *testing.T) {
	e := Codec{}.NewEncoder(code.Config{})
	payload := make([]byte, 10)
	count := map[uint32]int{}
	for seq := range uint32(16 * 100) {
		e.Add(seq, nil)
		if seq >= 128 && seq%2 == 0 {
			used, n := e.Repair(payload, code.Range(seq-127, 128), uint16(seq/2))
			if n == 0 || used.Width() > blockLen {
				t.Fatalf("used %v", used)
			}
			count[newest(used.Last())-stride]++
		}
	}
	for first := uint32(20 * stride); first < 80*stride; first += stride {
		if n := count[first]; n < 6 || n > 10 { // 8 a block
			t.Errorf("block %d had %d repairs", first, n)
		}
	}
}
