package repair

import (
	"encoding/binary"
	"math"
	"time"

	"causeway/internal/mono"
)

// Symbols that come alone cannot share repairs, and the receiver cannot miss what it
// does not know of. So the sender sends several copies of each, spread over time
// and wires, and goes on in rounds until the receiver says that it has it.

// copier is the sending side.
type copier struct {
	next uint32
	slot [maxCopied]copied
	open int       // slots in use
	due  mono.Time // the earliest of theirs; zero: none

	// allowance pays for copies beyond the first while they wait for no answer, in bytes.
	allowance float64
	filled    mono.Time
}

// copied is one symbol being sent in copies.
type copied struct {
	used   bool
	seq    uint32
	mode   Mode
	urgent bool
	buf    []byte
	first  mono.Time
	due    mono.Time
	sent   int // copies so far
	left   int // copies left in this round
	round  int
	wire   uint8
	miss   float64 // how likely none of the copies so far has arrived
}

const (
	maxCopied = 64
	// What copies may cost before any answer: bytes a second, and at once.
	allowanceRate  = 16 << 10
	allowanceDepth = 96 << 10
	maxRounds      = 8
	maxPerRound    = 24
)

func (c *copier) init() { c.allowance = allowanceDepth }

// sendCopies sends a symbol by itself.
func (e *Endpoint) sendCopies(now mono.Time, mode Mode, class Class, symbol []byte, out Out) {
	c := &e.copies
	seq := c.next
	c.next++
	s := &c.slot[seq%maxCopied]
	if s.used {
		c.open--
		e.stats.Sent.Abandoned++
	}
	c.open++
	*s = copied{
		used: true, seq: seq, mode: mode, urgent: class == Urgent,
		buf: append(s.buf[:0], symbol...), first: now, due: now, wire: e.nextWire(),
	}
	e.stats.Sent.Copied++
	s.left = e.copiesFor(now, s)
	e.sendCopy(now, s, out)
	c.soonest()
}

// soonest finds the next due time.
func (c *copier) soonest() {
	c.due = 0
	if c.open == 0 {
		return
	}
	for i := range c.slot {
		if c.slot[i].used {
			c.due = mono.Earliest(c.due, c.slot[i].due)
		}
	}
}

// tickCopies sends the copies that are due.
func (e *Endpoint) tickCopies(now mono.Time, out Out) {
	c := &e.copies
	if c.due == 0 || c.due > now {
		return
	}
	for i := range c.slot {
		if s := &c.slot[i]; s.used && s.due <= now {
			if s.left == 0 {
				e.nextRound(now, s)
			}
			if s.used {
				e.sendCopy(now, s, out)
			}
		}
	}
	c.soonest()
}

// sendCopy sends what is due of s now and sets when it goes on.
func (e *Endpoint) sendCopy(now mono.Time, s *copied, out Out) {
	gap := e.copyGap(s)
	for {
		b := append(e.beginStamped(now, kindCopy), byte(s.mode), byte(s.seq>>8), byte(s.seq), s.age(now))
		e.transmit(now, s.wire, append(b, s.buf...), out)
		e.stats.Sent.Copies++
		s.wire = e.otherWire(s.wire)
		s.sent++
		s.left--
		// The second copy goes at once where one alone would too often be late, or
		// where it goes another way.
		if s.left == 0 || !(s.sent%2 == 1 && (e.copyLoss() > 0.3 || len(e.usable) > 1)) {
			break
		}
	}
	if s.left > 0 {
		s.due = now.Add(gap)
		return
	}
	s.due = now.Add(e.patience())
}

// age says how old s is to the receiver of a copy: 0 in the first, else milliseconds and one.
func (s *copied) age(now mono.Time) byte {
	if s.sent == 0 {
		return 0
	}
	return byte(min(1+now.Sub(s.first)/time.Millisecond, 255))
}

// patience is how long the answer to a copy may take.
func (e *Endpoint) patience() time.Duration {
	return e.rtt.smooth + 4*e.rtt.variance + 4*time.Millisecond
}

// nextRound begins another round, or gives s up.
func (e *Endpoint) nextRound(now mono.Time, s *copied) {
	s.round++
	if s.round >= maxRounds {
		s.used = false
		e.copies.open--
		e.stats.Sent.Abandoned++
		return
	}
	s.left = e.copiesFor(now, s)
}

// copiesFor is how many copies the round of s that begins now has.
func (e *Endpoint) copiesFor(now mono.Time, s *copied) int {
	first, next := e.copyOdds(s)
	if s.round == 0 {
		s.miss = 1
	}
	// enough is how many copies make it at most share likely that all are lost.
	enough := func(share float64) int {
		return 1 + max(int(math.Ceil(math.Log(share/(s.miss*first))/math.Log(next))), 0)
	}
	n := 1
	switch left := e.budget(s.mode) - deadlineMargin - now.Sub(s.first); {
	case left < 0:
		n = 1 + s.round/2 // too late for the deadline; still better than never
	case left < e.patience()+e.copyGap(s):
		n = enough(e.cfg.Residual * safety)
	default:
		n = min(enough(s.miss*copyMiss(s.mode)), copiesAtOnce) + s.round
	}
	if s.urgent && s.round == 0 {
		n += 2
	}
	if s.round == 0 {
		if first >= 0.01 {
			n = max(n, 2)
		}
		n = min(n, 1+e.spare(now, len(s.buf)))
	}
	n = min(max(n, 1), maxPerRound)
	s.miss *= first * math.Pow(next, float64(n-1))
	e.copies.allowance -= float64(n-1) * float64(len(s.buf)+sealed)
	return n
}

