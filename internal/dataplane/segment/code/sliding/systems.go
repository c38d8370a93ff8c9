package sliding

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
	"causeway/internal/dataplane/segment/code/history"
)

// Equations that have no unknown in common have nothing to do with one another, and are
// kept apart, as systems: what is solved in one costs nothing in the others, and each
// has room for as many unknowns as a span can cover. An equation that speaks of unknowns
// of two systems makes one of them.
const (
	// maxSystems is how many there may be. Beyond, the one about the oldest unknowns goes.
	maxSystems = 256
	// maxHeld is how many equations they may hold together, likewise.
	maxHeld = 4096
)

// shared is what all systems of a decoder have in common.
type shared struct {
	ring  *history.Ring // the known symbols
	where []place       // by slot of the ring: whose unknown is there
	held  int           // equations in all systems

	sum    gf.Sum   // where payloads are added up; zero between uses
	less   gf.Sum   // adds up what is taken off a payload, to it
	single []int    // rows found solvable
	solved []uint32 // what settle worked out

	spareRows    []*row
	spareSources []*source

	refused, discarded, spent uint64
}

// place is where an unknown is found. The zero place is none.
type place struct {
	system uint16
	column int16 // one more than the column's number; 0: none
}

func (h *shared) init(slots int) {
	h.ring = history.NewRing(slots)
	h.where = make([]place, slots)
	h.sum = gf.Sum{To: make([]byte, gf.Pad(code.LengthSize+code.MaxSymbol))}
	h.single = make([]int, 0, size)
	h.solved = make([]uint32, 0, size)
}

// lendRow returns a row with whatever content.
func (h *shared) lendRow() *row {
	n := len(h.spareRows)
	if n == 0 {
		return new(row)
	}
	r := h.spareRows[n-1]
	h.spareRows = h.spareRows[:n-1]
	return r
}

// lendSource returns a source with whatever content.
func (h *shared) lendSource() *source {
	h.held++
	n := len(h.spareSources)
	if n == 0 {
		return new(source)
	}
	s := h.spareSources[n-1]
	h.spareSources = h.spareSources[:n-1]
	return s
}

// find returns the system and the column of unknown seq, or nil.
func (d *decoder) find(seq uint32) (*equations, int) {
	p := d.where[d.ring.Slot(seq)]
	if p.column == 0 {
		return nil, -1
	}
	return d.system[p.system], int(p.column) - 1
}

// systemFor returns the system for an equation over span: the one that its unknowns
// belong to, made one if they belong to several, or a new one.
func (d *decoder) systemFor(span *code.Span) *equations {
	var q *equations
	for seq := range span.Each {
		if p := d.where[d.ring.Slot(seq)]; p.column != 0 {
			if o := d.system[p.system]; q == nil {
				q = o
			} else if o != q {
				q = d.merge(q, o)
			}
		}
	}
	if q == nil {
		q = d.newSystem()
	}
	for d.held >= maxHeld {
		o := d.oldest(q)
		if o == nil {
			break
		}
		d.end(o)
	}
	return q
}

// newSystem returns an empty system.
func (d *decoder) newSystem() *equations {
	i := d.systems.free()
	if i < 0 {
		d.end(d.oldest(nil))
		i = d.systems.free()
	}
	if d.system[i] == nil {
		d.system[i] = &equations{shared: &d.shared, at: i}
	}
	d.systems.add(i)
	return d.system[i]
}

// end gives a system up.
func (d *decoder) end(q *equations) {
	q.reset()
	d.systems.remove(q.at)
}

// tidy gives q up if it holds no equation any more.
func (d *decoder) tidy(q *equations) {
	if q.sources == (set{}) {
		d.end(q)
	}
}

// oldest returns the system, other than q, whose equations begin first; nil if there is
// none.
func (d *decoder) oldest(q *equations) *equations {
	var first *equations
	for i := range d.systems.each {
		if o := d.system[i]; o != q && (first == nil || code.Before(o.low, first.low)) {
			first = o
		}
	}
	return first
}

// merge makes one system of two and returns it. If their unknowns are too many for one,
// the one with the older equations goes.
func (d *decoder) merge(a, b *equations) *equations {
	if a.columns.len()+b.columns.len() > size {
		if code.Before(b.low, a.low) {
			a, b = b, a
		}
		d.spent += uint64(a.rows.len())
		d.end(a)
		return b
	}
	if a.sources.len() < b.sources.len() {
		a, b = b, a
	}
	var to [size]int
	for c := range b.columns.each {
		to[c] = a.columns.free()
		a.place(to[c], b.column[c].seq, b.column[c].expired)
	}
	b.columns = set{}
	for r := range b.rows.each {
		b.freeRow(r)
	}
	for s := range b.sources.each {
		n := b.source[s]
		b.source[s] = nil
		coef := n.coef
		n.coef = [size]byte{}
		for c := range nonzero(coef[:]) {
			n.coef[to[c]] = coef[c]
		}
		free := a.sources.free()
		a.keepSource(free, n)
		a.insert(free)
	}
	b.sources = set{}
	d.systems.remove(b.at)
	return a
}

// grow makes room for twice as many symbols.
func (d *decoder) grow() {
	where, wanted, mask := d.where, d.wanted, uint32(d.ring.Slots()-1)
	d.ring.Grow(d.base, d.next)
	d.where = make([]place, d.ring.Slots())
	d.wanted = make([]uint64, d.ring.Slots()/64)
	for seq := d.base; seq != d.next; seq++ {
		slot := seq & mask
		d.where[d.ring.Slot(seq)] = where[slot]
		if wanted[slot/64]>>(slot%64)&1 != 0 {
			d.want(seq)
		}
	}
}
