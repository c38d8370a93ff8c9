package gf

// Run is how many consecutive repair ids, and how many consecutive symbol numbers,
// the Cauchy coefficients tell apart.
const Run = 128

// Cauchy returns the coefficient, never 0, of symbol seq in repair id: an element
// of the Cauchy matrix 1/(x+y), with the row x = 128 + id mod 128 and the column
// y = seq mod 128, so x ≠ y always.
//
// Every square submatrix of a Cauchy matrix is invertible, hence among any 128
// consecutive symbols and the 128 repairs of one run of ids (id/128 equal), any k
// repairs over the same symbols recover any k losses. Each run multiplies the
// columns by its own factors, which leaves that true and keeps repairs of different
// runs from being the same equation.
func Cauchy(seq uint32, id uint16) byte {
	c := inverse[(Run+byte(id)%Run)^byte(seq%Run)]
	if run := id / Run; run != 0 {
		c = table[c][Random(seq, run)]
	}
	return c
}

// Random returns a coefficient, never 0, that looks drawn at random for each pair
// of seq and id. Square matrices of such coefficients are singular about once in
// 255 times.
func Random(seq uint32, id uint16) byte {
	h := seq*0x9e3779b1 ^ uint32(id)*0x85ebca6b
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	return byte(1 + (h>>16)*255>>16)
}
