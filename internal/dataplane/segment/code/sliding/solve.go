package sliding

import (
	"encoding/binary"
	"slices"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// learn takes note that the unknown of column c is now known and in the ring.
func (q *equations) learn(c int) {
	q.discardShort(c, q.ring.Size(q.column[c].seq)) // they lie
	q.know(c)
	for r := range q.rows.each {
		q.row[r].coef[c] = 0
	}
	if r := q.column[c].pivot; r >= 0 {
		q.column[c].pivot = -1
		q.makePivot(r, q.leading(r)) // a row has two unknowns at least
	}
	q.close(c)
}

// know turns what the equations hold of column c, now known, from a coefficient
// into a weight.
func (q *equations) know(c int) {
	seq := q.column[c].seq
	for s := range q.sources.each {
		n := q.source[s]
		f := n.coef[c]
		if f == 0 {
			continue
		}
		n.coef[c] = 0
		if i := seq - n.first; i < size {
			n.weight[i] = f
			n.known++
		} else { // it came in through forget
			gf.MulAdd(f, q.ring.Frame(seq), n.payload)
		}
	}
}

// settle works out all unknowns that the rows determine, puts them into the ring,
// and returns their numbers, oldest first; the slice is valid until the next call.
func (q *equations) settle() []uint32 {
	q.solved = q.solved[:0]
	for again := true; again; {
		again = false
		q.findSingle()
		for _, r := range q.single {
			if !q.rows.has(r) || !q.isSingle(r) {
				continue // changed by a discard
			}
			if seq := q.column[q.row[r].pivot].seq; q.work(r) {
				q.solved = append(q.solved, seq)
			} else {
				again = true
			}
		}
	}
	return q.solved
}

// findSingle sets single to the rows with one unknown, the oldest first.
func (q *equations) findSingle() {
	q.single = q.single[:0]
	for r := range q.rows.each {
		if q.isSingle(r) {
			q.single = append(q.single, r)
		}
	}
	slices.SortFunc(q.single, func(a, b int) int {
		return int(int32(q.column[q.row[a].pivot].seq - q.column[q.row[b].pivot].seq))
	})
}

// isSingle reports whether row r has no unknown but its pivot.
func (q *equations) isSingle(r int) bool {
	n := q.row[r]
	n.coef[n.pivot] = 0
	single := isZero(n.coef[:q.columns.extent()])
	n.coef[n.pivot] = 1
	return single
}

// work computes the one unknown of row r and puts it into the ring. It reports
// false, having thrown away all equations concerned, if the result is no symbol.
func (q *equations) work(r int) bool {
	n := q.row[r]
	longest := q.addUp(n)
	frame := q.sum.To[:gf.Pad(longest)]
	defer clear(frame)

	c, guilty := n.pivot, n.mix
	length := code.LengthSize + int(binary.BigEndian.Uint16(frame))
	if length > longest || !allZero(frame[length:]) || q.discardShort(c, length) {
		q.refused++
		for s := range nonzero(guilty[:]) {
			q.discard(s)
		}
		return false
	}
	q.ring.Put(q.column[c].seq, frame[code.LengthSize:length])
	q.know(c)
	q.column[c].pivot = -1
	q.rows.remove(r)
	q.release(n)
	q.spareRows, q.row[r] = append(q.spareRows, n), nil
	q.close(c)
	return true
}

// addUp adds up the payload of row n in sum, without the knowns, and returns the
// length of the longest payload in it.
func (q *equations) addUp(n *row) (longest int) {
	mix := n.mix[:q.sources.extent()]
	for s := range nonzero(mix) {
		o := q.source[s]
		longest = max(longest, o.size)
		q.subtractKnown(o)
		q.sum.Add(mix[s], o.payload)
	}
	q.sum.Done()
	return longest
}

// subtractKnown takes the known symbols off the payload of n.
func (q *equations) subtractKnown(n *source) {
	if n.known == 0 {
		return
	}
	q.less.To = n.payload
	for i := range nonzero(n.weight[:]) {
		q.less.Add(n.weight[i], q.ring.Frame(n.first+uint32(i)))
		n.weight[i] = 0
	}
	q.less.Done()
	n.known = 0
}

// release frees one equation in return for row n, which was removed with no unknown
// left: its mix adds up to nothing, so one of the equations can be expressed by the
// others.
func (q *equations) release(n *row) {
	for s := range nonzero(n.mix[:q.sources.extent()]) {
		inv := gf.Inv(n.mix[s])
		for o := range q.rows.each {
			if f := q.row[o].mix[s]; f != 0 {
				gf.MulAdd(gf.Mul(f, inv), n.mix[:q.sources.extent()], q.row[o].mix[:])
			}
		}
		q.freeSource(s)
		return
	}
}

// allZero is isZero for any length.
func allZero(v []byte) bool {
	n := len(v) &^ 7
	for _, b := range v[n:] {
		if b != 0 {
			return false
		}
	}
	return isZero(v[:n])
}
