package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// maxExpired is how many expired unknowns the equations remember. While one is
// remembered, the equation spent on it clears it from all that come after.
const maxExpired = 64

// expire takes note that the unknown of column c is not wanted any more. If rows
// contain it, one becomes its own and clears it from the others: the row that is
// worth least, the one that counted for the oldest unknown alone.
func (q *equations) expire(c int) {
	if q.column[c].expired {
		return
	}
	q.column[c].expired = true
	switch r := q.last(func(n *row) byte { return n.coef[c] }); {
	case r < 0:
		q.close(c)
	case q.row[r].pivot == c:
		q.spent++
	case !q.column[q.row[r].pivot].expired:
		q.spent++
		q.column[q.row[r].pivot].pivot = -1
		q.makePivot(r, c)
	}
	if oldest, n := q.oldestExpired(); n > maxExpired {
		q.forget(oldest)
	}
}

// last returns, of the rows in which at is not 0, the one whose pivot comes last: the
// oldest that has not expired, else any. It returns -1 if there is none. Adding the
// last row to the others, before it is removed, leaves their pivots what they must be.
func (q *equations) last(at func(*row) byte) int {
	best := -1
	for r := range q.rows.each {
		if at(q.row[r]) == 0 {
			continue
		}
		if best < 0 {
			best = r
			continue
		}
		a, b := &q.column[q.row[r].pivot], &q.column[q.row[best].pivot]
		if b.expired || !a.expired && code.Before(a.seq, b.seq) {
			best = r
		}
	}
	return best
}

// oldestExpired returns the column of the oldest expired unknown and how many there
// are.
func (q *equations) oldestExpired() (oldest, n int) {
	for c := range q.columns.each {
		if !q.column[c].expired {
			continue
		}
		if n == 0 || code.Before(q.column[c].seq, q.column[oldest].seq) {
			oldest = c
		}
		n++
	}
	return oldest, n
}

// leastWanted returns the column of the oldest expired unknown, or if none has
// expired of the oldest, that is not in span.
func (q *equations) leastWanted(span *code.Span) int {
	best := -1
	for c := range q.columns.each {
		a := &q.column[c]
		if span.Has(a.seq) {
			continue
		}
		if best < 0 {
			best = c
			continue
		}
		if b := &q.column[best]; a.expired && !b.expired || a.expired == b.expired && code.Before(a.seq, b.seq) {
			best = c
		}
	}
	return best
}

// forget projects the unknown of column c out: what the equations say about all
// others is kept, at the price of one equation, and c is closed.
func (q *equations) forget(c int) {
	if r := q.last(func(n *row) byte { return n.coef[c] }); r >= 0 {
		if !q.column[c].expired {
			q.spent++
		}
		q.spendRow(r, func(n *row) byte { return n.coef[c] })
		q.spendSource(c)
	}
	q.close(c)
}

// spendRow removes row r after clearing at in all other rows with its help.
func (q *equations) spendRow(r int, at func(*row) byte) {
	inv := gf.Inv(at(q.row[r]))
	for o := range q.rows.each {
		if f := at(q.row[o]); f != 0 && o != r {
			q.addRow(o, r, gf.Mul(f, inv))
		}
	}
	q.removeRow(r)
}

// spendSource clears column c from all equations by adding to them one that has it,
// which is then freed. No row's content changes by that: every row is free of c, so
// what its mix takes of the freed equation is what it takes of the additions. The
// shortest is used up, so that no payload must grow.
func (q *equations) spendSource(c int) {
	used := -1
	for s := range q.sources.each {
		if q.source[s].coef[c] != 0 && (used < 0 || q.source[s].size < q.source[used].size) {
			used = s
		}
	}
	if used < 0 {
		return
	}
	u := q.source[used]
	q.subtractKnown(u)
	inv := gf.Inv(u.coef[c])
	for s := range q.sources.each {
		if n := q.source[s]; s != used && n.coef[c] != 0 {
			f := gf.Mul(n.coef[c], inv)
			gf.MulAdd(f, u.payload, n.payload)
			gf.MulAdd(f, u.coef[:q.columns.extent()], n.coef[:])
		}
	}
	for r := range q.rows.each {
		q.row[r].mix[used] = 0
	}
	q.freeSource(used)
}

// discard throws equation s away, and with it the row that is worth least of those
// which have a part of it.
func (q *equations) discard(s int) {
	if !q.sources.has(s) {
		return
	}
	at := func(n *row) byte { return n.mix[s] }
	if r := q.last(at); r >= 0 {
		q.spendRow(r, at)
	}
	q.freeSource(s)
	q.discarded++
}

// discardShort throws away the equations that hold the unknown of column c but are
// too short for a symbol whose frame is that long, and reports whether there were any.
func (q *equations) discardShort(c, frameSize int) (any bool) {
	for s := range q.sources.each {
		if q.source[s].coef[c] != 0 && frameSize > q.source[s].size {
			q.discard(s)
			any = true
		}
	}
	return any
}

// dismiss takes the known symbols from first up to end off all payloads that hold
// them, before they leave the ring.
func (q *equations) dismiss(first, end uint32) {
	if code.Before(first, q.low) {
		first = q.low
	}
	if code.Before(q.high, end) {
		end = q.high
	}
	if !code.Before(first, end) {
		return
	}
	for s := range q.sources.each {
		n := q.source[s]
		for seq := first; seq != end && n.known > 0; seq++ {
			i := seq - n.first
			if i >= size || n.weight[i] == 0 {
				continue
			}
			gf.MulAdd(n.weight[i], q.ring.Frame(seq), n.payload)
			n.weight[i] = 0
			n.known--
		}
	}
}
