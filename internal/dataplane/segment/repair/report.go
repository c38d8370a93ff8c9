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
//	part 2, wires: count 1, each: id 1 · highest number 2 · n v · n bytes of bits, bit i: highest-1-i arrived
//	part 3, streams: count 1, each: id 1 (128 added: goes on where the report before ended) · from 4 · n v · told v · pieces 1, each: skip v · length v ·
//	       length bits, bit i: missing · a bit for each missing one: an equation has it as its newest unknown
//	part 4, copies: highest 2 · 8 bytes of bits, bit i: highest-i arrived
//
// v is a number in bytes of 7 bits, lowest first, 128 added to all but the last. A stream
// speaks of the n numbers from from on; told of them have had their time; a piece begins skip
// numbers after the end of the one before. What does not fit into one report goes on in the next.
type report struct {
	number  uint16
	has     uint8
	stamp   stamp
	echo    echo
	nWires  int
	wires   [MaxWires]wireReport
	streams [streams]streamReport
	copies  copyReport

	lists  []code.Unknown // those of streams, when parsed
	pieces []byte         // scratch of appendStream
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

// streamReport says which symbols of [from, from+count) are missing.
type streamReport struct {
	present bool
	goesOn  bool // what is before from is told by the report before
	from    uint32
	count   int
	told    int
	list    []code.Unknown // oldest first
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
	copiesSize     = 10
	maxWireBits    = arrivalWindow / 8 // bytes
	maxStreamCount = 1 << 17

	// A stream's part is worth beginning with this much room.
	streamLeast  = streamHead + pieceHead + 8
	streamHead   = 1 + 4 + 3 + 3 + 1 // at most
	pieceHead    = 3 + 2             // at most
	pieceLongest = 4096
	// pieceGap is how many numbers, all there, are not worth bits.
	pieceGap  = 40
	goesOnBit = 0x80
)

// append writes r to b, which must not grow beyond limit. What does not fit of the
// streams stays in r, for another report (see more).
func (r *report) append(b []byte, limit int) []byte {
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
			b = binary.AppendUvarint(b, uint64(len(w.bits)))
			b = append(b, w.bits...)
		}
	}
	if r.has&hasCopies != 0 {
		limit -= copiesSize
	}
	if r.has&hasStreams != 0 {
		b = r.appendStreams(b, limit)
	}
	if r.has&hasCopies != 0 {
		b = binary.BigEndian.AppendUint16(b, r.copies.high)
		b = binary.BigEndian.AppendUint64(b, r.copies.bits)
	}
	return b
}

// more reports whether something is left for another report, and prepares it.
func (r *report) more() bool {
	for id := range r.streams {
		if r.streams[id].present {
			r.has = hasStreams
			r.number++
			return true
		}
	}
	return false
}

func (r *report) appendStreams(b []byte, limit int) []byte {
	at := len(b)
	b = append(b, 0)
	for id := range r.streams {
		if s := &r.streams[id]; s.present && len(b)+streamLeast <= limit {
			b[at]++
			b = r.appendStream(b, uint8(id), limit)
		}
	}
	return b
}

// appendStream writes as much of a stream as there is room for.
func (r *report) appendStream(b []byte, id uint8, limit int) []byte {
	s := &r.streams[id]
	if s.goesOn {
		id |= goesOnBit
	}
	room := limit - len(b) - streamHead
	pieces, n := r.pieces[:0], 0
	end, list := s.from, s.list
	for len(list) > 0 && n < 255 && room-len(pieces) >= pieceHead+8 {
		// A number takes two bits at most.
		most := min(uint32(room-len(pieces)-pieceHead)*4-8, pieceLongest)
		first, k := list[0].Seq, 1
		for k < len(list) && list[k].Seq-list[k-1].Seq <= pieceGap && list[k].Seq-first < most {
			k++
		}
		pieces = appendPiece(pieces, first-end, list[:k])
		end = list[k-1].Seq + 1
		list = list[k:]
		n++
	}
	r.pieces = pieces
	if len(list) == 0 {
		end = s.from + uint32(s.count)
	}
	count := int(end - s.from)
	told := min(s.told, count)
	b = append(b, id)
	b = binary.BigEndian.AppendUint32(b, s.from)
	b = binary.AppendUvarint(b, uint64(count))
	b = binary.AppendUvarint(b, uint64(told))
	b = append(append(b, byte(n)), pieces...)
	s.present, s.goesOn = len(list) > 0, true
	s.from, s.count, s.told, s.list = end, s.count-count, s.told-told, list
	return b
}

// appendPiece writes the run of missing symbols list, which begins skip numbers on.
func appendPiece(b []byte, skip uint32, list []code.Unknown) []byte {
	first := list[0].Seq
	n := int(list[len(list)-1].Seq-first) + 1
	b = binary.AppendUvarint(b, uint64(skip))
	b = binary.AppendUvarint(b, uint64(n))
	at := len(b)
	for range (n+7)/8 + (len(list)+7)/8 {
		b = append(b, 0)
	}
	missing, pivots := b[at:], b[at+(n+7)/8:]
	for i, u := range list {
		k := u.Seq - first
		missing[k/8] |= 1 << (k % 8)
		if u.Pivot {
			pivots[i/8] |= 1 << (i % 8)
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

// uvarint reads a number of at most most.
func (r *reader) uvarint(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// parse reads a report, which is not trusted, into r. Its bits of wires alias b.
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
		w.bits = in.take(in.uvarint(maxWireBits))
		if in.bad || w.id >= MaxWires || len(w.bits) > maxWireBits {
			return false
		}
	}
	r.nWires = n
	return true
}

func (r *report) parseStreams(in *reader) bool {
	r.lists = r.lists[:0]
	for range in.u8() {
		id := in.u8()
		goesOn := id&goesOnBit != 0
		if id &^= goesOnBit; int(id) >= streams || r.streams[id].present {
			return false
		}
		s := &r.streams[id]
		s.goesOn, s.from = goesOn, in.u32()
		s.count = in.uvarint(maxStreamCount)
		s.told = in.uvarint(s.count)
		begun := len(r.lists)
		at := 0
		for range in.u8() {
			at += in.uvarint(s.count)
			n := in.uvarint(s.count)
			if in.bad || n == 0 || at+n > s.count || !r.parsePiece(in, s.from+uint32(at), n) {
				return false
			}
			at += n
		}
		if in.bad {
			return false
		}
		s.list = r.lists[begun:]
		s.present = true
	}
	return true
}

// parsePiece adds to lists what is missing of the n numbers from first on.
func (r *report) parsePiece(in *reader, first uint32, n int) bool {
	missing := in.take((n + 7) / 8)
	k := 0
	for _, v := range missing {
		k += bits.OnesCount8(v)
	}
	pivots := in.take((k + 7) / 8)
	if in.bad || n%8 != 0 && missing[len(missing)-1]>>(n%8) != 0 {
		return false
	}
	k = 0
	for i, v := range missing {
		for ; v != 0; v &= v - 1 {
			seq := first + uint32(8*i+bits.TrailingZeros8(v))
			r.lists = append(r.lists, code.Unknown{Seq: seq, Pivot: pivots[k/8]>>(k%8)&1 != 0})
			k++
		}
	}
	return true
}
