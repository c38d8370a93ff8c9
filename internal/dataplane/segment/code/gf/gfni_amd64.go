//go:build !purego

package gf

import "golang.org/x/sys/cpu"

// gfni says that the machine has AVX-512 with the Galois-field instructions (Ice Lake,
// Zen 4 and later). klauspost/reedsolomon uses those only for matrices that are fixed
// beforehand, which ours are not; with our kernels a sum takes a fifth of the time.
var gfni = cpu.X86.HasAVX512F && cpu.X86.HasAVX512GFNI

// mulAdd1 adds m·in to out, n bytes long, n a positive multiple of 64.
//
//go:noescape
func mulAdd1(m uint64, in, out *byte, n int)

// mulAdd4 adds m[0]·in0 + m[1]·in1 + m[2]·in2 + m[3]·in3 to out, all n bytes long, n a
// positive multiple of 64.
//
//go:noescape
func mulAdd4(m *[4]uint64, in0, in1, in2, in3, out *byte, n int)

// mulAdd8 is mulAdd4 with eight.
//
//go:noescape
func mulAdd8(m *[8]uint64, in *[8]*byte, out *byte, n int)
