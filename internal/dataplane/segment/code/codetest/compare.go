package codetest

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"causeway/internal/dataplane/segment/code"
)

// run is a random history: sources and repairs, some lost, some late, some doubled,
// unknowns that expire one by one or all before a number.
type run struct {
	*rapid.T
	suite   Suite
	first   uint32
	pair    *pair
	twin    *twin
	arrived map[uint32]bool // as themselves, in time or not
	expired map[uint32]bool
	floor   uint32 // all before it have expired
	base    uint32 // all before it were dropped
	loose   bool   // do not judge verdicts, nor ask the twin
	repairs uint16
	late    []func() // what is still under way
}

func (s Suite) testTwin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := s.newRun(rt, code.DefaultHistory)
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			r.step()
			r.checkMissing()
		}
		for _, f := range r.late {
			f()
		}
		r.checkMissing()
		r.checkTwin()
	})
}

func (s Suite) testSmallHistory(t *testing.T) {
	// Here the pair compares what is delivered with what was sent; more cannot be
	// said when windows drop out of sight.
	rapid.Check(t, func(rt *rapid.T) {
		r := s.newRun(rt, code.MinHistory)
		r.loose = true
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			for range rapid.IntRange(0, 40).Draw(rt, "burst") {
				if p := r.pair; rapid.IntRange(0, 2).Draw(rt, "lost") > 0 {
					seq := p.send([]byte{byte(p.Encoder.Next()), 3})
					p.Source(seq, p.sent[seq])
				} else {
					p.send([]byte{byte(p.Encoder.Next())})
				}
			}
			r.step()
			if rapid.IntRange(0, 9).Draw(rt, "drop") == 0 {
				r.pair.Decoder.Drop(r.number())
			}
		}
		checkDeficits(rt, r.pair)
	})
}

func (s Suite) newRun(t *rapid.T, history int) *run {
	first := rapid.SampledFrom(starts).Draw(t, "first")
	return &run{
		T: t, suite: s, first: first, floor: first, base: first,
		pair:    newPair(t, s.Codec, code.Config{First: first, History: history}),
		twin:    newTwin(first),
		arrived: map[uint32]bool{},
		expired: map[uint32]bool{},
	}
}

// number draws one of the newest 128 numbers sent.
func (r *run) number() uint32 {
	n := int(r.pair.Encoder.Next() - r.first)
	return r.first + uint32(rapid.IntRange(max(0, n-128), n).Draw(r.T, "number"))
}

func (r *run) step() {
	switch rapid.IntRange(0, 19).Draw(r.T, "action") / 2 {
	case 0, 1, 2, 3:
		n := rapid.IntRange(0, 40).Draw(r.T, "length")
		seq := r.pair.send(rapid.SliceOfN(rapid.Byte(), n, n).Draw(r.T, "symbol"))
		r.travel(func() { r.source(seq) })
	case 4:
		r.repair(code.Range(r.number(), rapid.IntRange(1, 140).Draw(r.T, "width")))
	case 5, 6:
		var span code.Span // over some of the missing
		for _, u := range r.pair.Missing(nil) {
			if rapid.Bool().Draw(r.T, "take") {
				span.Add(u.Seq)
			}
		}
		r.repair(span)
	case 7:
		seq := r.number()
		if !r.arrived[seq] && !r.pair.delivered[seq] && code.Before(seq, r.pair.Decoder.Next()) {
			r.expired[seq] = true
		}
		r.pair.Expire(seq)
	case 8:
		if upTo := r.number() - 20; code.Before(r.floor, upTo) {
			for seq := r.floor; seq != upTo; seq++ {
				if !r.arrived[seq] && !r.pair.delivered[seq] {
					r.expired[seq] = true
				}
			}
			r.floor = upTo
			r.pair.ExpireBefore(upTo)
		}
	case 9:
		if upTo := r.number() - 40; code.Before(r.base, upTo) && rapid.IntRange(0, 3).Draw(r.T, "drop") == 0 {
			r.pair.Decoder.Drop(upTo)
			if next := r.pair.Decoder.Next(); code.Before(next, upTo) {
				upTo = next
			}
			r.base = upTo
			return
		}
		if n := len(r.late); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(r.T, "which")
			f := r.late[i]
			r.late = append(r.late[:i], r.late[i+1:]...)
			f()
		}
	}
}

