package codetest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"causeway/internal/dataplane/segment/code"
)

// starts are first numbers worth trying: the second makes windows wrap.
var starts = []uint32{0, 0xffffffc0, 0x7fffffe0}

// fill returns n random bytes.
func fill(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// pair is both ends with what was sent and delivered.
type pair struct {
	code.Encoder
	code.Decoder
	sent      map[uint32][]byte
	delivered map[uint32]bool
}

// reporter is what testing.T and rapid.T have in common.
type reporter interface {
	Errorf(format string, args ...any)
}

// newPair returns both ends of codec; what is delivered is compared with what was
// sent, and must not come twice.
func newPair(t reporter, codec code.Codec, c code.Config) *pair {
	p := &pair{sent: map[uint32][]byte{}, delivered: map[uint32]bool{}, Encoder: codec.NewEncoder(c)}
	p.Decoder = codec.NewDecoder(c, func(seq uint32, symbol []byte) {
		if want, ok := p.sent[seq]; !ok || !bytes.Equal(symbol, want) {
			t.Errorf("delivered symbol %d wrongly: %d bytes", seq, len(symbol))
		}
		if p.delivered[seq] {
			t.Errorf("delivered symbol %d twice", seq)
		}
		p.delivered[seq] = true
	})
	return p
}

// send adds the next symbol.
func (p *pair) send(symbol []byte) uint32 {
	seq := p.Encoder.Next()
	p.Encoder.Add(seq, symbol)
	p.sent[seq] = symbol
	return seq
}

// repair makes a repair and hands it to the decoder.
func (p *pair) repair(want code.Span, id uint16) code.Verdict {
	payload := make([]byte, code.LengthSize+code.MaxSymbol)
	used, n := p.Encoder.Repair(payload, want, id)
	return p.Decoder.Repair(used, id, payload[:n])
}

func (s Suite) testAnyK(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, start := range starts {
		for range 100 {
			p := newPair(t, s.Codec, code.Config{First: start, History: code.MinHistory})
			k := 1 + rng.IntN(s.Pool)
			lost := rng.Perm(s.Pool)[:k]
			for range s.Pool {
				p.send(fill(rng, rng.IntN(20)))
			}
			for i := range s.Pool {
				if !slices.Contains(lost, i) {
					p.Source(start+uint32(i), p.sent[start+uint32(i)])
				}
			}
			ids := rng.Perm(128)[:k] // any of one run of ids
			for i, id := range ids {
				if len(p.delivered) != 0 {
					t.Fatalf("%d of %d losses recovered by %d repairs", len(p.delivered), k, i)
				}
				p.repair(code.Range(start, s.Pool), uint16(id)+256)
			}
			if len(p.delivered) != k {
				t.Fatalf("start %d: %d repairs recovered %d of %d losses", start, k, len(p.delivered), k)
			}
		}
	}
}

func (s Suite) testLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	lengths := []int{0, 1, 61, 62, 63, 64, 1400, 1500, code.MaxSymbol, 2, 126, 127}
	p := newPair(t, s.Codec, code.Config{})
	for _, n := range lengths {
		p.send(fill(rng, n))
	}
	for id := range len(lengths) {
		p.repair(code.Range(0, len(lengths)), uint16(id))
	}
	if len(p.delivered) != len(lengths) {
		t.Errorf("recovered %d of %d", len(p.delivered), len(lengths))
	}
	// A repair is as long as the longest of what it covers, not of the window.
	payload := make([]byte, code.LengthSize+code.MaxSymbol)
	if _, n := p.Encoder.Repair(payload, code.Range(0, 4), 1); n != code.LengthSize+62 {
		t.Errorf("a repair of symbols up to 62 bytes has %d", n)
	}
	if _, n := p.Encoder.Repair(payload[:code.LengthSize+61], code.Range(0, 4), 1); n != 0 {
		t.Errorf("a repair longer than its buffer was written")
	}
}

