package resequence

import (
	"math/bits"

	"causeway/internal/mono"
)

// ring holds the packets beyond a stream's oldest hole, by sequence number. An
// entry without a packet is one that was released already (mode Windowed) and
// only keeps its place.
//
// It spans the numbers base+1 to base+len(entries), where base is the stream's;
// numbers wrap at 2^32. The dues of its entries never fall with the sequence
// number: since a packet is released no later than any behind it, add lowers a
// due to that of the next entry. So the first entry's due is the earliest.
type ring struct {
	class   int
	count   int // entries
	waiting int // entries with a packet
	taken   []uint64
	entries []entry
}

type entry struct {
	due    mono.Time
	packet *packet
}

const (
	minRing   = 64
	ringSizes = 9
	// maxSpan is the longest stretch of numbers kept in order: at 1400 bytes a
	// packet, 180 ms of 1 Gbit/s in one SPI.
	maxSpan = minRing << (ringSizes - 1)
)

func ringBytes(size int) int { return size*16 + size/8 + 80 }

func newRing(class int) *ring {
	size := minRing << class
	return &ring{class: class, taken: make([]uint64, size/64), entries: make([]entry, size)}
}

func (r *ring) size() uint32                { return uint32(len(r.entries)) }
func (r *ring) at(seq uint32) *entry        { return &r.entries[seq&(r.size()-1)] }
func (r *ring) word(seq uint32) *uint64     { return &r.taken[seq&(r.size()-1)>>6] }
func (r *ring) has(seq uint32) bool         { return *r.word(seq)>>(seq&63)&1 != 0 }
func (r *ring) mark(seq uint32)             { *r.word(seq) |= 1 << (seq & 63) }
func (r *ring) clear(seq uint32)            { *r.word(seq) &^= 1 << (seq & 63) }
func (r *ring) firstDue(b uint32) mono.Time { return r.at(r.after(b, b)).due }

// add puts an entry at seq, which must be free and within the span behind base.
func (r *ring) add(base, seq uint32, due mono.Time, p *packet) {
	if next := r.after(base, seq); next != seq && r.at(next).due < due {
		due = r.at(next).due
	}
	r.mark(seq)
	*r.at(seq) = entry{due, p}
	r.count++
	if p != nil {
		r.waiting++
	}
	for prev := seq; ; {
		before := r.before(base, prev)
		if before == prev || r.at(before).due <= due {
			return
		}
		r.at(before).due = due
		prev = before
	}
}

// take removes the entry at seq and returns its packet, nil when it was released before.
func (r *ring) take(seq uint32) *packet {
	e := r.at(seq)
	p := e.packet
	*e = entry{}
	r.clear(seq)
	r.count--
	if p != nil {
		r.waiting--
	}
	return p
}

// leave takes the packet out of the entry at seq, which keeps its place.
func (r *ring) leave(seq uint32) *packet {
	p := r.at(seq).packet
	r.at(seq).packet = nil
	r.waiting--
	return p
}

// after returns the first taken number behind seq, or seq itself when there is none.
// seq lies between base and the end of the span.
func (r *ring) after(base, seq uint32) uint32 {
	end := base + r.size() // the last number of the span
	for n := seq + 1; ; {
		w := *r.word(n) >> (n & 63)
		if w != 0 {
			n += uint32(bits.TrailingZeros64(w))
			if int32(n-end) > 0 {
				return seq
			}
			return n
		}
		n += 64 - n&63
		if int32(n-end) > 0 {
			return seq
		}
	}
}

// before returns the last taken number in front of seq, or seq itself when there is none.
func (r *ring) before(base, seq uint32) uint32 {
	for n := seq - 1; int32(n-base) > 0; {
		w := *r.word(n) << (63 - n&63)
		if w != 0 {
			n -= uint32(bits.LeadingZeros64(w))
			if int32(n-base) <= 0 {
				return seq
			}
			return n
		}
		n -= n&63 + 1
	}
	return seq
}

// moveTo moves all entries into a larger ring.
func (r *ring) moveTo(larger *ring, base uint32) {
	larger.count, larger.waiting = r.count, r.waiting
	for seq := base; r.count > 0; {
		seq = r.after(base, seq)
		larger.mark(seq)
		*larger.at(seq) = *r.at(seq)
		r.take(seq)
	}
}
