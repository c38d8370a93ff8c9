package repair

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// reporter decides when the peer must hear what has arrived. Reports are packets
// too, so there is one only where it may change what the peer does: something has
// been missing for long enough, an acknowledged copy came, the peer asked, or so
// much arrived that the peer should be told that all is well.
type reporter struct {
	number uint16
	last   mono.Time // when the last report was sent
	wanted mono.Time // one is to go out at this time; zero: none is
	news   int       // datagrams taken in since the last report
	since  mono.Time // when the first of them came
	again  mono.Time // repeat the last acknowledgement then

	minds   bool          // the peer wants to know when nothing comes any more
	gap     time.Duration // smoothed distance between datagrams that came
	latest  mono.Time     // when the latest came
	silence int           // reports sent since, for that
}

// Silence is told when it lasts longer than a few datagrams' distance, a few times,
// in bad spells of a wire that the sender can otherwise learn of only when they end.
const (
	silentGaps    = 6
	silentLeast   = 4 * time.Millisecond
	silentEvery   = 8 * time.Millisecond
	silentMost    = 30                    // reports in one silence
	silentDensest = 20 * time.Millisecond // no wider traffic is waited for
)

// Timing of reports when nothing is missing.
const (
	allWellSoonest = 80 * time.Millisecond
	allWellLatest  = 500 * time.Millisecond
	allWellNews    = 40
	// fullReport is how many datagrams one report can tell the fates of.
	fullReport = 1600
	// The first reports come soon, since the peer knows nothing of its wires yet.
	firstReports = 8
	firstEvery   = 16 * time.Millisecond
	// ackGap is how long the copies of one packet may trickle in before one more is
	// taken to mean that the acknowledgement was lost.
	ackGap = 15 * time.Millisecond
	// rideWithin is how much earlier than due a report goes if it can ride along.
	rideWithin = 5 * time.Millisecond
)

func (r *reporter) heard(now mono.Time) {
	if d := now.Sub(r.latest); r.latest != 0 && r.silence == 0 {
		r.gap += (min(d, silentDensest) - r.gap) / 16
	}
	r.latest, r.silence = now, 0
	if r.news == 0 {
		r.since = now
	}
	r.news++
}

// want asks for a report at t.
func (r *reporter) want(t mono.Time) { r.wanted = mono.Earliest(r.wanted, t) }

// allWell is when a report without news of losses is due.
func (r *reporter) allWell(rtt time.Duration) mono.Time {
	if r.news == 0 {
		return 0
	}
	wait := min(max(2*rtt, allWellSoonest), allWellLatest)
	if r.number < firstReports {
		wait = firstEvery
	} else if r.news < allWellNews {
		wait = allWellLatest
	}
	if r.news >= fullReport {
		return r.since
	}
	return max(r.last.Add(wait), r.since.Add(wait/2))
}

// silentAt is when the present silence is to be told.
func (r *reporter) silentAt() mono.Time {
	if !r.minds || r.latest == 0 || r.gap == 0 || r.gap >= silentDensest/4 || r.silence >= silentMost {
		return 0
	}
	return r.latest.Add(max(silentGaps*r.gap, silentLeast) + time.Duration(r.silence)*silentEvery)
}

func (r *reporter) due(e *Endpoint) mono.Time {
	next := r.silentAt()
	next = mono.Earliest(next, mono.Earliest(mono.Earliest(r.wanted, r.again), r.allWell(e.rtt.smooth)))
	for _, rx := range e.rx {
		if rx != nil {
			next = mono.Earliest(next, rx.due)
		}
	}
	return next
}

// tickReports sends a report if one is due.
func (e *Endpoint) tickReports(now mono.Time, out Out) {
	if e.reportDue(now) {
		e.sendReport(now, out)
	}
}

