package repair

import (
	"slices"
	"time"

	"causeway/internal/mono"
)

// arrivals is what came over one of the peer's wires, by wire number.
type arrivals struct {
	any    bool
	high   uint64
	bits   [arrivalWindow / 64]uint64    // by number
	latest mono.Time                     // when the latest datagram came
	at64   [64]mono.Time                 // when the newest 64 came, by number
	begun  [arrivalWindow / 64]mono.Time // when the first of each 64 came, by number/64

	reorder   time.Duration // how late packets have come out of order, lately
	reorderAt mono.Time

	expected, got float64 // decaying, for the loss in this direction

	buf [maxWireBits]byte
	at  uint64 // high then
}

const arrivalWindow = 8192

// take notes number low and reports whether it is new, as far as that is remembered.
func (a *arrivals) take(now mono.Time, low uint16) (fresh bool) {
	a.latest = now
	if !a.any {
		a.any, a.high = true, uint64(low)
		a.set(a.high)
		a.at64[a.high%64] = now
		a.begun[a.high/64%uint64(len(a.begun))] = now
		return true
	}
	n := wireNumber(low, a.high)
	if n > a.high {
		d := n - a.high
		if d > arrivalWindow {
			clear(a.bits[:])
		} else {
			for i := a.high + 1; i <= n; i++ {
				a.bits[i/64%uint64(len(a.bits))] &^= 1 << (i % 64)
			}
		}
		for g := max(a.high/64, n/64-min(n/64, arrivalWindow/64)) + 1; g <= n/64; g++ {
			a.begun[g%uint64(len(a.begun))] = now
		}
		a.high = n
		a.expected += float64(min(d, arrivalWindow))
		a.got++
		if a.expected > 400 {
			a.expected, a.got = a.expected/2, a.got/2
		}
	} else if a.high-n < arrivalWindow {
		if a.has(n) {
			return false
		}
		a.got++
		a.late(now, n)
	}
	if a.high-n < arrivalWindow {
		a.set(n)
		a.at64[n%64] = now
	}
	return true
}

// late notes that n came after numbers above it.
func (a *arrivals) late(now mono.Time, n uint64) {
	for m := n + 1; m <= a.high && m < n+64; m++ {
		if a.has(m) {
			if d := now.Sub(a.when(m)); d > a.reorder || now.Sub(a.reorderAt) > 10*time.Second {
				a.reorder, a.reorderAt = min(max(d, a.reorder/2), maxReorder), now
			}
			return
		}
	}
}

// when returns about when number m came, which is within the window.
func (a *arrivals) when(m uint64) mono.Time {
	if a.high-m < 64 {
		return a.at64[m%64]
	}
	return a.begun[(m/64+1)%uint64(len(a.begun))]
}

// maxReorder bounds the time that a packet is waited for before it counts as lost.
const maxReorder = 30 * time.Millisecond

func (a *arrivals) set(n uint64)      { a.bits[n/64%uint64(len(a.bits))] |= 1 << (n % 64) }
func (a *arrivals) has(n uint64) bool { return a.bits[n/64%uint64(len(a.bits))]>>(n%64)&1 != 0 }

// loss is the share lost lately of what the peer sent on this wire.
func (a *arrivals) loss() float64 {
	if a.expected < 8 {
		return 0
	}
	return min(max(1-a.got/a.expected, 0), 1)
}

// reportBytes is how many bytes of bits the next report has, most being allowed: what
// came since two reports ago, and besides what came while something might be overtaken.
func (a *arrivals) reportBytes(now mono.Time, most int) int {
	n := 3*(a.high-a.at) + 64
	if a.reorder > 0 {
		g := a.high / 64
		for g > 0 && a.high-64*g < arrivalWindow-64 && now.Sub(a.begun[g%uint64(len(a.begun))]) < 2*a.reorder {
			g--
		}
		n += a.high - 64*g
	}
	return int(min(n/8, uint64(most)))
}

