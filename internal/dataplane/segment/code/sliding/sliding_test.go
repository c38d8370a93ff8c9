package sliding

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/codetest"
)

var suite = codetest.Suite{Codec: Codec{}, Pool: 128, Complete: true}

func TestSuite(t *testing.T) { suite.Run(t) }

func BenchmarkCodec(b *testing.B) { suite.Bench(b) }

// FuzzDecoder lets a hostile peer send anything. The invariants must hold after each
// packet; with them, work and memory are bounded (at most 256 rows and equations).
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
			if err := checkInvariants(d.(*decoder)); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// TestInvariantsHoldInTraffic runs flows that repairs cannot keep up with, so that
// unknowns expire unsolved and the table of columns overflows.
func TestInvariantsHoldInTraffic(t *testing.T) {
	for _, test := range []struct {
		name                  string
		history, width, life  int
		loss, rate            float64
		wantSpent, wantSolved bool
	}{
		{name: "repairs suffice", history: 1024, width: 64, life: 300, loss: 0.2, rate: 0.4, wantSolved: true},
		{name: "repairs do not suffice", history: 1024, width: 64, life: 200, loss: 0.5, rate: 0.95, wantSpent: true, wantSolved: true},
		{name: "nothing ever expires but by the history", history: 1024, width: 128, life: 1 << 20, loss: 0.5, rate: 0.6, wantSpent: true},
		{name: "wide windows", history: 256, width: 256, life: 300, loss: 0.4, rate: 0.5, wantSpent: true},
		{name: "more unknowns than columns", history: 4096, width: 256, life: 3000, loss: 0.9, rate: 0.5, wantSpent: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 5))
			c := code.Config{First: 0xfffff800, History: test.history}
			e := Codec{}.NewEncoder(c)
			d := Codec{}.NewDecoder(c, func(seq uint32, symbol []byte) {
				if len(symbol) != int(seq%50) || len(symbol) > 0 && symbol[0] != byte(seq) {
					t.Fatalf("symbol %d recovered wrongly", seq)
				}
			}).(*decoder)
			payload := make([]byte, 100)
			credit, id := 0.0, uint16(0)
			for i := range 4000 {
				seq := e.Next()
				symbol := make([]byte, seq%50)
				if len(symbol) > 0 {
					symbol[0] = byte(seq)
				}
				e.Add(seq, symbol)
				if rng.Float64() >= test.loss {
					d.Source(seq, symbol)
				}
				for credit += test.rate; credit >= 1; credit-- {
					used, n := e.Repair(payload, code.Range(seq+1-uint32(test.width), test.width), id)
					if rng.Float64() >= test.loss {
						d.Repair(used, id, payload[:n])
					}
					id++
				}
				if i > test.life {
					d.ExpireBefore(seq - uint32(test.life))
				}
				if i%7 == 0 {
					if err := checkInvariants(d); err != nil {
						t.Fatalf("after symbol %d: %v", i, err)
					}
				}
			}
			tally := d.Tally()
			if tally.Discarded+tally.Refused != 0 || (tally.Spent > 0) != test.wantSpent && test.wantSpent || test.wantSolved && tally.Recovered < 100 {
				t.Errorf("tally %+v", tally)
			}
		})
	}
}

// TestSingular counts how often k repairs fail to recover k losses where nothing
// promises that they do: over wide windows, and over windows that slide.
func TestSingular(t *testing.T) {
	for _, test := range []struct {
		name         string
		width, slide int
		ids          int // from how many ids 128 are drawn
	}{
		{"128 numbers, one run of ids", 128, 0, 128},
		{"128 numbers, all ids", 128, 0, 1 << 16},
		{"256 numbers", 256, 0, 1 << 16},
		{"64 numbers, sliding", 64, 40, 1 << 16},
		{"128 numbers, sliding", 128, 100, 1 << 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(9, 9))
			const rounds = 2000
			failed := 0
			for range rounds {
				first, k := rng.Uint32(), 1+rng.IntN(16)
				recovered := 0
				d := Codec{}.NewDecoder(code.Config{First: first, History: code.MinHistory}, func(uint32, []byte) { recovered++ })
				e := Codec{}.NewEncoder(code.Config{First: first, History: code.MinHistory})
				for i := range test.width {
					e.Add(first+uint32(i), nil)
				}
				// Losses lie where all windows overlap.
				lost := rng.Perm(test.width - test.slide)[:k]
				for i := range lost {
					lost[i] += test.slide
				}
				sort(lost)
				for i, j := 0, 0; i < test.width; i++ {
					if j < k && i == lost[j] {
						j++
						continue
					}
					d.Source(first+uint32(i), nil)
				}
				payload := make([]byte, 10)
				start := rng.IntN(test.ids / 128)
				for _, i := range rng.Perm(128)[:k] { // distinct, far apart if ids are many
					id := start*128 + i*test.ids/128
					from := 0
					if test.slide > 0 {
						from = rng.IntN(test.slide)
					}
					used, n := e.Repair(payload, code.Range(first+uint32(from), test.width-from), uint16(id))
					d.Repair(used, uint16(id), payload[:n])
				}
				if recovered != k {
					failed++
				}
			}
			t.Logf("%d of %d singular: %.2f %%", failed, rounds, 100*float64(failed)/rounds)
			if test.ids == 128 && failed > 0 {
				t.Errorf("a Cauchy matrix was singular %d times", failed)
			}
			// 1/255 is expected at most: 8 in 2000, with a deviation of 3.
			if failed > 20 {
				t.Errorf("%d of %d were singular", failed, rounds)
			}
		})
	}
}