func (e *Endpoint) reportDue(now mono.Time) bool {
	r := &e.reporter
	due := r.wanted != 0 && r.wanted <= now || r.again != 0 && r.again <= now
	if at := r.allWell(e.rtt.smooth); at != 0 && at <= now {
		due = true
	}
	if at := r.silentAt(); at != 0 && at <= now {
		due = true
		r.silence++
	}
	for _, rx := range e.rx {
		if rx != nil && rx.due != 0 && rx.due <= now && rx.check(now, e.adviceFor(rx.mode)) {
			due = true
		}
	}
	return due
}

// adviceFor is what the peer wants of reports about a mode, with what only this end
// knows.
func (e *Endpoint) adviceFor(m Mode) timing {
	t := e.advice[m]
	t.ripe = t.age * 7 / 10
	if e.reporter.minds {
		// In bursts sharing rounds and time to spread them count for more than
		// waiting for what may mend by itself.
		t.ripe = t.age / 10
	}
	t.repeats = repeats(e.rtt.lossThere)
	return t
}

// reportMiss is how likely the peer may be not to hear of a loss at all.
const reportMiss = 2e-3

// sendReport sends all there is to say on the best wire.
func (e *Endpoint) sendReport(now mono.Time, out Out) {
	if len(e.usable) == 0 {
		e.reporter.wanted, e.reporter.news = 0, 0
		return
	}
	r := e.fillReport(now)
	for {
		wire := e.reportWire(now)
		limit := e.wires[wire].mtu
		if limit <= 0 {
			limit = leastReport
		}
		b := r.append(e.begin(kindReport), max(limit, leastReport))
		e.stats.Sent.Reports++
		e.transmit(now, wire, b, out)
		if !r.more() {
			return
		}
		e.reporter.number = r.number
	}
}

// leastReport is room for a report on any wire.
const leastReport = 1100

// fillReport returns all there is to report, and notes that it is on its way.
func (e *Endpoint) fillReport(now mono.Time) *report {
	r, out := &e.reporter, &e.out
	*out = report{pieces: out.pieces}
	r.number++
	out.number = r.number
	e.fillStamp(now, out)
	e.fillEcho(now, out)
	most := e.wireBits()
	for id := range e.wires {
		if w := &e.wires[id].heard; w.any {
			out.has |= hasWires
			out.wires[out.nWires] = w.report(now, uint8(id), most)
			out.nWires++
		}
	}
	for id, rx := range e.rx {
		if rx == nil {
			continue
		}
		rx.report(now, e.adviceFor(rx.mode), &out.streams[id])
		out.has |= hasStreams
	}
	if e.acker.any {
		out.has |= hasCopies
		out.copies = e.acker.report()
	}
	if r.again != 0 && r.again <= now {
		r.again = 0
	}
	r.last, r.wanted, r.news = now, 0, 0
	return out
}

// wireBits is how many bytes of bits a report has for each wire at most.
func (e *Endpoint) wireBits() int {
	n := 0
	for id := range e.wires {
		if e.wires[id].heard.any {
			n++
		}
	}
	return min(maxWireBits, 800/max(n, 1))
}

// reportSize is how long a report would be now, at most.
func (e *Endpoint) reportSize(now mono.Time) int {
	n := reportHeader + stampSize + echoSize + 2 + 10
	most := e.wireBits()
	for id := range e.wires {
		if w := &e.wires[id].heard; w.any {
			n += 5 + w.reportBytes(now, most)
		}
	}
	for _, rx := range e.rx {
		if rx != nil {
			n += streamHead
			if rx.missing > 0 {
				n += 2*pieceHead + (rx.width()+7)/8 + (rx.missing+7)/8
			}
		}
	}
	return n
}

