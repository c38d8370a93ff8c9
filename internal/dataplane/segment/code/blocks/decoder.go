package blocks

import (
	"encoding/binary"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/gf"
	"causeway/internal/dataplane/segment/code/history"
)

// decoder implements code.Decoder.
type decoder struct {
	ring       *history.Ring
	base, next uint32  // the window: base … next-1
	floor      uint32  // what is before it has expired
	wanted     []bool  // by slot: sent, unknown and not expired
	blocks     []block // by first/stride
	deliver    func(seq uint32, symbol []byte)
	tally      code.Tally

	m    matrix   // of the block being solved
	sum  gf.Sum   // where payloads are added up; zero between uses
	todo []uint32 // blocks to look at, by their first numbers
}

// NewDecoder implements code.Codec.
func (Codec) NewDecoder(c code.Config, deliver func(seq uint32, symbol []byte)) code.Decoder {
	return &decoder{
		ring:    history.NewRing(c.Slots()),
		base:    c.First,
		next:    c.First,
		floor:   c.First,
		wanted:  make([]bool, c.Slots()),
		blocks:  make([]block, 2*c.Slots()/stride),
		deliver: deliver,
		sum:     gf.Sum{To: make([]byte, gf.Pad(code.LengthSize+code.MaxSymbol))},
	}
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
	if w := d.want(seq); *w {
		verdict, *w = code.Fresh, false
	}
	d.ring.Put(seq, symbol)
	d.touch(seq)
	d.solve()
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
	second := newest(span.First)
	if span.Last()-(second-stride) >= blockLen && span.Last()-second >= blockLen {
		return code.Malformed
	}
	if code.Before(span.First, d.base) {
		return code.Stale
	}
	d.Advance(span.Last() + 1)

	unknown := false
	for seq := range span.Each {
		unknown = unknown || !d.Has(seq)
		if d.ring.Size(seq) > len(payload) {
			return code.Contradiction
		}
	}
	fresh, refused := false, d.tally.Refused
	if unknown {
		// A span that lies in both blocks helps both.
		for first := second - stride; first != second+stride; first += stride {
			fresh = d.insert(first, &span, id, payload) || fresh
		}
		d.solve()
	}
	switch {
	case d.tally.Refused != refused:
		return code.Contradiction
	case !fresh:
		return code.Redundant
	}
	return code.Fresh
}

// insert gives the repair to the block beginning at first, if span lies within it and
// the block does not know what it says, and reports whether it took it.
func (d *decoder) insert(first uint32, span *code.Span, id uint16, payload []byte) bool {
	b := d.block(first)
	if span.First-first >= blockLen || span.Last()-first >= blockLen || len(b.parity) == blockLen {
		return false
	}
	p := parity{id: id, size: len(payload)}
	for seq := range span.Each {
		p.over |= 1 << (seq - first)
	}
	b.parity = append(b.parity, p)
	unknown, expired := d.state(b)
	b.reduce(&d.m, unknown, expired)
	last := len(b.parity) - 1
	if d.m[last].pivot < 0 {
		b.parity = b.parity[:last]
		return false
	}
	p.payload = d.ring.Get(len(payload))
	clear(p.payload[copy(p.payload, payload):])
	b.parity[last] = p
	d.todo = append(d.todo, first)
	return true
}

// block returns the block beginning at first, empty if it has no parities yet.
func (d *decoder) block(first uint32) *block {
	b := &d.blocks[first/stride%uint32(len(d.blocks))]
	if b.first != first {
		d.empty(b)
		b.first = first
	}
	return b
}

// state returns which of the symbols in the block's parities are unknown, and which
// of those have expired.
func (d *decoder) state(b *block) (unknown, expired uint32) {
	over := uint32(0)
	for i := range b.parity {
		over |= b.parity[i].over
	}
	for k := range places(over) {
		if seq := b.first + uint32(k); d.ring.Size(seq) == 0 {
			unknown |= 1 << k
			if !*d.want(seq) {
				expired |= 1 << k
			}
		}
	}
	return unknown, expired
}

