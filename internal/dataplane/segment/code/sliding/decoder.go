package sliding

import (
	"math/bits"

	"causeway/internal/dataplane/segment/code"
)

// decoder implements code.Decoder. It knows which numbers are in the window and
// which of them are wanted; equations does the algebra.
type decoder struct {
	shared
	systems set
	system  [maxSystems]*equations // made when first needed
	most    int                    // slots that the ring may grow to

	base, next uint32   // the window: base … next-1
	floor      uint32   // what is before it has expired
	wanted     []uint64 // by slot, a bit each: sent, unknown and not expired
	deliver    func(seq uint32, symbol []byte)
	tally      code.Tally
}

// NewDecoder implements code.Codec.
func (Codec) NewDecoder(c code.Config, deliver func(seq uint32, symbol []byte)) code.Decoder {
	d := &decoder{
		most:    c.Slots(),
		base:    c.First,
		next:    c.First,
		floor:   c.First,
		wanted:  make([]uint64, c.FirstSlots()/64),
		deliver: deliver,
	}
	d.shared.init(c.FirstSlots())
	return d
}

func (d *decoder) Source(seq uint32, symbol []byte) code.Verdict {
	v := d.takeSource(seq, symbol)
	d.tally.Source[v]++
	return v
}

func (d *decoder) takeSource(seq uint32, symbol []byte) code.Verdict {
	if len(symbol) > code.MaxSymbol {
		return code.Malformed
	}
	if code.Before(seq, d.base) {
		return code.Stale
	}
	d.Advance(seq + 1)
	if d.Has(seq) {
		return code.Duplicate
	}
	verdict := code.Expired
	if d.wants(seq) {
		verdict = code.Fresh
		d.unwant(seq)
	}
	d.ring.Put(seq, symbol)
	if q, c := d.find(seq); q != nil {
		q.learn(c)
		d.harvest(q)
	}
	return verdict
}

func (d *decoder) Repair(span code.Span, id uint16, payload []byte) code.Verdict {
	v := d.takeRepair(span, id, payload)
	d.tally.Repair[v]++
	return v
}

func (d *decoder) takeRepair(span code.Span, id uint16, payload []byte) code.Verdict {
	if span.Empty() || len(payload) < code.LengthSize || len(payload) > code.LengthSize+code.MaxSymbol {
		return code.Malformed
	}
	if code.Before(span.First, d.base) {
		return code.Stale
	}
	d.Advance(span.Last() + 1)

	unknown := 0
	for seq := range span.Each {
		switch size := d.ring.Size(seq); {
		case size == 0:
			unknown++
		case size > len(payload):
			return code.Contradiction
		}
	}
	if unknown == 0 {
		return code.Redundant
	}
	q := d.systemFor(&span)
	s := d.equation(q, &span, id, len(payload))
	if !q.insert(s) {
		return code.Redundant
	}
	n := q.source[s]
	n.payload = d.ring.Get(len(payload))
	clear(n.payload[copy(n.payload, payload):])
	if !d.harvest(q) {
		return code.Contradiction
	}
	return code.Fresh
}

// equation writes the coefficients of repair id over span into a new source of q and
// returns it.
func (d *decoder) equation(q *equations, span *code.Span, id uint16, payloadSize int) int {
	for seq := range span.Each {
		if d.ring.Size(seq) == 0 && d.where[d.ring.Slot(seq)].column == 0 {
			q.open(seq, !d.wants(seq), span)
		}
	}
	s := q.newSource(span.First, payloadSize)
	n := q.source[s]
	width := span.Width()
	for seq := range span.Each {
		f := coefficient(width, seq, id)
		if c := int(d.where[d.ring.Slot(seq)].column) - 1; c >= 0 {
			n.coef[c] = f
		} else {
			n.weight[seq-span.First] = f
			n.known++
		}
	}
	return s
}

