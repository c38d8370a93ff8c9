package sliding

import "math/bits"

// size is how many unknowns the equations of one system may be about at once, and so how
// many equations there may be: as many as one span can cover.
const size = 256

// set is a set of indices below size.
type set [size / 64]uint64

func (s *set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) remove(i int)   { s[i/64] &^= 1 << (i % 64) }

// len returns how many members the set has.
func (s *set) len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// free returns the lowest index that is not in the set, -1 if all are.
func (s *set) free() int {
	for i, w := range s {
		if w != ^uint64(0) {
			return 64*i + bits.TrailingZeros64(^w)
		}
	}
	return -1
}

// extent returns a multiple of 64 above all members: how far vectors indexed by
// members of the set need to be looked at. Since the lowest free index is always
// taken first, it stays near the number of members.
func (s *set) extent() int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != 0 {
			return 64 * (i + 1)
		}
	}
	return 0
}

// each yields the members in order. The set may change meanwhile: members of the
// word in hand are those it had when the word was reached.
func (s *set) each(yield func(i int) bool) {
	for i := range s {
		for w := s[i]; w != 0; w &= w - 1 {
			if !yield(64*i + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}
