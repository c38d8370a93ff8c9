package repair

import (
	"encoding/binary"
	"math/bits"

	"causeway/internal/dataplane/segment/code"
)

// A report is absolute: the newest one says all there is to know, so losing one
// costs time only.
//
//	0      parts that follow, a bit each
//	1..2   number of the report, to tell old from new
//	part 0, stamp: what the other end should know about this one's sending
//	       clock 4 (µs) · loss towards the sender 1 (1/255) · mode 1 · age 1 (ms) · every 1 (ms) ·
//	       budget 1 (4 ms) · answer 2 (64 µs)
//	part 1, echo: clock of the newest stamp seen 4 · held since then 2 (64 µs) · queueing 2 (64 µs) · reordering 1 (256 µs)
//	part 2, wires: count 1, each: id 1 · highest number 2 · n 1 · n bytes of bits, bit i: highest-1-i arrived
//	part 3, streams: count 1, each: id 1 · base 4 · count 2 · told 2 (those up to base+told have had their time) · count bits: base+i is missing ·
//	       a bit for each missing one: an equation has it as its newest unknown
//	part 4, copies: highest 2 · 8 bytes of bits, bit i: highest-i arrived
type report struct {
	number  uint16
	has     uint8
	stamp   stamp
	echo    echo
	nWires  int
	wires   [MaxWires]wireReport
	streams [streams]streamReport
	copies  copyReport
}

const (
	hasStamp = 1 << iota
	hasEcho
	hasWires
	hasStreams
	hasCopies
	hasAll = hasStamp | hasEcho | hasWires | hasStreams | hasCopies
)

// stamp tells the receiver when this was sent and how soon reports must come.
type stamp struct {
	clock    uint32 // µs on the sender's clock
	lossBack uint8  // loss that the sender sees in what comes from the receiver, in 255ths
	mode     Mode   // whose timing the next three are
	age      uint8  // report what has been missing for this long, ms
	every    uint8  // but not more often than this, ms
	budget   uint8  // give up on what has been missing for this long, 4 ms
	answer   uint16 // an answer to a report shows after this, 64 µs
	silence  bool   // report when nothing comes any more, too (the mode's highest bit)
}

type echo struct {
	clock    uint32 // of the newest stamp seen
	held     uint16 // time since it came, 64 µs
	queueing uint16 // how much longer packets take than the quickest lately, 64 µs
	reorder  uint8  // how late packets came out of order lately, 256 µs
}

type wireReport struct {
	id   uint8
	high uint16
	bits []byte // aliases the datagram when parsed
}

// streamReport says which symbols of [base, base+count) are missing.
type streamReport struct {
	present bool
	base    uint32
	count   int
	told    int
	missing []byte // bits; aliases the datagram when parsed
	pivots  []byte
}

// copyReport acknowledges copies.
type copyReport struct {
	high uint16
	bits uint64
}

const silenceBit = 0x80

const (
	reportHeader   = 3
	stampSize      = 11
	echoSize       = 9
	maxWireBits    = 96 // bytes
	maxStreamCount = 4096
)

// appendReport writes r with the given missing lists in place of the bitmaps.
func (r *report) append(b []byte, lists *[streams][]code.Unknown) []byte {
	b = append(b, r.has)
	b = binary.BigEndian.AppendUint16(b, r.number)
	if r.has&hasStamp != 0 {
		s := &r.stamp
		b = binary.BigEndian.AppendUint32(b, s.clock)
		mode := byte(s.mode)
		if s.silence {
			mode |= silenceBit
		}
		b = append(b, s.lossBack, mode, s.age, s.every, s.budget)
		b = binary.BigEndian.AppendUint16(b, s.answer)
	}
	if r.has&hasEcho != 0 {
		b = binary.BigEndian.AppendUint32(b, r.echo.clock)
		b = binary.BigEndian.AppendUint16(b, r.echo.held)
		b = binary.BigEndian.AppendUint16(b, r.echo.queueing)
		b = append(b, r.echo.reorder)
	}
	if r.has&hasWires != 0 {
		b = append(b, byte(r.nWires))
		for _, w := range r.wires[:r.nWires] {
			b = append(b, w.id)
			b = binary.BigEndian.AppendUint16(b, w.high)
			b = append(b, byte(len(w.bits)))
			b = append(b, w.bits...)
		}
	}
	if r.has&hasStreams != 0 {
		b = r.appendStreams(b, lists)
	}
	if r.has&hasCopies != 0 {
		b = binary.BigEndian.AppendUint16(b, r.copies.high)
		b = binary.BigEndian.AppendUint64(b, r.copies.bits)
	}
	return b
}