// harvest works out what can be, and delivers what is wanted of it. It reports
// false if something that was worked out had to be refused.
func (d *decoder) harvest(q *equations) bool {
	refused := d.refused
	solved := q.settle()
	d.tidy(q)
	for _, seq := range solved {
		if !d.wants(seq) {
			continue
		}
		d.unwant(seq)
		d.tally.Recovered++
		d.deliver(seq, d.ring.Symbol(seq))
	}
	return d.refused == refused
}

func (d *decoder) Advance(next uint32) {
	if !code.Before(d.next, next) {
		return
	}
	for next-d.base > uint32(d.ring.Slots()) && d.ring.Slots() < d.most && next-d.base <= uint32(d.most) {
		d.grow()
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
		if !code.Before(d.next, d.floor) {
			d.want(d.next)
		}
	}
}

func (d *decoder) Next() uint32 { return d.next }

func (d *decoder) Expire(seq uint32) {
	if !d.within(seq) || !d.wants(seq) {
		return
	}
	d.unwant(seq)
	if q, c := d.find(seq); q != nil {
		q.expire(c)
		d.tidy(q)
	}
}

func (d *decoder) ExpireBefore(upTo uint32) {
	if !code.Before(d.floor, upTo) {
		return
	}
	d.floor = upTo
	for seq := range d.eachWanted(upTo) {
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
	if upTo == d.next {
		for i := range d.systems.each {
			d.end(d.system[i])
		}
	}
	for seq := d.base; seq != upTo; seq++ {
		if q, c := d.find(seq); q != nil {
			q.forget(c)
			d.tidy(q)
		}
		if d.wants(seq) {
			d.unwant(seq)
		}
	}
	for i := range d.systems.each {
		d.system[i].dismiss(d.base, upTo)
	}
	for seq := d.base; seq != upTo; seq++ {
		d.ring.Release(seq)
	}
	d.base = upTo
	if code.Before(d.floor, upTo) {
		d.floor = upTo
	}
}

func (d *decoder) Has(seq uint32) bool { return d.within(seq) && d.ring.Size(seq) != 0 }

func (d *decoder) Missing(dst []code.Unknown) []code.Unknown {
	for seq := range d.eachWanted(d.next) {
		dst = append(dst, code.Unknown{Seq: seq, Pivot: d.isPivot(seq)})
	}
	return dst
}

func (d *decoder) Deficit(upTo uint32) int {
	n := 0
	for seq := range d.eachWanted(upTo) {
		if !d.isPivot(seq) {
			n++
		}
	}
	return n
}

func (d *decoder) Tally() code.Tally {
	t := d.tally
	t.Refused, t.Discarded, t.Spent = d.refused, d.discarded, d.spent
	return t
}

// within reports whether seq is in the window.
func (d *decoder) within(seq uint32) bool { return seq-d.base < d.next-d.base }

func (d *decoder) isPivot(seq uint32) bool {
	q, c := d.find(seq)
	return q != nil && q.column[c].pivot >= 0
}

func (d *decoder) want(seq uint32) {
	slot := d.ring.Slot(seq)
	d.wanted[slot/64] |= 1 << (slot % 64)
}

func (d *decoder) unwant(seq uint32) {
	slot := d.ring.Slot(seq)
	d.wanted[slot/64] &^= 1 << (slot % 64)
}

func (d *decoder) wants(seq uint32) bool {
	slot := d.ring.Slot(seq)
	return d.wanted[slot/64]>>(slot%64)&1 != 0
}

// eachWanted returns the wanted symbols before upTo, oldest first.
func (d *decoder) eachWanted(upTo uint32) func(yield func(uint32) bool) {
	if code.Before(d.next, upTo) {
		upTo = d.next
	}
	return func(yield func(uint32) bool) {
		for seq := d.base; code.Before(seq, upTo); {
			slot := d.ring.Slot(seq)
			w := d.wanted[slot/64] >> (slot % 64)
			if w == 0 {
				seq += uint32(64 - slot%64)
				continue
			}
			seq += uint32(bits.TrailingZeros64(w))
			if !code.Before(seq, upTo) || !yield(seq) {
				return
			}
			seq++
		}
	}
}