func (s Suite) testExpiry(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range 200 {
		p := newPair(t, s.Codec, code.Config{First: starts[round%3], History: code.MinHistory})
		base := p.Encoder.Next()
		for range s.Pool {
			p.send(fill(rng, 20))
		}
		// Some of the first half are lost and, partly repaired, expire.
		old := 1 + rng.IntN(s.Pool/2)
		for i := old; i < s.Pool; i++ {
			p.Source(base+uint32(i), p.sent[base+uint32(i)])
		}
		p.Advance(base + uint32(s.Pool))
		id := uint16(0)
		for range old - 1 {
			p.repair(code.Range(base, s.Pool), id)
			id++
		}
		p.ExpireBefore(base + uint32(old))
		if n := len(p.Missing(nil)); n != 0 {
			t.Fatalf("%d missing after all of them expired", n)
		}
		// The next lost symbols must be recovered by as many repairs over
		// themselves and what is known, whatever expired before them.
		p.delivered = map[uint32]bool{}
		for range s.Pool {
			p.send(fill(rng, 20))
		}
		p.Advance(base + uint32(2*s.Pool))
		for k := range s.Pool {
			p.repair(code.Range(base+uint32(s.Pool), s.Pool), id)
			id++
			if want := s.Pool - k - 1; p.Deficit(p.Decoder.Next()) != want {
				t.Fatalf("deficit is %d, want %d", p.Deficit(p.Decoder.Next()), want)
			}
		}
		if len(p.delivered) != s.Pool {
			t.Fatalf("recovered %d of %d after %d had expired", len(p.delivered), s.Pool, old)
		}
	}
}

func (s Suite) testDropped(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for round := range 600 {
		start := starts[round%3]
		p := newPair(t, s.Codec, code.Config{First: start, History: code.MinHistory})
		half := s.Pool / 2
		lost := map[int]bool{} // up to 3 of the old half, up to 8 of the new
		old, young := round/3%4, 1+rng.IntN(8)
		for _, i := range rng.Perm(half)[:old] {
			lost[i] = true
		}
		for _, i := range rng.Perm(half)[:young] {
			lost[half+i] = true
		}
		for i := range s.Pool {
			if seq := p.send(fill(rng, rng.IntN(30))); !lost[i] {
				p.Source(seq, p.sent[seq])
			}
		}
		p.Advance(start + uint32(s.Pool))
		repairs := rng.IntN(old + young) // not enough for all
		id := uint16(round * 128)        // the ids of one run
		for range repairs {
			p.repair(code.Range(start, s.Pool), id)
			id++
		}
		if rng.IntN(2) == 0 {
			p.ExpireBefore(start + uint32(half))
		}
		middle := start + uint32(half)
		p.Encoder.Drop(middle)
		p.Decoder.Drop(middle)
		// Each of the old took one equation with it; the others still count.
		want := young - max(0, repairs-old)
		if got := p.Deficit(p.Decoder.Next()); got != want && (s.Complete || old == 0) {
			t.Fatalf("%d+%d lost, %d repairs: deficit %d, want %d", old, young, repairs, got, want)
		}
		for range want + 2 { // two to spare: new spans promise less
			if p.Deficit(p.Decoder.Next()) > 0 {
				p.repair(code.Range(middle, half), id)
				id++
			}
		}
		if n := len(p.Missing(nil)); n > 0 && (s.Complete || old == 0) {
			t.Fatalf("%d+%d lost, %d repairs: still %d missing", old, young, repairs, n)
		}
	}
}