func (r *report) appendStreams(b []byte, lists *[streams][]code.Unknown) []byte {
	at := len(b)
	b = append(b, 0)
	for id := range r.streams {
		s := &r.streams[id]
		if !s.present {
			continue
		}
		b[at]++
		b = append(b, byte(id))
		b = binary.BigEndian.AppendUint32(b, s.base)
		b = binary.BigEndian.AppendUint16(b, uint16(s.count))
		b = binary.BigEndian.AppendUint16(b, uint16(s.told))
		start := len(b)
		for range (s.count + 7) / 8 {
			b = append(b, 0)
		}
		n := 0
		for _, u := range lists[id] {
			i := u.Seq - s.base
			if i >= uint32(s.count) {
				break
			}
			b[start+int(i/8)] |= 1 << (i % 8)
			n++
		}
		start = len(b)
		for range (n + 7) / 8 {
			b = append(b, 0)
		}
		for i, u := range lists[id][:n] {
			if u.Pivot {
				b[start+i/8] |= 1 << (i % 8)
			}
		}
	}
	return b
}

// reader takes big-endian fields off a slice and remembers running out.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// parse reads a report, which is not trusted, into r. Its bitmaps alias b.
func (r *report) parse(b []byte) bool {
	in := reader{b: b}
	r.has, r.number = in.u8(), in.u16()
	if r.has&^hasAll != 0 {
		return false
	}
	if r.has&hasStamp != 0 {
		r.stamp = stamp{in.u32(), in.u8(), Mode(in.u8()), in.u8(), in.u8(), in.u8(), in.u16(), false}
		r.stamp.silence = r.stamp.mode&silenceBit != 0
		r.stamp.mode &^= silenceBit
		if r.stamp.mode >= Off {
			return false
		}
	}
	if r.has&hasEcho != 0 {
		r.echo = echo{in.u32(), in.u16(), in.u16(), in.u8()}
	}
	r.nWires = 0
	if r.has&hasWires != 0 && !r.parseWires(&in) {
		return false
	}
	for i := range r.streams {
		r.streams[i].present = false
	}
	if r.has&hasStreams != 0 && !r.parseStreams(&in) {
		return false
	}
	if r.has&hasCopies != 0 {
		r.copies = copyReport{in.u16(), in.u64()}
	}
	return !in.bad && len(in.b) == 0
}

func (r *report) parseWires(in *reader) bool {
	n := int(in.u8())
	if n > MaxWires {
		return false
	}
	for i := range n {
		w := &r.wires[i]
		w.id, w.high = in.u8(), in.u16()
		w.bits = in.take(int(in.u8()))
		if in.bad || w.id >= MaxWires || len(w.bits) > maxWireBits {
			return false
		}
	}
	r.nWires = n
	return true
}

func (r *report) parseStreams(in *reader) bool {
	for range in.u8() {
		id := int(in.u8())
		if id >= streams || r.streams[id].present {
			return false
		}
		s := &r.streams[id]
		s.base, s.count, s.told = in.u32(), int(in.u16()), int(in.u16())
		if in.bad || s.count > maxStreamCount || s.told > s.count {
			return false
		}
		s.missing = in.take((s.count + 7) / 8)
		n := 0
		for _, v := range s.missing {
			n += bits.OnesCount8(v)
		}
		s.pivots = in.take((n + 7) / 8)
		if in.bad || s.count%8 != 0 && s.missing[len(s.missing)-1]>>(s.count%8) != 0 {
			return false
		}
		s.present = true
	}
	return true
}

// unknowns appends what is missing to dst, oldest first.
func (s *streamReport) unknowns(dst []code.Unknown) []code.Unknown {
	k := 0
	for i, v := range s.missing {
		for ; v != 0; v &= v - 1 {
			seq := s.base + uint32(8*i+bits.TrailingZeros8(v))
			dst = append(dst, code.Unknown{Seq: seq, Pivot: s.pivots[k/8]>>(k%8)&1 != 0})
			k++
		}
	}
	return dst
}
