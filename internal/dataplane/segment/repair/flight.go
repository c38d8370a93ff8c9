package repair

import (
	"time"

	"causeway/internal/mono"
)

// fate is what became of a datagram, as far as the sender knows.
type fate uint8

const (
	inFlight fate = iota
	arrived
	lost
)

// sent is the memory of one datagram.
type sent struct {
	at    mono.Time
	bytes uint16
	fate  fate
}

// flight remembers the datagrams sent on one wire by their wire number, which
// counts this package's datagrams on the wire and nothing else. Reports turn
// their fate from inFlight to arrived or lost, once, in order.
type flight struct {
	ring []sent // by number, a power of two
	next uint64 // number of the next datagram
	open uint64 // all before have a fate, or have been forgotten
	high uint64 // all before were sent before the newest known to have arrived; 0: none has
}

const (
	minFlight = 256
	maxFlight = 1 << 16 // as many as 16 bits tell apart
	// reportless is how long a datagram's fate is waited for.
	reportless = 3 * time.Second
)

// add notes a datagram and returns its number.
func (f *flight) add(now mono.Time, bytes int) uint64 {
	if f.next-f.open >= uint64(len(f.ring)) {
		f.forget(now.Add(-reportless))
		if f.next-f.open >= uint64(len(f.ring)) {
			f.grow()
		}
	}
	n := f.next
	f.ring[n&f.mask()] = sent{at: now, bytes: uint16(min(bytes, 1<<16-1))}
	f.next++
	return n
}

func (f *flight) mask() uint64 { return uint64(len(f.ring) - 1) }

// grow doubles the ring, or forgets the oldest when it is as large as may be.
func (f *flight) grow() {
	if len(f.ring) >= maxFlight {
		f.open = f.next - uint64(len(f.ring)) + 1
		return
	}
	ring := make([]sent, max(minFlight, 2*len(f.ring)))
	for n := f.open; n < f.next; n++ {
		ring[n&uint64(len(ring)-1)] = f.ring[n&f.mask()]
	}
	f.ring = ring
}

// held reports whether datagram n is remembered.
func (f *flight) held(n uint64) bool {
	return n < f.next && f.next-n <= uint64(len(f.ring)) && n+uint64(len(f.ring)) >= f.next
}

// fate returns what became of datagram n; forgotten ones count as lost.
func (f *flight) fate(n uint64) fate {
	if !f.held(n) {
		return lost
	}
	return f.ring[n&f.mask()].fate
}

// wireNumber widens the 16 bits on the wire to the number next to near.
func wireNumber(low uint16, near uint64) uint64 {
	d := int16(low - uint16(near))
	n := int64(near) + int64(d)
	if n < 0 {
		n += 1 << 16
	}
	return uint64(n)
}

// reported widens the 16 bits of a report to the newest number sent that has them; ok is
// false if there is none.
func (f *flight) reported(low uint16) (n uint64, ok bool) {
	ago := uint64(uint16(f.next-1) - low)
	return f.next - 1 - ago, ago < f.next
}

// report takes in that the peer has seen number high (already checked to have been
// sent) and those of the last len(bits)*8 before it whose bit is set; bit i stands
// for high-1-i. A datagram is lost when one sent later by more than guard arrived.
// Fates are told to each in order of sending; skipped is called instead for
// numbers that the report no longer reaches.
func (f *flight) report(high uint64, bits []byte, guard time.Duration, each func(n uint64, s *sent)) {
	if high >= f.next || !f.held(high) {
		return
	}
	f.high = max(f.high, high+1)
	covered := uint64(8 * len(bits))
	for i := uint64(0); i < covered && i < high; i++ {
		n := high - 1 - i
		if n < f.open {
			break
		}
		if bits[i/8]>>(i%8)&1 != 0 {
			f.ring[n&f.mask()].fate = arrived
		}
	}
	f.ring[high&f.mask()].fate = arrived
	reach := uint64(0) // the oldest number the report speaks about
	if high > covered {
		reach = high - covered
	}
	newest := f.ring[high&f.mask()].at
	for ; f.open <= high; f.open++ {
		s := &f.ring[f.open&f.mask()]
		switch {
		case s.fate == arrived:
		case f.open < reach:
			s.fate = lost // unknown, really; it takes no part in statistics
			continue
		case newest.Sub(s.at) < guard:
			return // it may only be late
		default:
			s.fate = lost
		}
		each(f.open, s)
	}
}

// forget gives up on datagrams sent before t: no report about them will come.
func (f *flight) forget(t mono.Time) {
	for f.open < f.next {
		s := &f.ring[f.open&f.mask()]
		if s.at >= t {
			return
		}
		if s.fate == inFlight {
			s.fate = lost
		}
		f.open++
	}
}

// overdue returns how many datagrams after the newest that arrived were sent before
// made, counted up to most, and over what time.
func (f *flight) overdue(made mono.Time, most int) (run int, span time.Duration) {
	first := max(f.high, f.open)
	var last mono.Time
	for n := first; n < f.next; n++ {
		at := f.ring[n&f.mask()].at
		if at >= made {
			break
		}
		run++
		last = at
		if run >= most {
			last = max(last, made)
			break
		}
	}
	if run == 0 {
		return 0, 0
	}
	return run, last.Sub(f.ring[first&f.mask()].at)
}
