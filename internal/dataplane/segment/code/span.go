package code

import (
	"encoding/binary"
	"math/bits"
)

// MaxSpan is how many consecutive numbers a Span can reach over.
const MaxSpan = 256

// Span is the set of symbols that a repair is made of: First and any of the 255
// numbers after it. Bit i%64 of Bits[i/64] stands for the symbol First+i. A span
// that is not empty always holds First. The zero Span is empty. Spans are plain
// values and comparable.
type Span struct {
	First uint32
	Bits  [MaxSpan / 64]uint64
}

// Range returns the span of the n symbols from first on; n is cut to MaxSpan. With
// n ≤ 0 it is empty.
func Range(first uint32, n int) Span {
	if n <= 0 {
		return Span{}
	}
	s := Span{First: first}
	for i := 0; i < len(s.Bits) && n > 0; i++ {
		s.Bits[i] = ^uint64(0) >> (64 - min(n, 64))
		n -= 64
	}
	return s
}

// Add puts seq into the span and reports whether it fits: the first number may be
// any, later ones must lie at most MaxSpan-1 after First.
func (s *Span) Add(seq uint32) bool {
	if s.Empty() {
		*s = Span{First: seq, Bits: [MaxSpan / 64]uint64{1}}
		return true
	}
	i := seq - s.First
	if i >= MaxSpan {
		return false
	}
	s.Bits[i/64] |= 1 << (i % 64)
	return true
}

// Empty reports whether the span holds nothing.
func (s *Span) Empty() bool { return s.Bits[0]&1 == 0 }

// Has reports whether the span holds seq.
func (s *Span) Has(seq uint32) bool {
	i := seq - s.First
	return i < MaxSpan && s.Bits[i/64]>>(i%64)&1 != 0
}

// Len returns how many symbols the span holds.
func (s *Span) Len() int {
	n := 0
	for _, w := range s.Bits {
		n += bits.OnesCount64(w)
	}
	return n
}

// Width returns how many consecutive numbers the span reaches over, 0 to MaxSpan.
func (s *Span) Width() int {
	for i := len(s.Bits) - 1; i >= 0; i-- {
		if w := s.Bits[i]; w != 0 {
			return 64*i + bits.Len64(w)
		}
	}
	return 0
}

// Last returns the newest symbol of a span that is not empty.
func (s *Span) Last() uint32 { return s.First + uint32(s.Width()) - 1 }

// Contiguous reports whether the span has no holes.
func (s *Span) Contiguous() bool { return s.Len() == s.Width() }

// Each returns the numbers of the span, oldest first.
func (s *Span) Each(yield func(seq uint32) bool) {
	for i, w := range s.Bits {
		for ; w != 0; w &= w - 1 {
			if !yield(s.First + uint32(64*i+bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// Cut returns what the span holds of the numbers from first up to, but not
// including, end.
func (s *Span) Cut(first, end uint32) Span {
	var t Span
	for seq := range s.Each {
		if !Before(seq, first) && Before(seq, end) {
			t.Add(seq)
		}
	}
	return t
}

// A span on the wire:
//
//	 0                   1                   2                   3
//	+---------------------------------------------------------------+
//	|                             First                             |
//	+---------------+---------------+-------------------------------+
//	|       0       |  width - 1    |   contiguous: 6 bytes
//	+---------------+---------------+-------------------------------+
//	|   n = 1…32    |  n bytes of bits, lowest bit first, the first bit set,
//	+---------------+  the last byte not zero, at least one hole
//
// Each span has exactly one form.

// MaxSpanSize is the length in bytes of the longest span on the wire.
const MaxSpanSize = 4 + 1 + MaxSpan/8

// Size returns how many bytes Append will add: 6 for a contiguous span, 6 to
// MaxSpanSize for one with holes.
func (s *Span) Size() int {
	if s.Contiguous() {
		return 6
	}
	return 5 + (s.Width()+7)/8
}

// Append adds the wire form of a span that is not empty to b.
func (s *Span) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, s.First)
	width := s.Width()
	if s.Contiguous() {
		return append(b, 0, byte(width-1))
	}
	n := (width + 7) / 8
	b = append(b, byte(n))
	for i := range n {
		b = append(b, byte(s.Bits[i/8]>>(i%8*8)))
	}
	return b
}

// ParseSpan reads a span from the front of b, which is not trusted, and returns it
// with the bytes after it. ok is false for anything that Append does not write.
func ParseSpan(b []byte) (s Span, rest []byte, ok bool) {
	if len(b) < 6 {
		return Span{}, nil, false
	}
	first, n := binary.BigEndian.Uint32(b), int(b[4])
	b = b[5:]
	if n == 0 {
		return Range(first, int(b[0])+1), b[1:], true
	}
	if n > MaxSpan/8 || n > len(b) || b[0]&1 == 0 || b[n-1] == 0 {
		return Span{}, nil, false
	}
	s.First = first
	for i, v := range b[:n] {
		s.Bits[i/8] |= uint64(v) << (i % 8 * 8)
	}
	if s.Contiguous() {
		return Span{}, nil, false
	}
	return s, b[n:], true
}
