package sliding

import (
	"bytes"
	"fmt"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

// checkInvariants returns what is wrong with d: the statements in the comment on
// equations, checked one by one.
func checkInvariants(d *decoder) error {
	held, open := 0, 0
	for i := range maxSystems {
		q := d.system[i]
		if !d.systems.has(i) {
			if q != nil && (q.rows != set{} || q.sources != set{} || q.columns != set{}) {
				return fmt.Errorf("system %d is not in use and not empty", i)
			}
			continue
		}
		if q.at != i || q.sources == (set{}) {
			return fmt.Errorf("system %d is empty and in use, or takes itself for %d", i, q.at)
		}
		if err := checkSystem(d, q); err != nil {
			return fmt.Errorf("system %d: %w", i, err)
		}
		held += q.sources.len()
		open += q.columns.len()
	}
	found := 0
	for _, p := range d.where {
		if p.column != 0 {
			found++
		}
	}
	if found != open || held != d.held || held > maxHeld {
		return fmt.Errorf("%d columns, %d of them found by number; %d equations, counted %d", open, found, held, d.held)
	}
	if !isZero(d.sum.To) {
		return fmt.Errorf("a sum was left behind")
	}
	return nil
}

func checkSystem(d *decoder, q *equations) error {
	rows, sources, columns := members(&q.rows), members(&q.sources), members(&q.columns)
	if len(rows) != len(sources) {
		return fmt.Errorf("%d rows but %d equations", len(rows), len(sources))
	}
	if len(rows) > 0 && len(rows) >= len(columns) {
		return fmt.Errorf("%d rows in %d unknowns, not solved", len(rows), len(columns))
	}
	for _, c := range columns {
		k := q.column[c]
		switch {
		case d.where[d.ring.Slot(k.seq)] != place{uint16(q.at), int16(c + 1)}:
			return fmt.Errorf("column %d is not found by its number", c)
		case !d.within(k.seq) || q.ring.Size(k.seq) != 0:
			return fmt.Errorf("column %d is of a symbol that is no unknown", c)
		case k.expired == d.wants(k.seq):
			return fmt.Errorf("column %d: expired %v, wanted too", c, k.expired)
		case k.pivot >= 0 && (!q.rows.has(k.pivot) || q.row[k.pivot].pivot != c):
			return fmt.Errorf("column %d: row %d does not know its pivot", c, k.pivot)
		}
	}
	var mixes [][]byte
	for _, r := range rows {
		n := q.row[r]
		if !q.columns.has(n.pivot) || q.column[n.pivot].pivot != r || n.coef[n.pivot] != 1 {
			return fmt.Errorf("row %d has a wrong pivot", r)
		}
		unknowns := 0
		for c, f := range n.coef {
			if f == 0 {
				continue
			}
			unknowns++
			p, k := q.column[n.pivot], q.column[c]
			switch {
			case !q.columns.has(c):
				return fmt.Errorf("row %d is not zero outside the columns", r)
			case c != n.pivot && k.pivot >= 0:
				return fmt.Errorf("row %d contains the pivot of another", r)
			case k.expired && !p.expired:
				return fmt.Errorf("row %d contains an expired unknown and has another pivot", r)
			case !p.expired && code.Before(p.seq, k.seq):
				return fmt.Errorf("row %d contains a newer unknown than its pivot", r)
			}
		}
		if unknowns < 2 {
			return fmt.Errorf("row %d has %d unknowns and stays", r, unknowns)
		}
		var sum [size]byte
		for s, f := range n.mix {
			if f != 0 && !q.sources.has(s) {
				return fmt.Errorf("row %d mixes in an equation that is gone", r)
			}
			if f != 0 {
				gf.MulAdd(f, q.source[s].coef[:], sum[:])
			}
		}
		if sum != n.coef {
			return fmt.Errorf("row %d is not the sum of its mix", r)
		}
		mixes = append(mixes, bytes.Clone(n.mix[:]))
	}
	if rank(mixes) != len(rows) {
		return fmt.Errorf("the mixes are dependent")
	}
	for _, s := range sources {
		n := q.source[s]
		known := 0
		for i, f := range n.weight {
			if f == 0 {
				continue
			}
			known++
			if i := n.first + uint32(i); i-q.low >= q.high-q.low {
				return fmt.Errorf("equation %d holds %d, beyond its system", s, i)
			}
			if seq := n.first + uint32(i); !d.Has(seq) || q.ring.Size(seq) > n.size {
				return fmt.Errorf("equation %d has a weight for %d, which is unknown or too long", s, seq)
			}
		}
		if known != n.known || len(n.payload) < n.size || len(n.payload) != gf.Pad(n.size) {
			return fmt.Errorf("equation %d: %d knowns, counted %d; %d bytes in %d", s, known, n.known, n.size, len(n.payload))
		}
	}
	return nil
}

func members(s *set) (list []int) {
	for i := range s.each {
		list = append(list, i)
	}
	return list
}

// rank returns the rank of the rows, which it destroys.
func rank(rows [][]byte) int {
	n := 0
	for c := range size {
		p := n
		for p < len(rows) && rows[p][c] == 0 {
			p++
		}
		if p == len(rows) {
			continue
		}
		rows[n], rows[p] = rows[p], rows[n]
		for r := n + 1; r < len(rows); r++ {
			if f := rows[r][c]; f != 0 {
				gf.MulAdd(gf.Mul(f, gf.Inv(rows[n][c])), rows[n], rows[r])
			}
		}
		n++
	}
	return n
}