func sort(v []int) {
	for i := range v {
		for j := i; j > 0 && v[j] < v[j-1]; j-- {
			v[j], v[j-1] = v[j-1], v[j]
		}
	}
}

// TestProjectionReachesBeyondTheSpan drops an unknown that two repairs share, so that
// one takes over from the other an unknown 355 numbers after its own first.
func TestProjectionReachesBeyondTheSpan(t *testing.T) {
	recovered := map[uint32]string{}
	d := Codec{}.NewDecoder(code.Config{}, func(seq uint32, symbol []byte) { recovered[seq] = string(symbol) }).(*decoder)
	e := Codec{}.NewEncoder(code.Config{})
	for i := range uint32(356) {
		symbol := []byte{byte(i), byte(i >> 8)}
		if i == 0 {
			symbol = []byte("longer than the others")
		}
		e.Add(i, symbol)
		if i != 100 && i != 200 && i != 355 {
			d.Source(i, symbol)
		}
	}
	payload := make([]byte, 100)
	for id, first := range []uint32{0, 100} {
		used, n := e.Repair(payload, code.Range(first, 256), uint16(id))
		d.Repair(used, uint16(id), payload[:n])
	}
	d.Drop(101)
	if err := checkInvariants(d); err != nil {
		t.Fatal(err)
	}
	if d.Deficit(356) != 1 {
		t.Fatalf("deficit %d", d.Deficit(356))
	}
	d.Source(355, []byte{355 - 256, 1})
	if len(recovered) != 1 || recovered[200] != "\xc8\x00" {
		t.Errorf("recovered %v", recovered)
	}
	if err := checkInvariants(d); err != nil {
		t.Error(err)
	}
}

// TestShortEquationLeavesNothing lets an equation be found out as too short when the
// symbol that does not fit into it arrives.
func TestShortEquationLeavesNothing(t *testing.T) {
	d := Codec{}.NewDecoder(code.Config{}, func(seq uint32, _ []byte) { t.Errorf("recovered %d", seq) }).(*decoder)
	d.Repair(code.Range(0, 2), 1, []byte{0, 1, 2})
	d.Source(1, bytes.Repeat([]byte{7}, 500))
	if err := checkInvariants(d); err != nil {
		t.Error(err)
	}
	if d.systems != (set{}) || d.Tally().Discarded != 1 {
		t.Errorf("tally %+v", d.Tally())
	}
}

// TestSystemsStayApart sends repairs of runs of 64 symbols that lose too many, of more
// runs than one system has room for: what is learnt later solves each run by itself. Then
// repairs over neighbouring runs make one system of two.
func TestSystemsStayApart(t *testing.T) {
	const runs, long = 20, 64
	recovered := map[uint32]bool{}
	c := code.Config{First: 0xfffffe00}
	e := Codec{}.NewEncoder(c)
	d := Codec{}.NewDecoder(c, func(seq uint32, symbol []byte) {
		if len(symbol) != 4 || binary.BigEndian.Uint32(symbol) != seq {
			t.Errorf("symbol %d recovered wrongly: %x", seq, symbol)
		}
		recovered[seq] = true
	}).(*decoder)
	payload, id := make([]byte, 100), uint16(0)
	repair := func(first uint32, n int) {
		used, size := e.Repair(payload, code.Range(first, n), id)
		d.Repair(used, id, payload[:size])
		id++
	}
	check := func() {
		if err := checkInvariants(d); err != nil {
			t.Fatal(err)
		}
	}
	for r := range uint32(runs) {
		first := c.First + r*long
		for i := range uint32(long) {
			symbol := binary.BigEndian.AppendUint32(nil, first+i)
			e.Add(first+i, symbol)
			if i%4 != 0 { // 16 of each are lost, 320 in all
				d.Source(first+i, symbol)
			}
		}
		for range 12 {
			repair(first, long)
		}
	}
	check()
	if n := d.systems.len(); n != runs || len(recovered) != 0 {
		t.Fatalf("%d systems, want %d; %d recovered", n, runs, len(recovered))
	}
	for r := range uint32(runs) / 2 {
		check()
		// Four more for each run: alone, or shared with the next.
		first := c.First + 2*r*long
		if r%2 == 0 {
			for range 4 {
				repair(first, long)
				repair(first+long, long)
			}
			continue
		}
		for range 8 {
			repair(first, 2*long)
		}
	}
	if n := d.systems.len(); n != 0 || len(recovered) != 16*runs || d.held != 0 {
		t.Errorf("%d systems, %d equations left, %d recovered, want 0, 0, %d", n, d.held, len(recovered), 16*runs)
	}
}

// TestTheOldestSystemGoes makes more systems than there may be, and more equations.
func TestTheOldestSystemGoes(t *testing.T) {
	e := Codec{}.NewEncoder(code.Config{History: code.MaxHistory})
	d := Codec{}.NewDecoder(code.Config{History: code.MaxHistory}, func(seq uint32, _ []byte) { t.Errorf("recovered %d", seq) }).(*decoder)
	payload := make([]byte, 10)
	for r := range uint32(maxSystems + 20) {
		for i := range uint32(40) {
			e.Add(40*r+i, []byte{1})
		}
		for id := range uint16(20) {
			used, n := e.Repair(payload, code.Range(40*r, 40), id)
			d.Repair(used, id, payload[:n])
		}
	}
	if err := checkInvariants(d); err != nil {
		t.Fatal(err)
	}
	if d.held > maxHeld || d.held < maxHeld-40 || d.isPivot(39) || !d.isPivot(40*(maxSystems+20)-1) {
		t.Errorf("%d equations of at most %d, %d systems; the oldest is there: %v", d.held, maxHeld, d.systems.len(), d.isPivot(39))
	}
}
