package gf

import "github.com/klauspost/reedsolomon"

// kernels has klauspost's defaults: the best instruction set the machine has. No other
// package imports that library.
var kernels reedsolomon.LowLevel

// matrix[a] is multiplication by a as the matrix of bits that GFNI wants: its rows in
// bytes, the one for the highest bit of the product first (lowest).
var matrix [256]uint64

func init() {
	for a := range 256 {
		for i := range 8 {
			for j := range 8 {
				bit := uint64(slowMul(byte(a), 1<<j) >> i & 1)
				matrix[a] |= bit << ((7-i)*8 + j)
			}
		}
	}
}

// Align is the multiple of bytes to which vectors ought to be padded, since the
// kernels work through such blocks and do what remains more slowly.
const Align = 64

// Pad returns n rounded up to a multiple of Align.
func Pad(n int) int { return (n + Align - 1) &^ (Align - 1) }

// MulAdd adds c·in to out, which must be at least as long as in.
func MulAdd(c byte, in, out []byte) {
	if c == 0 || len(in) == 0 {
		return
	}
	if gfni {
		if n := len(in) &^ (Align - 1); n > 0 {
			mulAdd1(matrix[c], &in[0], &out[:n][0], n)
			in, out = in[n:], out[n:]
		}
		if len(in) == 0 {
			return
		}
	}
	kernels.GalMulSliceXor(c, in, out)
}

// Sum adds up many vectors with their factors. It takes eight at a time, which reads
// and writes the result an eighth as often. The zero Sum must be given To; after the
// last Add comes Done.
type Sum struct {
	To []byte // what is added to: at least as long as any vector added

	n    int
	c    [8]byte
	in   [8][]byte
	mats [8]uint64
	at   [8]*byte
}

// Add adds c·in, now or at one of the next calls: in must not change until Done.
func (s *Sum) Add(c byte, in []byte) {
	if c == 0 || len(in) == 0 {
		return
	}
	s.c[s.n], s.in[s.n] = c, in
	s.n++
	if s.n == len(s.in) {
		s.flush()
	}
}

// Done makes To complete, and the Sum ready to be used again.
func (s *Sum) Done() {
	i := 0
	if s.n >= 4 {
		s.four()
		i = 4
	}
	for ; i < s.n; i++ {
		MulAdd(s.c[i], s.in[i], s.To)
	}
	s.n = 0
}

// flush adds the eight vectors in hand, together as far as the shortest reaches.
func (s *Sum) flush() {
	s.n = 0
	n, longest := len(s.in[0]), 0
	for _, in := range s.in {
		n, longest = min(n, len(in)), max(longest, len(in))
	}
	if n &^= Align - 1; gfni && n > 0 {
		for i, c := range s.c {
			s.mats[i], s.at[i] = matrix[c], &s.in[i][0]
		}
		mulAdd8(&s.mats, &s.at, &s.To[:n][0], n)
		if n == longest {
			return
		}
	} else {
		n = 0
	}
	for i, c := range s.c {
		MulAdd(c, s.in[i][n:], s.To[n:])
	}
}

// four adds the first four vectors in hand likewise.
func (s *Sum) four() {
	in := s.in[:4]
	n := min(len(in[0]), len(in[1]), len(in[2]), len(in[3])) &^ (Align - 1)
	if gfni && n > 0 {
		m := [4]uint64{matrix[s.c[0]], matrix[s.c[1]], matrix[s.c[2]], matrix[s.c[3]]}
		mulAdd4(&m, &in[0][0], &in[1][0], &in[2][0], &in[3][0], &s.To[:n][0], n)
	} else {
		n = 0
	}
	for i, v := range in {
		MulAdd(s.c[i], v[n:], s.To[n:])
	}
}
