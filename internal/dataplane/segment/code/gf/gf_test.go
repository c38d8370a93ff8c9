package gf

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestFieldLaws checks the table against the laws of a field, which together with
// 2·128 = 0x1d leave only GF(256) with the polynomial 0x11d.
func TestFieldLaws(t *testing.T) {
	if Mul(2, 128) != 0x1d {
		t.Fatalf("2·128 = %#x", Mul(2, 128))
	}
	for a := range 256 {
		a := byte(a)
		if Mul(a, 1) != a || Mul(a, 0) != 0 {
			t.Errorf("%d times 1 and 0 are %d and %d", a, Mul(a, 1), Mul(a, 0))
		}
		if a != 0 && Mul(a, Inv(a)) != 1 {
			t.Errorf("%d has the wrong inverse %d", a, Inv(a))
		}
		for b := range 256 {
			b := byte(b)
			if Mul(a, b) != Mul(b, a) {
				t.Fatalf("%d·%d depends on the order", a, b)
			}
			for _, c := range []byte{2, 3, 0x80, 0xff} {
				if Mul(a, b^c) != Mul(a, b)^Mul(a, c) || Mul(Mul(a, b), c) != Mul(a, Mul(b, c)) {
					t.Fatalf("%d, %d, %d: not distributive or not associative", a, b, c)
				}
			}
		}
	}
}

// eachKernel runs the test with the kernels of this machine and, if those are GFNI's,
// with klauspost's as well.
func eachKernel(t *testing.T, test func(t *testing.T)) {
	t.Run("klauspost", func(t *testing.T) {
		defer func(was bool) { gfni = was }(gfni)
		gfni = false
		test(t)
	})
	if gfni {
		t.Run("GFNI", test)
	}
}

// TestSumAgreesWithMulAdd adds up 0 to 20 vectors of mixed lengths.
func TestSumAgreesWithMulAdd(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(4, 4))
		for range 500 {
			out := random(rng, 1600)
			want := bytes.Clone(out)
			sum := Sum{To: out}
			for range rng.IntN(20) {
				c, in := byte(rng.IntN(256)), random(rng, rng.IntN(1600))
				if rng.IntN(3) > 0 {
					in = in[:len(in)&^(Align-1)]
				}
				for i, v := range in {
					want[i] ^= Mul(c, v)
				}
				sum.Add(c, in)
			}
			if sum.Done(); !bytes.Equal(out, want) {
				t.Fatal("wrong sum")
			}
		}
	})
}

// TestMulAddAgreesWithTable tries every factor and the lengths around the kernels'
// block sizes, with the output longer than the input.
func TestMulAddAgreesWithTable(t *testing.T) { eachKernel(t, testMulAdd) }

func testMulAdd(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for c := range 256 {
		for _, n := range []int{0, 1, 15, 31, 32, 33, 63, 64, 65, 127, 128, 192, 250, 256, 320, 1408, 1411} {
			in, out := random(rng, n), random(rng, n+3)
			want := bytes.Clone(out)
			for i, v := range in {
				want[i] ^= Mul(byte(c), v)
			}
			if MulAdd(byte(c), in, out); !bytes.Equal(out, want) {
				t.Fatalf("factor %d, %d bytes: wrong", c, n)
			}
		}
		v := random(rng, 37)
		want := make([]byte, 37)
		MulAdd(byte(c), v, want)
		if Scale(byte(c), v); !bytes.Equal(v, want) {
			t.Fatalf("scaling by %d: wrong", c)
		}
	}
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestCauchyIsInvertible eliminates random square submatrices, of any sizes up to the
// full 128, with the rows of one run of ids and the columns of any 128 numbers.
func TestCauchyIsInvertible(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		k := 1 + rng.IntN(Run)
		run, first := uint16(rng.IntN(512)*Run), rng.Uint32()
		ids, seqs := rng.Perm(Run)[:k], rng.Perm(Run)[:k]
		m := make([][]byte, k)
		for i := range m {
			m[i] = make([]byte, k)
			for j := range m[i] {
				m[i][j] = Cauchy(first+uint32(seqs[j]), run+uint16(ids[i]))
			}
		}
		if r := rank(m); r != k {
			t.Fatalf("run %d, first %d: rank %d of %d", run, first, r, k)
		}
	}
}

func rank(m [][]byte) (n int) {
	for c := range m[0] {
		p := n
		for p < len(m) && m[p][c] == 0 {
			p++
		}
		if p == len(m) {
			continue
		}
		m[n], m[p] = m[p], m[n]
		for r := n + 1; r < len(m); r++ {
			MulAdd(Mul(m[r][c], Inv(m[n][c])), m[n], m[r])
		}
		n++
	}
	return n
}

// TestCoefficientsAreNeverZero also sees all values appear about equally often.
func TestCoefficientsAreNeverZero(t *testing.T) {
	var count [256]int
	for seq := range uint32(1000) {
		for id := range uint16(1000) {
			if Cauchy(seq*77777, id*61) == 0 {
				t.Fatalf("Cauchy(%d, %d) is 0", seq*77777, id*61)
			}
			count[Random(seq, id)]++
		}
	}
	if count[0] != 0 {
		t.Fatalf("Random was 0 %d times", count[0])
	}
	for v, n := range count[1:] { // 3922 each expected, deviation 63
		if n < 3500 || n > 4350 {
			t.Errorf("Random was %d %d times", v+1, n)
		}
	}
}

// BenchmarkSum adds up 64 vectors of 1,408 bytes.
func BenchmarkSum(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 5))
	in := make([][]byte, 64)
	for i := range in {
		in[i] = random(rng, 1408)
	}
	sum := Sum{To: make([]byte, 1408)}
	b.SetBytes(64 * 1408)
	for b.Loop() {
		for i, v := range in {
			sum.Add(byte(i+1), v)
		}
		sum.Done()
	}
}

func BenchmarkMulAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{64, 128, 256, 1408, 9024} {
		in, out := random(rng, n), random(rng, n)
		b.Run(map[int]string{64: "64", 128: "128", 256: "256", 1408: "1408", 9024: "9024"}[n], func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				MulAdd(0x53, in, out)
			}
		})
	}
}
