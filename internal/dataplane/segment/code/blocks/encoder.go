package blocks

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
	"causeway/internal/dataplane/segment/code/history"
)

// encoder implements code.Encoder.
type encoder struct {
	ring         *history.Ring
	oldest, next uint32
	made         []made // by block
	sum          gf.Sum // to a buffer that is zero between calls
}

// made counts the repairs made for one block.
type made struct {
	first uint32 // the block's first number
	whole int    // over all of it that was there
	some  int    // over some of it
}

// NewEncoder implements code.Codec.
func (Codec) NewEncoder(c code.Config) code.Encoder {
	return &encoder{
		ring:   history.NewHeadedRing(c.Slots()),
		oldest: c.First,
		next:   c.First,
		made:   make([]made, 2*c.Slots()/stride),
		sum:    gf.Sum{To: make([]byte, gf.Pad(code.LengthSize+code.MaxSymbol))},
	}
}

func (e *encoder) Room(n int) []byte { return e.ring.Room(n) }

func (e *encoder) Add(seq uint32, symbol []byte) bool {
	if seq != e.next || len(symbol) > code.MaxSymbol {
		return false
	}
	if e.next-e.oldest == uint32(e.ring.Slots()) {
		e.oldest++
	}
	e.ring.Put(seq, symbol)
	e.next++
	return true
}

func (e *encoder) Drop(upTo uint32) {
	for code.Before(e.oldest, upTo) && e.oldest != e.next {
		e.ring.Release(e.oldest)
		e.oldest++
	}
}

func (e *encoder) Oldest() uint32 { return e.oldest }
func (e *encoder) Next() uint32   { return e.next }

func (e *encoder) holds(seq uint32) bool { return seq-e.oldest < e.next-e.oldest }

func (e *encoder) Symbol(seq uint32) ([]byte, bool) { return e.Headed(seq, 0) }

func (e *encoder) Headed(seq uint32, n int) ([]byte, bool) {
	if !e.holds(seq) {
		return nil, false
	}
	return e.ring.Headed(seq, n), true
}

func (e *encoder) Repair(dst []byte, want code.Span, id uint16) (used code.Span, n int) {
	if !want.Empty() && !(e.holds(want.First) && e.holds(want.Last())) {
		want = want.Cut(e.oldest, e.next)
	}
	if want.Empty() {
		return code.Span{}, 0
	}
	used, count := e.choose(&want)
	size := 0
	for seq := range used.Each {
		size = max(size, e.ring.Size(seq))
	}
	if size > len(dst) {
		return code.Span{}, 0
	}
	for seq := range used.Each {
		e.sum.Add(gf.Cauchy(seq, id), e.ring.Frame(seq))
	}
	e.sum.Done()
	copy(dst, e.sum.To[:size])
	clear(e.sum.To[:size])
	*count++
	return used, size
}

// choose returns the part of want, not empty, that lies in the block whose turn it is,
// and where to count the repair. A block that holds all of want has its turn. Else turns
// go by d'Hondt's rule: to the block with the most wanted symbols per repair it would
// then have had, the newest of equals.
func (e *encoder) choose(want *code.Span) (best code.Span, count *int) {
	whole := want.Contiguous()
	all := want.Len()
	last := newest(want.Last())
	bestLen, bestHad := 0, 0
	for first := newest(want.First) - stride; first != last+stride; first += stride {
		part := want.Cut(first, first+blockLen)
		m := e.of(first)
		had := &m.some
		if whole {
			had = &m.whole
		}
		n := part.Len()
		if n == all {
			return part, had
		}
		if n*(bestHad+1) >= bestLen*(*had+1) && n > 0 {
			best, bestLen, bestHad, count = part, n, *had, had
		}
	}
	return best, count
}

// of returns the count of the block beginning at first.
func (e *encoder) of(first uint32) *made {
	m := &e.made[first/stride%uint32(len(e.made))]
	if m.first != first {
		*m = made{first: first}
	}
	return m
}