func (s Suite) testLate(t *testing.T) {
	// 0 and 1 are lost, one repair covers both, 0 expires, then comes late.
	p := newPair(t, s.Codec, code.Config{})
	p.send([]byte("zero"))
	p.send([]byte("one"))
	if v := p.repair(code.Range(0, 2), 7); v != code.Fresh {
		t.Fatalf("the repair is %v", v)
	}
	p.Expire(0)
	if d := p.Deficit(2); d != 1 {
		t.Errorf("deficit is %d after the equation was spent", d)
	}
	if v := p.Source(0, []byte("zero")); v != code.Expired {
		t.Errorf("a late symbol is %v", v)
	}
	if !p.delivered[1] || p.delivered[0] || !p.Has(0) {
		t.Errorf("delivered %v, knows 0: %v", p.delivered, p.Has(0))
	}
	// What expires before it is sent is never wanted.
	p.ExpireBefore(5)
	p.Advance(4)
	if n := len(p.Missing(nil)); n != 0 {
		t.Errorf("%d missing", n)
	}
	if v := p.Source(4, nil); v != code.Expired {
		t.Errorf("a symbol that expired before it came is %v", v)
	}
	if v := p.Source(5, nil); v != code.Fresh {
		t.Errorf("the symbol after it is %v", v)
	}
}

func (s Suite) testEncoder(t *testing.T) {
	start := uint32(0xfffffff0)
	e := s.Codec.NewEncoder(code.Config{First: start, History: code.MinHistory})
	if e.Add(start+1, nil) || e.Add(start, make([]byte, code.MaxSymbol+1)) {
		t.Error("took a symbol out of order or too long")
	}
	for i := range uint32(code.MinHistory + 40) {
		if !e.Add(start+i, []byte{byte(i)}) {
			t.Fatalf("refused symbol %d", i)
		}
	}
	if e.Oldest() != start+40 || e.Next() != start+code.MinHistory+40 {
		t.Errorf("holds %d to %d", e.Oldest(), e.Next())
	}
	if _, ok := e.Symbol(start + 39); ok {
		t.Error("holds a symbol beyond its history")
	}
	e.Drop(50)
	if b, ok := e.Symbol(50); !ok || len(b) != 1 || b[0] != 66 {
		t.Errorf("symbol 50 is %v, %v", b, ok)
	}
	if _, ok := e.Symbol(49); ok {
		t.Error("holds a dropped symbol")
	}
	payload := make([]byte, 100)
	used, n := e.Repair(payload, code.Range(48, 4), 1)
	if used != code.Range(50, 2) || n != code.LengthSize+1 {
		t.Errorf("repairs %v with %d bytes of what is dropped in part", used, n)
	}
	for name, span := range map[string]code.Span{"empty": {}, "dropped": code.Range(40, 3), "future": code.Range(e.Next(), 3)} {
		if _, n := e.Repair(payload, span, 1); n != 0 {
			t.Errorf("repaired an %s span", name)
		}
	}
	made := append(e.Room(300), "made in room"...)
	if !e.Add(e.Next(), made) {
		t.Error("refused a symbol made in its room")
	}
	b, ok := e.Headed(e.Next()-1, 6)
	if !ok || &b[6] != &made[0] || string(b[6:]) != "made in room" {
		t.Errorf("with six bytes in front it is %q, %v", b, ok)
	}
	clear(b[:6])
	if used, n := e.Repair(payload, code.Range(e.Next()-1, 1), 7); used.Len() != 1 || n != code.LengthSize+12 {
		t.Errorf("after its head was written repairs %v with %d bytes", used, n)
	}
	if again := e.Room(300); &again[:1][0] == &made[0] {
		t.Error("lends again what it keeps")
	}
	e.Drop(e.Next() + 1000)
	if e.Oldest() != e.Next() || !e.Add(e.Next(), nil) {
		t.Errorf("after dropping all holds %d to %d", e.Oldest(), e.Next())
	}
}