// fillStamp says what this end's sending wants.
func (e *Endpoint) fillStamp(now mono.Time, r *report) {
	sending := false
	for range streams / 2 {
		e.stampFor = (e.stampFor + 1) % Off
		if e.tx[2*int(e.stampFor)] != nil || e.tx[2*int(e.stampFor)+1] != nil {
			sending = true
			break
		}
	}
	r.has |= hasStamp
	t := timing{age: 20 * time.Millisecond, every: 20 * time.Millisecond, budget: time.Second}
	if sending {
		t = e.timing(e.stampFor)
	}
	ms := func(d time.Duration, unit time.Duration) uint8 {
		return uint8(min(max((d+unit/2)/unit, 1), 255))
	}
	r.stamp = stamp{
		clock:    uint32(uint64(now) / 1000),
		lossBack: uint8(math.Round(255 * e.lossHere())),
		mode:     e.stampFor,
		age:      ms(t.age, time.Millisecond),
		every:    ms(t.every, time.Millisecond),
		budget:   ms(t.budget+4*time.Millisecond, 4*time.Millisecond),
		answer:   uint16(min(e.chance()/(64*time.Microsecond), 65535)),
		silence:  sending && e.burstiness().matters(),
	}
	e.stampAt = now
}

func (e *Endpoint) takeStamp(now mono.Time, s *stamp) {
	e.advice[s.mode] = timing{
		age:    time.Duration(max(s.age, 1)) * time.Millisecond,
		every:  time.Duration(max(s.every, 1)) * time.Millisecond,
		budget: time.Duration(max(s.budget, 2)) * 4 * time.Millisecond,
		answer: max(time.Duration(s.answer)*64*time.Microsecond, 2*time.Millisecond),
	}
	e.reporter.minds = s.silence
	e.rtt.stamp(now, s.clock)
	e.rtt.lossThere = float64(s.lossBack) / 255
}

func (e *Endpoint) fillEcho(now mono.Time, r *report) {
	if clock, held, queueing, ok := e.rtt.echo(now); ok {
		r.has |= hasEcho
		late := time.Duration(0)
		for i := range e.wires {
			late = max(late, e.wires[i].heard.reorder)
		}
		r.echo = echo{clock, held, queueing, uint8(min(late/(256*time.Microsecond), 255))}
	}
}

// takeReport takes in what the peer has to say and reacts to it.
func (e *Endpoint) takeReport(now mono.Time, b []byte, out Out) bool {
	r := &e.in
	if !r.parse(b) {
		return false
	}
	e.stats.Received.Reports++
	if r.has&hasStamp != 0 {
		e.takeStamp(now, &r.stamp)
	}
	if r.has&^(hasStamp|hasEcho) == 0 {
		if r.has&hasEcho != 0 {
			e.rtt.echoed(now, &r.echo)
		}
		return true
	}
	if e.anyTaken && int16(r.number-e.last) <= 0 {
		e.stats.Received.OldReports++
		return true
	}
	e.last, e.anyTaken = r.number, true
	if r.has&hasEcho != 0 {
		e.rtt.echoed(now, &r.echo)
	}
	for i := range r.nWires {
		e.takeFates(now, &r.wires[i])
		e.measures.known = false
	}
	if r.has&hasCopies != 0 {
		e.copies.acked(r.copies)
	}
	for id := range e.wires {
		e.wires[id].flight.forget(now.Add(-2*e.rtt.smooth - time.Second))
	}
	e.suspect(now)
	e.purse.gov.pace(e.rtt.smooth)
	shifts := uint64(0)
	for id := range e.wires {
		shifts += e.wires[id].loss.shifts
	}
	e.purse.gov.shifted(shifts)
	e.purse.gov.judge(now, e.rtt.smooth, e.rtt.queueThere)
	for id := range r.streams {
		s := e.tx[id]
		if s == nil || !r.streams[id].present {
			continue
		}
		s.take(&r.streams[id])
		e.presume(now, s)
		e.react(now, s, out)
	}
	return true
}

// takeFates learns what became of datagrams on one wire.
func (e *Endpoint) takeFates(now mono.Time, r *wireReport) {
	w := &e.wires[r.id]
	high, ok := w.flight.reported(r.high)
	if !ok {
		return
	}
	w.flight.report(high, r.bits, e.reorderGuard(), func(n uint64, s *sent) {
		w.loss.add(s.at, s.fate == lost)
		e.purse.gov.fate(s.at, int(s.bytes), s.fate == arrived)
	})
}

// reorderGuard is how much later than its successors a packet may come and
// still not count as lost.
func (e *Endpoint) reorderGuard() time.Duration { return e.rtt.reorder }