// copyOdds is how likely the first copy of a round is lost, and each further one if
// those before it are.
func (e *Endpoint) copyOdds(s *copied) (first, next float64) {
	p := e.copyLoss()
	b := e.burstiness()
	if !b.matters() {
		return p, p
	}
	// The wires take turns.
	stick := b.at(e.copyGap(s) * time.Duration(max(len(e.usable), 1)))
	return p, min(p+(1-p)*stick, 0.97)
}

// copyMiss is how likely all copies of a round that is not the last may be lost: such a
// packet waits a round trip longer, so by default few may. But a round has no more
// than copiesAtOnce for that: where half is lost they would cost more than they are worth.
func copyMiss(m Mode) float64 {
	if m == Economy {
		return 0.09
	}
	return 0.01
}

const copiesAtOnce = 4

// sealed is what the segment and IP add to a plaintext, in bytes.
const sealed = 60

// spare is how many copies of n bytes the allowance pays for.
func (e *Endpoint) spare(now mono.Time, n int) int {
	c := &e.copies
	if c.filled != 0 {
		c.allowance = min(c.allowance+allowanceRate*now.Sub(c.filled).Seconds(), allowanceDepth)
	}
	c.filled = now
	return max(int(c.allowance/float64(n+sealed)), 0)
}

// copyLoss is the loss that copies are planned for.
func (e *Endpoint) copyLoss() float64 {
	p := 0.0
	known := false
	for _, id := range e.usable {
		m := &e.wires[id].loss
		v, _ := m.mean()
		p = max(p, v)
		known = known || m.known()
	}
	if !known {
		p = max(p, unknownLoss)
	}
	return min(max(p, 0.001), 0.9)
}

// unknownLoss is assumed of wires until something has been measured.
const unknownLoss = 0.2

// copyGap is the distance between the copies of one round: about as long as bad spells
// last, where there are any, but a round should end before its answer is due.
func (e *Endpoint) copyGap(s *copied) time.Duration {
	const least = 500 * time.Microsecond
	b := e.burstiness()
	if !b.matters() {
		return least
	}
	return min(max(b.lasting, 2*time.Millisecond), max(e.rtt.smooth/6, least))
}

// acked takes in which copies arrived.
func (c *copier) acked(r copyReport) {
	high := widen16(r.high, c.next-1)
	for i := range c.slot {
		s := &c.slot[i]
		if !s.used {
			continue
		}
		if age := high - s.seq; age < 64 && r.bits>>age&1 != 0 {
			s.used = false
			c.open--
		}
	}
	c.soonest()
}

// acker is the receiving side: which copies have come.
type acker struct {
	any  bool
	high uint32
	bits [copyWindow / 64]uint64 // by number
}

const copyWindow = 512

// take notes number seq and reports whether it is new.
func (a *acker) take(low uint16) (fresh bool) {
	seq := widen16(low, a.high)
	if !a.any {
		a.any, a.high = true, seq
		a.set(seq)
		return true
	}
	if ahead := seq - a.high; int32(ahead) > 0 {
		for i := uint32(0); i < min(ahead, copyWindow); i++ {
			n := seq - i
			a.bits[n/64%uint32(len(a.bits))] &^= 1 << (n % 64)
		}
		a.high = seq
	} else if a.high-seq >= copyWindow {
		return false
	}
	if a.has(seq) {
		return false
	}
	a.set(seq)
	return true
}

func (a *acker) set(n uint32)      { a.bits[n/64%uint32(len(a.bits))] |= 1 << (n % 64) }
func (a *acker) has(n uint32) bool { return a.bits[n/64%uint32(len(a.bits))]>>(n%64)&1 != 0 }

func (a *acker) report() copyReport {
	r := copyReport{high: uint16(a.high)}
	for i := range uint32(64) {
		if a.has(a.high - i) {
			r.bits |= 1 << i
		}
	}
	return r
}

// takeCopy takes a copy, passes the symbol on if it is the first, and sees to the
// acknowledgement.
func (e *Endpoint) takeCopy(now mono.Time, b []byte, deliver Deliver, out Out) bool {
	if len(b) < 4 || b[0] >= byte(Off) {
		return false
	}
	r := &e.reporter
	if e.acker.take(binary.BigEndian.Uint16(b[1:])) {
		e.stats.Received.Copied++
		if age := b[3]; age > 0 {
			e.stats.Received.ByCopy++
			e.added.add(time.Duration(age-1) * time.Millisecond)
		} else {
			e.added.add(0)
		}
		r.want(now)
		if e.rtt.lossThere > 0.05 {
			r.again = now.Add(3 * time.Millisecond)
		}
		deliver(Mode(b[0]), b[4:])
		return true
	}
	e.stats.Received.CopiesAgain++
	if now.Sub(r.last) > ackGap {
		r.want(now)
	}
	return true
}
