package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
	"causeway/internal/dataplane/segment/code/history"
)

// equations are the repairs that arrived and could not be used up yet.
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
	ring     *history.Ring // the known symbols
	columnOf []int16       // by slot of the ring: 1 + the unknown's column, or 0

	columns, rows, sources set
	column                 [size]column
	row                    [size]*row    // made when first needed
	source                 [size]*source // made when first needed

	sum    gf.Sum   // where payloads are added up; zero between uses
	less   gf.Sum   // adds up what is taken off a payload, to it
	single []int    // rows found solvable
	solved []uint32 // what settle worked out

	refused, discarded, spent uint64
}

// column is one unknown.
type column struct {
	seq     uint32
	expired bool
	pivot   int // the row whose pivot it is, or -1
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

func newEquations(slots int) equations {
	return equations{
		ring:     history.NewRing(slots),
		columnOf: make([]int16, slots),
		sum:      gf.Sum{To: make([]byte, gf.Pad(code.LengthSize+code.MaxSymbol))},
		single:   make([]int, 0, size),
		solved:   make([]uint32, 0, size),
	}
}

// reset removes all equations and columns.
func (q *equations) reset() {
	for s := range q.sources.each {
		q.freeSource(s)
	}
	for c := range q.columns.each {
		q.close(c)
	}
	q.rows = set{}
}

// find returns the column of unknown seq, or -1.
func (q *equations) find(seq uint32) int { return int(q.columnOf[q.ring.Slot(seq)]) - 1 }

// open gives unknown seq, which is in span, its column, at the price of another's
// if all are taken.
func (q *equations) open(seq uint32, expired bool, span *code.Span) int {
	c := q.columns.free()
	if c < 0 {
		c = q.leastWanted(span)
		q.forget(c)
	}
	q.columns.add(c)
	q.column[c] = column{seq: seq, expired: expired, pivot: -1}
	q.columnOf[q.ring.Slot(seq)] = int16(c + 1)
	return c
}

// close frees a column that is zero everywhere.
func (q *equations) close(c int) {
	q.columns.remove(c)
	q.columnOf[q.ring.Slot(q.column[c].seq)] = 0
}

// newSource returns a free place for an equation, cleared. There is one: before an
// equation comes there are fewer rows than columns.
func (q *equations) newSource(first uint32, payloadSize int) int {
	s := q.sources.free()
	if q.source[s] == nil {
		q.source[s] = new(source)
	}
	*q.source[s] = source{first: first, size: payloadSize}
	q.sources.add(s)
	return s
}

// freeSource frees an equation that is in no row's mix.
func (q *equations) freeSource(s int) {
	if p := q.source[s].payload; p != nil {
		q.ring.Pool.Put(p)
		q.source[s].payload = nil
	}
	q.sources.remove(s)
}

// insert makes a row of equation s, whose coefficients are filled in, and reports
// whether it says anything that the other rows do not; if not, s is freed.
func (q *equations) insert(s int) bool {
	r := q.rows.free()
	if q.row[r] == nil {
		q.row[r] = new(row)
	}
	n := q.row[r]
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
		q.rows.remove(r)
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
	q.rows.remove(r)
}
