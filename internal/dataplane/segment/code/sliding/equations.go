package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// equations are repairs that arrived and could not be used up yet, and that have
// unknowns in common (systems.go keeps apart those that have none).
//
// They are kept twice. As they came, an equation holds its payload and the
// coefficients of its unknowns. In parallel the rows are the same equations brought
// to reduced echelon form, but by their coefficients alone: instead of a payload a
// row has its mix, which says how much of each equation is in it. Only when a row
// has a single unknown left are payloads touched: the known symbols are taken off those
// in its mix, once for each, and they are added up. For redundant repairs, and for
// equations that never get that far, none ever are.
//
// What always holds between calls:
//   - A row's coefficients are the sum of the equations' coefficients by its mix.
//   - There are as many rows as equations and the mixes are independent.
//   - Each row has a pivot: a column in which it has 1 and all other rows have 0.
//   - The pivot is the newest of a row's unknowns, unless one of them has expired:
//     then it is an expired one. So rows with a pivot that has not expired are free
//     of expired unknowns.
//   - A row has at least two unknowns (one with a single unknown is solved).
//   - What is outside columns, rows or sources is zero in every vector in use.
type equations struct {
	*shared
	at        int    // its place among the systems
	low, high uint32 // all that its equations hold lies in low … high-1

	columns, rows, sources set
	column                 [size]column
	row                    [size]*row    // lent by shared
	source                 [size]*source // lent by shared
}

// column is one unknown.
type column struct {
	seq     uint32
	pivot   int // the row whose pivot it is, or -1
	expired bool
}

// row is one equation of the reduced form.
type row struct {
	coef  [size]byte // by column
	mix   [size]byte // by source
	pivot int        // a column
}

// source is one repair as it came, but for the known symbols of its span, which are
// taken off the payload when it is first needed.
type source struct {
	coef    [size]byte // by column: what it holds of the unknowns
	weight  [size]byte // by number from first on: what it holds of the knowns
	first   uint32
	known   int    // how many weights are not 0
	payload []byte // padded, from the ring's pool
	size    int    // of the payload as it came
}

// reset removes all equations and columns.
func (q *equations) reset() {
	for s := range q.sources.each {
		q.freeSource(s)
	}
	for r := range q.rows.each {
		q.freeRow(r)
	}
	for c := range q.columns.each {
		q.close(c)
	}
}

// open gives unknown seq, which is in span, its column, at the price of another's
// if all are taken.
func (q *equations) open(seq uint32, expired bool, span *code.Span) int {
	c := q.columns.free()
	if c < 0 {
		c = q.leastWanted(span)
		q.forget(c)
	}
	q.place(c, seq, expired)
	return c
}

// place makes c, which is free, the column of unknown seq.
func (q *equations) place(c int, seq uint32, expired bool) {
	q.columns.add(c)
	q.column[c] = column{seq: seq, expired: expired, pivot: -1}
	q.where[q.ring.Slot(seq)] = place{system: uint16(q.at), column: int16(c + 1)}
}

// close frees a column that is zero everywhere.
func (q *equations) close(c int) {
	q.columns.remove(c)
	q.where[q.ring.Slot(q.column[c].seq)] = place{}
}

// newSource returns a free place for an equation, cleared. There is one: before an
// equation comes there are fewer rows than columns.
func (q *equations) newSource(first uint32, payloadSize int) int {
	s := q.sources.free()
	n := q.lendSource()
	*n = source{first: first, size: payloadSize}
	q.keepSource(s, n)
	return s
}

// keepSource puts an equation in place s.
func (q *equations) keepSource(s int, n *source) {
	if q.sources == (set{}) {
		q.low, q.high = n.first, n.first
	}
	if code.Before(n.first, q.low) {
		q.low = n.first
	}
	if end := n.first + size; code.Before(q.high, end) {
		q.high = end
	}
	q.source[s] = n
	q.sources.add(s)
}

// freeSource frees an equation that is in no row's mix.
func (q *equations) freeSource(s int) {
	n := q.source[s]
	if n.payload != nil {
		q.ring.Pool.Put(n.payload)
		n.payload = nil
	}
	q.sources.remove(s)
	q.source[s] = nil
	q.spareSources = append(q.spareSources, n)
	q.held--
}

// freeRow frees a row that is no column's pivot.
func (q *equations) freeRow(r int) {
	q.spareRows = append(q.spareRows, q.row[r])
	q.row[r] = nil
	q.rows.remove(r)
}

// insert makes a row of equation s, whose coefficients are filled in, and reports
// whether it says anything that the other rows do not; if not, s is freed.
func (q *equations) insert(s int) bool {
	r := q.rows.free()
	n := q.lendRow()
	q.row[r] = n
	n.coef, n.mix = q.source[s].coef, [size]byte{}
	n.mix[s] = 1
	q.rows.add(r)

	for c := range q.columns.each {
		if f := n.coef[c]; f != 0 && q.column[c].pivot >= 0 {
			q.addRow(r, q.column[c].pivot, f)
		}
	}
	c := q.leading(r)
	if c < 0 {
		q.freeRow(r)
		q.freeSource(s)
		return false
	}
	q.makePivot(r, c)
	return true
}

// addRow adds f times row from to row to.
func (q *equations) addRow(to, from int, f byte) {
	t, o := q.row[to], q.row[from]
	gf.MulAdd(f, o.coef[:q.columns.extent()], t.coef[:])
	gf.MulAdd(f, o.mix[:q.sources.extent()], t.mix[:])
}

// leading returns the column that ought to be the pivot of row r, which has no
// other row's pivot in it: an expired unknown if there is one, else the newest. It
// returns -1 if the row is zero.
func (q *equations) leading(r int) int {
	best := -1
	for c := range nonzero(q.row[r].coef[:q.columns.extent()]) {
		switch k := &q.column[c]; {
		case k.expired:
			return c
		case best < 0 || code.Before(q.column[best].seq, k.seq):
			best = c
		}
	}
	return best
}

// makePivot makes column c the pivot of row r, and clears it in all others.
func (q *equations) makePivot(r, c int) {
	n := q.row[r]
	if f := n.coef[c]; f != 1 {
		gf.Scale(gf.Inv(f), n.coef[:q.columns.extent()])
		gf.Scale(gf.Inv(f), n.mix[:q.sources.extent()])
	}
	n.pivot = c
	q.column[c].pivot = r
	for o := range q.rows.each {
		if f := q.row[o].coef[c]; f != 0 && o != r {
			q.addRow(o, r, f)
		}
	}
}

// removeRow removes row r. The caller sees to it that one source goes as well.
func (q *equations) removeRow(r int) {
	q.column[q.row[r].pivot].pivot = -1
	q.freeRow(r)
}