// travel delivers a packet at once, later, twice or never.
func (r *run) travel(arrive func()) {
	switch rapid.IntRange(0, 5).Draw(r.T, "fate") {
	case 0, 1:
	case 2:
		r.late = append(r.late, arrive)
	case 3:
		arrive()
		r.late = append(r.late, arrive)
	default:
		arrive()
	}
}

func (r *run) source(seq uint32) {
	want := code.Fresh
	switch {
	case code.Before(seq, r.base):
		want = code.Stale
	case r.pair.Has(seq):
		want = code.Duplicate
	case r.expired[seq]:
		want = code.Expired
	}
	if v := r.pair.Source(seq, r.pair.sent[seq]); v != want && !r.loose {
		r.Fatalf("symbol %d is %v, want %v", seq, v, want)
	}
	if want == code.Stale {
		return
	}
	r.arrived[seq] = true
	r.twin.source(seq, r.pair.sent[seq])
}

func (r *run) repair(want code.Span) {
	id := r.repairs
	r.repairs += uint16(rapid.SampledFrom([]int{1, 1, 1, 1, 128, 100}).Draw(r.T, "id step"))
	payload := make([]byte, 100)
	used, n := r.pair.Encoder.Repair(payload, want, id)
	if n == 0 {
		return
	}
	r.travel(func() {
		v := r.pair.Decoder.Repair(used, id, payload[:n])
		if r.loose {
			return
		}
		if v == code.Contradiction || v == code.Malformed || (v == code.Stale) != code.Before(used.First, r.base) {
			r.Fatalf("the repair %d over %v is %v", id, used, v)
		}
		if v != code.Stale {
			r.twin.repair(r.suite.Codec, used, id, payload[:n])
		}
	})
}

// checkMissing compares Missing with what it must be, and the deficits with it.
func (r *run) checkMissing() {
	missing := r.pair.Missing(nil)
	for seq := r.base; seq != r.pair.Decoder.Next(); seq++ {
		if r.arrived[seq] || r.pair.delivered[seq] || r.expired[seq] {
			continue
		}
		if len(missing) == 0 || missing[0].Seq != seq {
			r.Fatalf("symbol %d should be missing, the next that is: %v", seq, missing)
		}
		missing = missing[1:]
	}
	if len(missing) != 0 {
		r.Fatalf("missing, but should not be: %v", missing)
	}
	checkDeficits(r.T, r.pair)
}

// checkDeficits checks that deficits are the missing less the pivots, and that no
// prefix of the missing has a deficit of 0: it would have been solved.
func checkDeficits(t *rapid.T, p *pair) {
	deficit := 0
	for _, u := range p.Missing(nil) {
		if !u.Pivot {
			deficit++
		}
		if got := p.Deficit(u.Seq + 1); got != deficit || got == 0 {
			t.Fatalf("the deficit up to %d is %d, want %d", u.Seq, got, deficit)
		}
	}
}

// checkTwin compares what was recovered with what the twin makes of the same packets.
func (r *run) checkTwin() {
	solved := r.twin.solve()
	for seq := range r.pair.delivered {
		if s, ok := solved[int(seq-r.first)]; !ok || !bytes.Equal(s, r.pair.sent[seq]) {
			r.Fatalf("symbol %d was delivered, the twin has %x, %v", seq, s, ok)
		}
	}
	if !r.suite.Complete {
		return
	}
	for i := range solved {
		if seq := r.first + uint32(i); !r.pair.Has(seq) && !code.Before(seq, r.base) {
			r.Fatalf("the twin knows symbol %d, the decoder does not", seq)
		}
	}
	if got, want := r.pair.Deficit(r.pair.Decoder.Next()), r.deficit(); got != want {
		r.Fatalf("the deficit is %d, the twin's %d", got, want)
	}
}

// deficit returns the deficit of all the missing by the twin: how many repairs more,
// each of a missing symbol's own, make all of them known.
func (r *run) deficit() int {
	n := 0
	for {
		solved := r.twin.solve()
		var lacking []uint32
		for _, u := range r.pair.Missing(nil) {
			if _, ok := solved[int(u.Seq-r.first)]; !ok {
				lacking = append(lacking, u.Seq)
			}
		}
		if len(lacking) == 0 {
			return n
		}
		// In the order of pivots: the oldest first leaves the newest to equations.
		r.twin.source(lacking[0], r.pair.sent[lacking[0]])
		n++
	}
}