func (s Suite) testVerdicts(t *testing.T) {
	p := newPair(t, s.Codec, code.Config{First: 100, History: code.MinHistory})
	for i := range 400 {
		p.send([]byte{byte(i)})
	}
	check := func(what string, got, want code.Verdict) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("the first symbol", p.Source(100, p.sent[100]), code.Fresh)
	check("its copy", p.Source(100, p.sent[100]), code.Duplicate)
	check("one before the first", p.Source(99, nil), code.Stale)
	check("one too long", p.Source(101, make([]byte, code.MaxSymbol+1)), code.Malformed)
	check("a repair with two unknowns", p.repair(code.Range(244, 2), 1), code.Fresh)
	check("its copy", p.repair(code.Range(244, 2), 1), code.Redundant)
	check("a second", p.repair(code.Range(244, 2), 2), code.Fresh)
	check("a third", p.repair(code.Range(244, 2), 3), code.Redundant)
	check("what was recovered", p.Source(245, p.sent[245]), code.Duplicate)
	check("an empty span", p.Decoder.Repair(code.Span{}, 1, []byte{0, 0}), code.Malformed)
	check("a payload without a length", p.Decoder.Repair(code.Range(250, 2), 1, []byte{0}), code.Malformed)
	check("a payload too long", p.Decoder.Repair(code.Range(250, 2), 1, make([]byte, 9003)), code.Malformed)
	check("a repair shorter than a symbol in it", p.Decoder.Repair(code.Range(244, 4), 1, []byte{0, 0}), code.Contradiction)
	p.Decoder.Drop(246)
	check("a dropped symbol", p.Source(245, p.sent[245]), code.Stale)
	check("a repair with a dropped symbol", p.Decoder.Repair(code.Range(245, 3), 1, []byte{0, 0, 0}), code.Stale)
	tally := p.Tally()
	if tally.Recovered != 2 || tally.Source[code.Stale] != 2 || tally.Repair[code.Redundant] != 2 {
		t.Errorf("tally is %+v", tally)
	}
}

func (s Suite) testLies(t *testing.T) {
	p := newPair(t, s.Codec, code.Config{})
	for i := range 8 {
		p.send(bytes.Repeat([]byte{byte(i)}, 10))
	}
	// A payload whose length says more than it has.
	if v := p.Decoder.Repair(code.Range(0, 1), 1, []byte{0xff, 0xff, 1, 2}); v != code.Contradiction {
		t.Errorf("an impossible length is %v", v)
	}
	// An equation too short for a symbol that comes afterwards.
	if v := p.Decoder.Repair(code.Range(0, 2), 2, []byte{1, 2, 3}); v != code.Fresh {
		t.Errorf("an equation is %v", v)
	}
	p.Source(1, p.sent[1])
	if len(p.delivered) != 0 || p.Deficit(1) != 1 {
		t.Errorf("delivered %v, deficit %d", p.delivered, p.Deficit(1))
	}
	if p.Tally().Discarded < 2 || p.Tally().Refused < 1 {
		t.Errorf("tally is %+v", p.Tally())
	}
	// The truth still works.
	p.repair(code.Range(0, 2), 3)
	p.Advance(8)
	for id := range uint16(6) {
		p.repair(code.Range(2, 6), 10+id)
	}
	if len(p.delivered) != 7 {
		t.Errorf("delivered %d of 7", len(p.delivered))
	}
}

func (s Suite) testJump(t *testing.T) {
	for _, jump := range []uint32{code.MinHistory - 10, code.MinHistory, code.MinHistory + 1, 3 * code.MinHistory, 1 << 30} {
		p := newPair(t, s.Codec, code.Config{First: 5, History: code.MinHistory})
		for range 6 {
			p.send([]byte("old"))
		}
		p.Source(5, []byte("old"))
		p.repair(code.Range(6, 3), 1)
		p.Expire(6)
		to := 5 + jump
		if v := p.Source(to, []byte("new")); v != code.Fresh {
			t.Errorf("jump %d: the symbol is %v", jump, v)
		}
		missing := p.Missing(nil)
		if want := min(int(jump)-2, code.MinHistory-1); len(missing) != want {
			t.Errorf("jump %d: %d missing, want %d", jump, len(missing), want)
		}
		if p.Decoder.Next() != to+1 || p.Has(5) != (jump < code.MinHistory) || !p.Has(to) {
			t.Errorf("jump %d: next %d", jump, p.Decoder.Next())
		}
	}
}
