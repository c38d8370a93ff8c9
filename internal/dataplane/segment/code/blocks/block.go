package blocks

import (
	"math/bits"

	"causeway/internal/dataplane/segment/code/gf"
)

// block is one block's parities that arrived and are not used up. Sets of its symbols
// are bit sets relative to first.
type block struct {
	first  uint32
	parity []parity // independent in the unknowns, hence at most blockLen
	pivots uint32   // the unknowns that have an equation of their own
}

// parity is one repair: what it is over, and its payload as it came.
type parity struct {
	over    uint32
	id      uint16
	payload []byte // padded
	size    int    // of the payload as it came
}

// equation is a row of the block's matrix: the coefficients of the unknowns by their
// place in the block, and how much of each parity is in it.
type equation struct {
	coef [blockLen]byte
	mix  [blockLen]byte
	// pivot is the place of the unknown that only this row has, -1 for none.
	pivot int
}

// matrix is a block's equations in reduced form. Row i began as parity i.
type matrix [blockLen]equation

// reduce brings the parities' equations in the unknowns to reduced echelon form in m.
// The pivot of a row is an unknown that has expired if it has one, else its newest.
// Rows that end with no pivot follow from the others.
func (b *block) reduce(m *matrix, unknown, expired uint32) {
	rows := m[:len(b.parity)]
	for i := range rows {
		rows[i] = equation{pivot: -1}
		rows[i].mix[i] = 1
		for k := range places(b.parity[i].over & unknown) {
			rows[i].coef[k] = gf.Cauchy(b.first+uint32(k), b.parity[i].id)
		}
	}
	for k := range places(unknown & expired) {
		clearColumn(rows, k)
	}
	for w := unknown &^ expired; w != 0; {
		k := bits.Len32(w) - 1
		w &^= 1 << k
		clearColumn(rows, k)
	}
}

// clearColumn makes place k the pivot of a row that has none yet, if one contains it.
func clearColumn(rows []equation, k int) {
	p := 0
	for p < len(rows) && (rows[p].pivot >= 0 || rows[p].coef[k] == 0) {
		p++
	}
	if p == len(rows) {
		return
	}
	pivot := &rows[p]
	pivot.pivot = k
	inv := gf.Inv(pivot.coef[k])
	gf.Scale(inv, pivot.coef[:])
	gf.Scale(inv, pivot.mix[:])
	for i := range rows {
		if f := rows[i].coef[k]; f != 0 && i != p {
			gf.MulAdd(f, pivot.coef[:], rows[i].coef[:])
			gf.MulAdd(f, pivot.mix[:], rows[i].mix[:])
		}
	}
}

// single reports whether the row has no unknown but its pivot.
func (e *equation) single() bool {
	for k, f := range e.coef {
		if f != 0 && k != e.pivot {
			return false
		}
	}
	return e.pivot >= 0
}

// places yields the members of a bit set in order.
func places(w uint32) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for ; w != 0; w &= w - 1 {
			if !yield(bits.TrailingZeros32(w)) {
				return
			}
		}
	}
}
