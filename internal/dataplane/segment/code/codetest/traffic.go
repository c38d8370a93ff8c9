package codetest

import (
	"math/rand/v2"
	"testing"

	"causeway/internal/dataplane/segment/code"
)

// traffic is a steady flow with losses, as the repair layer would send it: each
// source symbol, and now and then a repair over the newest window of them.
type traffic struct {
	rng     *rand.Rand
	enc     code.Encoder
	dec     code.Decoder
	window  int     // symbols a repair covers
	loss    float64 // of sources and repairs
	rate    float64 // repairs per source
	budget  uint32  // symbols after which an unknown expires
	credit  float64
	id      uint16
	symbols [][]byte
	payload []byte
}

// newTraffic returns a flow of 1,400-byte symbols with 20 % loss and 1.2 times the
// repairs that would do without variance.
func newTraffic(codec code.Codec, window int) *traffic {
	f := &traffic{
		rng: rand.New(rand.NewPCG(7, uint64(window))), window: window, loss: 0.2, rate: 0.3,
		budget: uint32(3 * window), payload: make([]byte, code.LengthSize+code.MaxSymbol),
	}
	c := code.Config{History: 1024}
	f.enc = codec.NewEncoder(c)
	f.dec = codec.NewDecoder(c, func(uint32, []byte) {})
	for range 256 {
		f.symbols = append(f.symbols, fill(f.rng, 1400))
	}
	return f
}

// symbol returns what is sent as number seq.
func (f *traffic) symbol(seq uint32) []byte { return f.symbols[seq%256] }

// encode sends one symbol and makes the repair that is due, if one is.
func (f *traffic) encode() (seq uint32, used code.Span, payload []byte) {
	seq = f.enc.Next()
	f.enc.Add(seq, f.symbol(seq))
	f.enc.Drop(seq - f.budget)
	f.credit += f.rate
	if f.credit < 1 || seq < uint32(f.window) {
		return seq, code.Span{}, nil
	}
	f.credit--
	f.id++
	used, n := f.enc.Repair(f.payload, code.Range(seq+1-uint32(f.window), f.window), f.id)
	return seq, used, f.payload[:n]
}

// decode receives what encode sent, as far as it is not lost.
func (f *traffic) decode(seq uint32, used code.Span, id uint16, payload []byte) {
	if f.rng.Float64() >= f.loss {
		f.dec.Source(seq, f.symbol(seq))
	}
	if len(payload) > 0 && f.rng.Float64() >= f.loss {
		f.dec.Repair(used, id, payload)
	}
	f.dec.ExpireBefore(seq - f.budget)
	f.dec.Drop(seq - 2*f.budget)
}

func (s Suite) testAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; run without -race to count")
	}
	for _, window := range []int{8, 64, 200} {
		f := newTraffic(s.Codec, window)
		missing := make([]code.Unknown, 0, 1024)
		step := func() {
			for range 100 {
				seq, used, payload := f.encode()
				f.decode(seq, used, f.id, payload)
				missing = f.dec.Missing(missing[:0])
				f.dec.Deficit(seq)
			}
		}
		for range 300 {
			step() // buffers grow to the traffic
		}
		before := f.dec.Tally().Recovered
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("window %d: %v allocations in 100 packets", window, n)
		}
		if f.dec.Tally().Recovered == before {
			t.Errorf("window %d: nothing was recovered", window)
		}
	}
}

// Bench measures encoding and decoding per source packet of 1,400 bytes at 20 % loss
// with 0.3 repairs per packet over windows of 8 to 128: a sub-benchmark each.
func (s Suite) Bench(b *testing.B) {
	for _, window := range []int{8, 32, 64, 128} {
		name := map[int]string{8: "window=8", 32: "window=32", 64: "window=64", 128: "window=128"}[window]
		b.Run("encode/"+name, func(b *testing.B) {
			f := newTraffic(s.Codec, window)
			b.ReportAllocs()
			b.SetBytes(1400)
			for b.Loop() {
				f.encode()
			}
		})
		b.Run("decode/"+name, func(b *testing.B) { benchDecode(b, newTraffic(s.Codec, window)) })
	}
	// Repairs that cannot keep up are the dearest: unknowns and equations pile up until
	// they expire, and all that is worked out in vain is paid for.
	b.Run("decode/overload", func(b *testing.B) {
		f := newTraffic(s.Codec, 128)
		f.loss, f.rate = 0.5, 0.8
		benchDecode(b, f)
	})
}

// batch is how many packets benchDecode encodes at a time, few enough for the cache.
const batch = 256

func benchDecode(b *testing.B, f *traffic) {
	type packet struct {
		seq     uint32
		used    code.Span
		id      uint16
		payload []byte
	}
	packets := make([]packet, batch)
	for i := range packets {
		packets[i].payload = make([]byte, 0, code.LengthSize+1400)
	}
	b.ReportAllocs()
	b.SetBytes(1400)
	left := 0
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			for i := range packets {
				p := &packets[i]
				var payload []byte
				p.seq, p.used, payload = f.encode()
				p.id, p.payload = f.id, append(p.payload[:0], payload...)
			}
			left = batch
			b.StartTimer()
		}
		p := &packets[batch-left]
		f.decode(p.seq, p.used, p.id, p.payload)
		left--
	}
}