// report says which numbers arrived: all since two reports ago at least, if they fit.
func (a *arrivals) report(now mono.Time, id uint8, most int) wireReport {
	n := a.reportBytes(now, most)
	a.at = a.high
	clear(a.buf[:n])
	for i := range uint64(8 * n) {
		if i+1 > a.high {
			break
		}
		if a.high-i-1 < a.high && i+1 < arrivalWindow && a.has(a.high-1-i) {
			a.buf[i/8] |= 1 << (i % 8)
		}
	}
	return wireReport{id: id, high: uint16(a.high), bits: a.buf[:n]}
}

// rttMeter measures the round trip and how one-way delays towards this end move.
type rttMeter struct {
	smooth   time.Duration
	variance time.Duration
	measured bool
	reorder  time.Duration // how late what we send comes out of order

	clock   uint32 // of the newest stamp, and when it came
	at      mono.Time
	any     bool
	base    int32 // least (arrival - clock) lately, µs
	baseOld int32 // and in the period before
	rebase  mono.Time
	owd     [queueWindow]int32 // ring: arrival - clock - base of the newest stamps, µs
	stamps  int

	queueThere time.Duration // what the peer sees as queueing of what we send
	lossThere  float64       // loss the peer sees in what we send it
}

// given takes in the round trip as the segment measured it.
func (m *rttMeter) given(d time.Duration) {
	if !m.measured {
		m.smooth, m.variance = d, d/64
	}
}

const rebaseEvery = 15 * time.Second

// stamp takes in the peer's clock. Only differences are used: clocks are not synchronised.
func (m *rttMeter) stamp(now mono.Time, clock uint32) {
	if m.any && int32(clock-m.clock) <= 0 {
		return
	}
	m.clock, m.at = clock, now
	d := int32(uint32(uint64(now)/1000) - clock)
	if !m.any || now.Sub(m.rebase) > rebaseEvery {
		m.baseOld = m.base
		if !m.any {
			m.baseOld = d
		}
		m.any, m.base, m.rebase = true, d, now
	}
	if d-m.base < 0 {
		m.base = d
	}
	low := m.base
	if m.baseOld-low < 0 {
		low = m.baseOld
	}
	m.owd[m.stamps%queueWindow] = d - low
	m.stamps++
}

// queueWindow is how many stamps, 50 ms apart in dense traffic, a standing queue must
// show in.
const queueWindow = 12

// standing is by how much all of the newest stamps were late, µs: a queue that does
// not empty delays every one of them, while jitter lets some through (as CoDel, RFC
// 8289, tells the two apart).
func (m *rttMeter) standing() int32 {
	if m.stamps < queueWindow {
		return 0
	}
	return max(slices.Min(m.owd[:]), 0)
}

// echo returns what to tell the peer about its newest stamp.
func (m *rttMeter) echo(now mono.Time) (clock uint32, held, queueing uint16, ok bool) {
	if !m.any || now.Sub(m.at) > 4*time.Second {
		return 0, 0, 0, false
	}
	return m.clock, uint16(now.Sub(m.at) / (64 * time.Microsecond)), uint16(min(m.standing()/64, 65535)), true
}

// echoed takes in the peer's echo of a stamp of ours.
func (m *rttMeter) echoed(now mono.Time, r *echo) {
	us := int32(uint32(uint64(now)/1000)-r.clock) - 64*int32(r.held)
	if us <= 0 || us > int32(MaxBudget/time.Microsecond) {
		return
	}
	d := time.Duration(us) * time.Microsecond
	m.reorder = 256 * time.Microsecond * time.Duration(r.reorder)
	m.queueThere = 64 * time.Microsecond * time.Duration(r.queueing)
	if !m.measured {
		m.smooth, m.variance, m.measured = d, d/64, true
		return
	}
	dev := d - m.smooth
	if dev < 0 {
		dev = -dev
	}
	m.variance += (dev - m.variance) / 4
	m.smooth += (d - m.smooth) / 8
}
