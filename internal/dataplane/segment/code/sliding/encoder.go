package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
	"causeway/internal/dataplane/segment/code/history"
)

// encoder implements code.Encoder: a ring of symbols and a place to add them up.
type encoder struct {
	ring         *history.Ring
	most         int // slots that ring may grow to
	oldest, next uint32
	sum          gf.Sum // to a buffer that is zero between calls
}

// NewEncoder implements code.Codec.
func (Codec) NewEncoder(c code.Config) code.Encoder {
	return &encoder{
		ring:   history.NewHeadedRing(c.FirstSlots()),
		most:   c.Slots(),
		oldest: c.First,
		next:   c.First,
		sum:    gf.Sum{To: make([]byte, gf.Pad(code.LengthSize+code.MaxSymbol))},
	}
}

func (e *encoder) Room(n int) []byte { return e.ring.Room(n) }

func (e *encoder) Add(seq uint32, symbol []byte) bool {
	if seq != e.next || len(symbol) > code.MaxSymbol {
		return false
	}
	if e.next-e.oldest == uint32(e.ring.Slots()) {
		if e.ring.Slots() < e.most {
			e.ring.Grow(e.oldest, e.next)
		} else {
			e.oldest++
		}
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

// holds reports whether seq is in the window: one comparison, since the subtraction
// wraps for numbers before it.
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
	size := 0
	for seq := range want.Each {
		size = max(size, e.ring.Size(seq))
	}
	if size == 0 || size > len(dst) {
		return code.Span{}, 0
	}
	width := want.Width()
	for seq := range want.Each {
		e.sum.Add(coefficient(width, seq, id), e.ring.Frame(seq))
	}
	e.sum.Done()
	copy(dst, e.sum.To[:size])
	clear(e.sum.To[:size])
	return want, size
}
