package blocks

import (
	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
)

func (d *decoder) Advance(next uint32) {
	if !code.Before(d.next, next) {
		return
	}
	if slots := uint32(d.ring.Slots()); next-d.base > slots {
		base := next - slots
		d.Drop(base)
		if code.Before(d.base, base) { // even the newest so far is out of reach
			d.base, d.next = base, base
			if code.Before(d.floor, base) {
				d.floor = base
			}
		}
	}
	for ; d.next != next; d.next++ {
		*d.want(d.next) = !code.Before(d.next, d.floor)
	}
}

func (d *decoder) Next() uint32 { return d.next }

func (d *decoder) Expire(seq uint32) {
	if d.within(seq) && *d.want(seq) {
		*d.want(seq) = false
		d.touch(seq)
		d.solve()
	}
}

func (d *decoder) ExpireBefore(upTo uint32) {
	if !code.Before(d.floor, upTo) {
		return
	}
	from := d.floor
	if code.Before(from, d.base) {
		from = d.base
	}
	d.floor = upTo
	for seq := from; code.Before(seq, upTo) && code.Before(seq, d.next); seq++ {
		d.Expire(seq)
	}
}

func (d *decoder) Drop(upTo uint32) {
	if !code.Before(d.base, upTo) {
		return
	}
	if !code.Before(upTo, d.next) {
		upTo = d.next
	}
	for first := newest(d.base) - stride; code.Before(first, upTo); first += stride {
		d.trim(d.block(first), upTo)
		d.todo = append(d.todo, first)
	}
	for ; d.base != upTo; d.base++ {
		d.ring.Release(d.base)
		*d.want(d.base) = false
	}
	if code.Before(d.floor, upTo) {
		d.floor = upTo
	}
	d.solve()
}

// trim rids the block's parities of the symbols before upTo: known ones are taken off
// the payloads, a parity with one that is not known is lost.
func (d *decoder) trim(b *block, upTo uint32) {
	for i := len(b.parity) - 1; i >= 0; i-- {
		p := &b.parity[i]
		for k := range places(p.over) {
			seq := b.first + uint32(k)
			if !code.Before(seq, upTo) {
				continue
			}
			if d.ring.Size(seq) == 0 {
				d.remove(b, i)
				d.tally.Spent++
				break
			}
			gf.MulAdd(gf.Cauchy(seq, p.id), d.ring.Frame(seq), p.payload)
			p.over &^= 1 << k
		}
	}
}

func (d *decoder) Has(seq uint32) bool { return d.within(seq) && d.ring.Size(seq) != 0 }

func (d *decoder) Missing(dst []code.Unknown) []code.Unknown {
	for seq := d.base; seq != d.next; seq++ {
		if *d.want(seq) {
			dst = append(dst, code.Unknown{Seq: seq, Pivot: d.isPivot(seq)})
		}
	}
	return dst
}

func (d *decoder) Deficit(upTo uint32) int {
	n := 0
	for seq := d.base; seq != d.next && code.Before(seq, upTo); seq++ {
		if *d.want(seq) && !d.isPivot(seq) {
			n++
		}
	}
	return n
}

func (d *decoder) Tally() code.Tally { return d.tally }

// within reports whether seq is in the window.
func (d *decoder) within(seq uint32) bool { return seq-d.base < d.next-d.base }

// want returns the place of whether seq is wanted.
func (d *decoder) want(seq uint32) *bool { return &d.wanted[d.ring.Slot(seq)] }

// isPivot reports whether seq is a pivot in one of its blocks.
func (d *decoder) isPivot(seq uint32) bool {
	second := d.block(newest(seq))
	first := d.block(newest(seq) - stride)
	return second.pivots>>(seq-second.first)&1 != 0 || first.pivots>>(seq-first.first)&1 != 0
}