// touch puts the blocks of seq, which has just become known or has expired, on the
// list of those to look at. Parities too short for it are lies and thrown away.
func (d *decoder) touch(seq uint32) {
	for first := newest(seq) - stride; first != newest(seq)+stride; first += stride {
		b := d.block(first)
		if len(b.parity) == 0 {
			continue
		}
		for i := len(b.parity) - 1; i >= 0; i-- {
			if p := &b.parity[i]; p.over>>(seq-first)&1 != 0 && d.ring.Size(seq) > p.size {
				d.remove(b, i)
				d.tally.Discarded++
			}
		}
		d.todo = append(d.todo, first)
	}
}

// remove frees parity i of b; the order of the others stays.
func (d *decoder) remove(b *block, i int) {
	d.ring.Pool.Put(b.parity[i].payload)
	b.parity = append(b.parity[:i], b.parity[i+1:]...)
}

// empty frees the block's parities.
func (d *decoder) empty(b *block) {
	for i := range b.parity {
		d.ring.Pool.Put(b.parity[i].payload)
	}
	b.parity, b.pivots = b.parity[:0], 0
}

// solve looks at the blocks on the list, and at those that what they recover touches,
// until nothing more can be recovered. Each time round a symbol becomes known or a
// block leaves the list.
func (d *decoder) solve() {
	for n := len(d.todo); n > 0; n = len(d.todo) {
		b := d.block(d.todo[n-1])
		d.todo = d.todo[:n-1]
		d.solveBlock(b)
	}
}

// solveBlock recovers what the block's parities determine, or if that is nothing,
// frees those that follow from the others and notes the pivots.
func (d *decoder) solveBlock(b *block) {
	unknown, expired := d.state(b)
	b.reduce(&d.m, unknown, expired)
	rows := d.m[:len(b.parity)]
	recovered := false
	for i := range rows {
		if !rows[i].single() {
			continue
		}
		recovered = true
		if !d.work(b, &rows[i]) {
			d.tally.Refused++
			d.tally.Discarded += uint64(len(b.parity))
			d.empty(b)
			return
		}
	}
	if recovered {
		return // its symbols put this block on the list again
	}
	b.pivots = 0
	for i := len(rows) - 1; i >= 0; i-- {
		if k := rows[i].pivot; k < 0 {
			d.remove(b, i)
		} else if expired>>k&1 == 0 {
			b.pivots |= 1 << k
		}
	}
}

// work computes the one unknown of a row, keeps it, and delivers it if it is wanted.
// It reports false if the result is no symbol.
func (d *decoder) work(b *block, row *equation) bool {
	seq := b.first + uint32(row.pivot)
	longest, shortest := d.addUp(b, row)
	frame := d.sum.To[:gf.Pad(longest)]
	defer clear(frame)
	length := code.LengthSize + int(binary.BigEndian.Uint16(frame))
	if length > shortest || !zero(frame[length:]) {
		return false
	}
	d.ring.Put(seq, frame[code.LengthSize:length])
	d.touch(seq)
	if w := d.want(seq); *w {
		*w = false
		d.tally.Recovered++
		d.deliver(seq, d.ring.Symbol(seq))
	}
	return true
}

// addUp adds up the payload of a row in sum, without the knowns. It returns the length
// of the longest payload in it, and of the shortest that has the row's unknown.
func (d *decoder) addUp(b *block, row *equation) (longest, shortest int) {
	var weight [blockLen]byte
	shortest = len(d.sum.To)
	for i := range b.parity {
		f, p := row.mix[i], &b.parity[i]
		if p.over>>row.pivot&1 != 0 {
			shortest = min(shortest, p.size)
		}
		if f == 0 {
			continue
		}
		longest = max(longest, p.size)
		d.sum.Add(f, p.payload)
		for k := range places(p.over) {
			weight[k] ^= gf.Mul(f, gf.Cauchy(b.first+uint32(k), p.id))
		}
	}
	for k, f := range weight {
		d.sum.Add(f, d.ring.Frame(b.first+uint32(k)))
	}
	d.sum.Done()
	return longest, shortest
}

// zero reports whether v is zero throughout.
func zero(v []byte) bool {
	for _, b := range v {
		if b != 0 {
			return false
		}
	}
	return true
}
