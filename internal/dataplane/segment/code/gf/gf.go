// Package gf is arithmetic in GF(256) with the polynomial x⁸+x⁴+x³+x²+1 (0x11d),
// the field that Reed-Solomon codes are usually built on, and the coefficients of
// Causeway's codes in it. Addition and subtraction are both XOR and have no
// function. Single elements are multiplied by a table, vectors (vector.go) by the best
// SIMD kernels the machine has.
package gf

// table[a][b] is a·b: 64 KiB, of which a product in hand uses one 256-byte row.
var table [256][256]byte

// inverse[a] is 1/a; inverse[0] is 0 and means nothing.
var inverse [256]byte

func init() {
	for a := range 256 {
		for b := range 256 {
			table[a][b] = slowMul(byte(a), byte(b))
			if table[a][b] == 1 {
				inverse[a] = byte(b)
			}
		}
	}
}

// slowMul multiplies as one does on paper, reducing by 0x11d.
func slowMul(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a >> 7
		a = a<<1 ^ carry*0x1d
	}
	return p
}

// Mul returns a·b.
func Mul(a, b byte) byte { return table[a][b] }

// Inv returns 1/a for a ≠ 0.
func Inv(a byte) byte { return inverse[a] }

// Scale multiplies each element of v by c. It is for short vectors.
func Scale(c byte, v []byte) {
	row := &table[c]
	for i, a := range v {
		v[i] = row[a]
	}
}
