package repair

import (
	"encoding/binary"
	"math"
	"os"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// sendCoded sends a symbol of a coded stream, and repairs when they are worth it.
func (e *Endpoint) sendCoded(now mono.Time, s *sender, symbol []byte, out Out) {
	if !s.enc.Add(s.next, symbol) {
		return
	}
	seq := s.next
	s.at[seq&uint32(len(s.at)-1)] = now
	s.next++
	s.lastSend, s.beats = now, 0
	s.lastRounds -= s.lastRounds * lastRoundsDecay
	e.purse.source(len(symbol))

	e.probe(now, s, out)
	wire := e.nextWire()
	b := append(e.beginStamped(now, byte(kindSource+int(s.id))), byte(seq>>16), byte(seq>>8), byte(seq))
	n := e.transmit(now, wire, append(b, symbol...), out)
	s.note(entry{at: now, number: n, first: seq, last: seq, wire: wire})
	s.belief.source(e.lossOf(wire), 1)
	s.expire(now, e.budget(s.mode)-deadlineMargin/2)
	e.pump(now, s, out)
	s.due = s.tailAt(e)
}

// beginStamped starts a datagram, with a stamp in front from time to time.
func (e *Endpoint) beginStamped(now mono.Time, kind byte) []byte {
	if e.stampAt != 0 && now.Sub(e.stampAt) < stampEvery {
		return e.begin(kind)
	}
	var r report
	e.fillStamp(now, &r)
	e.fillEcho(now, &r)
	b := r.append(append(e.buf[:0], kindCarrier, 0), nil)
	b[1] = byte(len(b) - carrierHeader)
	return append(b, kind, 0, 0)
}

const stampEvery = 50 * time.Millisecond

// pump sends repairs beforehand: as long as the receiver is likely enough to have
// a use for one more.
func (e *Endpoint) pump(now mono.Time, s *sender, out Out) {
	if e.cfg.Tune.NoProactive {
		return
	}
	if e.rounds(s.mode) == 0 {
		e.pumpBlind(now, s, out)
		return
	}
	wasted := e.waste(s.mode)
	for s.belief.none() < wasted {
		if !e.purse.afford(e.reserve()) || !e.sendRepair(now, s, out) {
			return
		}
	}
}

// pumpBlind sends repairs at the rate that needs no feedback.
func (e *Endpoint) pumpBlind(now mono.Time, s *sender, out Out) {
	if s.paid == s.next {
		return
	}
	p, margin := e.loss()
	p += margin
	slots := min(int(s.rate.perSecond()*(e.budget(s.mode)-time.Millisecond).Seconds()), code.MaxSpan-16)
	if b := &s.blind; b.slots == 0 || math.Abs(p-b.loss) > 0.02*b.loss || abs(slots-b.slots) > b.slots/16 {
		*b = blind{p, slots, blindRate(p, max(slots, 1), e.cfg.Residual*blindSafety)}
		if alpha := e.cfg.Tune.Alpha; alpha != 0 {
			b.rate = alpha * p / (1 - p)
		}
	}
	s.credit += s.blind.rate * float64(s.next-s.paid)
	s.paid = s.next
	for ; s.credit >= 1 && e.purse.afford(0) && e.sendRepair(now, s, out); s.credit-- {
	}
	s.credit = min(s.credit, 2)
}

// blindSafety is the share of the residual that repairs without feedback are planned for.
const blindSafety = 0.5

func abs(n int) int { return max(n, -n) }

// blind is a rate of repairs and what it was computed for.
type blind struct {
	loss  float64
	slots int
	rate  float64
}

// waste is the probability of being useless at which a repair is still sent.
func (e *Endpoint) waste(m Mode) float64 {
	alpha := e.cfg.Tune.Alpha
	if alpha == 0 {
		alpha = [...]float64{Balanced: 1.45, Latency: 1.8, Economy: 1.2}[m]
	}
	if e.cfg.Tune.Alpha == 0 && e.burstiness().matters() {
		alpha = 1 + (alpha-1)/8 // most would be sent in good spells
	}
	return max(1-1/alpha, 0)
}

// reserve is what the purse must hold beyond a repair sent beforehand, for last rounds.
func (e *Endpoint) reserve() float64 { return 8 }

// sendRepair sends a repair over all that is open.
func (e *Endpoint) sendRepair(now mono.Time, s *sender, out Out) bool {
	from := s.openStart()
	if s.next-from > code.MaxSpan {
		from = s.next - code.MaxSpan
	}
	e.turn++
	wire := e.repairWire(e.turn)
	if !e.sendSpan(now, s, code.Range(from, int(s.next-from)), wire, out) {
		return false
	}
	s.repairs++
	s.belief.repair(e.lossOf(wire))
	return true
}

func (e *Endpoint) usableAt(i int) uint8 {
	if len(e.usable) == 0 {
		return 0
	}
	return e.usable[i%len(e.usable)]
}

// sendSpan sends one repair over span, and logs it.
func (e *Endpoint) sendSpan(now mono.Time, s *sender, span code.Span, wire uint8, out Out) bool {
	if span.Empty() {
		return false
	}
	head := repairFixed + span.Size()
	if cap(e.buf) < head+code.LengthSize+code.MaxSymbol {
		e.buf = make([]byte, 0, head+code.LengthSize+code.MaxSymbol+256)
	}
	b := e.buf[:cap(e.buf)]
	used, n := s.enc.Repair(b[head:], span, s.rep)
	if n == 0 {
		return false
	}
	if used != span {
		// The payload does not depend on where it stands; the header may be shorter now.
		payload := b[head : head+n]
		head = repairFixed + used.Size()
		copy(b[head:], payload)
	}
	h := append(b[:0], byte(kindRepair+int(s.id)), 0, 0)
	h = binary.BigEndian.AppendUint16(h, s.rep)
	used.Append(h)
	s.rep++
	e.purse.spend(n)
	e.stats.Sent.Repairs++
	number := e.transmit(now, wire, b[:head+n], out)
	s.note(entry{at: now, number: number, first: used.First, last: used.Last(), wire: wire, repair: true})
	return true
}

// presume adds to what the newest report had missing the symbols that ought to have
// arrived before it was made and of which the peer knows nothing yet, because nothing
// has arrived since.
func (e *Endpoint) presume(now mono.Time, s *sender) {
	if !e.burstiness().matters() {
		return
	}
	made := now.Add(-e.rtt.smooth - 2*e.rtt.variance - 2*time.Millisecond - e.reorderGuard())
	old := made.Add(-e.timing(s.mode).age / 10)
	for s.known != s.next && s.sentAt(s.known) < made {
		s.missing = append(s.missing, code.Unknown{Seq: s.known})
		if s.told == s.known && s.sentAt(s.known) <= old {
			s.told++
		}
		s.known++
		s.presumed++
	}
}

// knownEnough is how likely nothing must be wanting after repairs have been sent for
// what is known to be missing.
const knownEnough = 0.6

// react does what the newest report makes necessary for a stream.
func (e *Endpoint) react(now mono.Time, s *sender, out Out) {
	s.expire(now, e.budget(s.mode)-deadlineMargin/2)
	e.settle(s)
	e.act(now, s, out)
	e.believe(now, s)
	if d, _ := s.deficit(s.openStart(), s.known-s.presumed); d > 0 {
		for s.belief.none() < knownEnough && e.purse.afford(e.reserve()) && e.sendRepair(now, s, out) {
		}
	}
	e.pump(now, s, out)
	s.due = s.tailAt(e)
}

// settle drops the log's entries whose fate is known.
func (e *Endpoint) settle(s *sender) {
	for s.logTail < s.logHead {
		en := &s.log[s.logTail&uint64(len(s.log)-1)]
		if e.wires[en.wire].flight.fate(en.number) == inFlight {
			return
		}
		s.logTail++
	}
}

// pending yields the entries that are still on their way, with the chance that they
// are lost. What ought to have arrived before the newest report was made but had
// not is lost, although nothing sent after it has arrived either.
func (e *Endpoint) pending(s *sender, now mono.Time, yield func(en *entry, loss float64)) {
	overdue := now.Add(-e.rtt.smooth - 2*e.rtt.variance - time.Millisecond - e.reorderGuard())
	for i := s.logTail; i < s.logHead; i++ {
		en := &s.log[i&uint64(len(s.log)-1)]
		if e.wires[en.wire].flight.fate(en.number) != inFlight {
			continue
		}
		if en.at < overdue {
			yield(en, 1)
		} else {
			yield(en, e.lossOf(en.wire))
		}
	}
}

// believe starts the stream's belief anew from the report and what is under way.
func (e *Endpoint) believe(now mono.Time, s *sender) {
	from := s.openStart()
	if s.next-from > code.MaxSpan {
		from = s.next - code.MaxSpan
	}
	// What is only presumed missing will be acted on; until then repairs for it would
	// most likely meet the same bad spell.
	sure := s.known - s.presumed
	d, _ := s.deficit(from, sure)
	// What is missing but may only be late is under way.
	e.pending(s, now, func(en *entry, loss float64) {
		if !en.repair && code.Before(en.last, s.known) && !code.Before(en.last, from) && s.isMissing(en.last) {
			d--
		}
	})
	s.belief.set(d)
	e.pending(s, now, func(en *entry, loss float64) {
		switch {
		case code.Before(en.last, from):
		case en.repair:
			s.belief.repair(loss)
		case !code.Before(en.last, sure) && code.Before(en.last, s.known):
		case !code.Before(en.last, s.known) || s.isMissing(en.last):
			s.belief.source(loss, 1)
		}
	})
}

// act sends repairs for what has been missing for long enough. What can wait for
// another report afterwards gets a lean round, what cannot gets its last.
func (e *Endpoint) act(now mono.Time, s *sender, out Out) {
	if e.cfg.Tune.NoFeedback {
		return
	}
	again := s.answered(now.Add(-e.rtt.smooth - time.Millisecond))
	from := s.windowStart()
	// What was acted on in vain and is too late itself still stands in equations for
	// what is not: each of its unknowns that no equation has for a pivot will cost one.
	dead := from
	if code.Before(again, dead) {
		dead = again
	}
	spent, _ := s.deficit(s.base, dead)
	if code.Before(from, again) {
		if _, n := s.deficit(from, again); n > 0 {
			e.actOn(now, s, from, again, spent, out)
			spent = 0
		}
	}
	if from = s.openStart(); code.Before(from, s.told) {
		e.actOn(now, s, from, s.told, spent, out)
		s.acted = s.told
		at := now
		if len(s.spreads) > 0 {
			at = at.Add(e.budget(s.mode)) // what is spread is not done again
		}
		s.acts[s.nActs%len(s.acts)] = act{s.acted, at}
		s.nActs++
	}
}

// actOn sends the rounds for what is missing of [from, upTo), where spent equations
// are worth nothing.
func (e *Endpoint) actOn(now mono.Time, s *sender, from, upTo uint32, spent int, out Out) {
	t := e.timing(s.mode)
	for code.Before(from, upTo) && s.sentAt(from).Add(t.budget-deadlineMargin/2) <= now {
		from++ // too late
	}
	// The answer to what is sent now will be here, and can be acted on, by then.
	next := now.Add(e.chance() + deadlineMargin)
	split := from
	for code.Before(split, upTo) && s.sentAt(split).Add(t.budget) < next {
		split++
	}
	round := func(last bool) func(a, b uint32) {
		return func(a, b uint32) {
			e.round(now, s, a, b, spent, last, out)
			spent = 0
		}
	}
	e.pieces(s, from, split, round(true))
	e.pieces(s, split, upTo, round(false))
}

// pieces cuts [from, upTo) into pieces that one repair can cover and one plan can
// reckon with.
func (e *Endpoint) pieces(s *sender, from, upTo uint32, do func(from, upTo uint32)) {
	wanting := 0
	for _, u := range s.missing {
		if code.Before(u.Seq, from) {
			continue
		}
		if !code.Before(u.Seq, upTo) {
			break
		}
		if u.Seq-from >= code.MaxSpan || wanting >= mostWanting {
			do(from, u.Seq)
			from, wanting = u.Seq, 0
		}
		if !u.Pivot {
			wanting++
		}
	}
	if code.Before(from, upTo) {
		do(from, upTo)
	}
}

// mostWanting is the largest deficit that one round is planned for.
const mostWanting = 32

// round sends the symbols of one round for what is missing of [from, upTo).
func (e *Endpoint) round(now mono.Time, s *sender, from, upTo uint32, spent int, last bool, out Out) {
	d, n := s.deficit(from, upTo)
	d = min(d+spent, n)
	if d == 0 {
		return
	}
	first := from
	for !s.isMissing(first) {
		first++
	}
	p, margin := e.loss()
	c := closing{
		deficit: d,
		stake:   1,
		price:   e.delayPrice(s.mode),
		loss:    p,
		heal:    e.healing(s, now, from, upTo),
		most:    4*d + 64,
	}
	if last {
		c.stake, c.price, c.loss = float64(n), e.price(s, p), min(p+margin, 0.95)
		s.lastRounds += lastRoundsDecay
	}
	if b := e.burstiness(); b.matters() {
		latest := s.sentAt(first).Add(e.budget(s.mode) - deadlineMargin/2)
		c.stake, c.price, c.loss = float64(n), burstPrice(p), min(p+margin, 0.95)
		c.heal = nil // what is under way may be lost together
		if !last {
			s.lastRounds += lastRoundsDecay
		}
		c.first = c.loss
		if code.Before(s.known-s.presumed, upTo) {
			// The wires were bad a moment ago.
			c.first += (1 - c.first) * b.at(e.rtt.smooth)
		}
		if latest > now {
			e.spreadRound(now, s, &c, b, from, upTo, latest, d != n, out)
		}
		return
	}
	m := c.size(&e.scratch)
	if trace {
		println("round", now/1e6, "from", from, "upTo", upTo, "d", d, "n", n, "last", last, "m", m, "heal1", int(1000*c.heal[1]), "age", int(now.Sub(s.sentAt(from))/1e6), int(now.Sub(s.sentAt(upTo-1))/1e6), "known", s.known, "next", s.next)
	}
	s.closings++
	s.closeSymbols += uint64(m)
	e.sendClosing(now, s, from, upTo, m, d == n, out)
}

// price is how many symbols a packet is worth that would otherwise be lost. Last
// rounds that are sized by it leave lost, of all packets, about half their number
// per packet divided by the price and by what arrives of them.
func (e *Endpoint) price(s *sender, loss float64) float64 {
	return 0.5 * max(s.lastRounds, leastLastRounds) / ((1 - loss) * e.cfg.Residual * safety)
}

// safety is the share of the residual that is planned for: what breaks the
// assumptions has the rest.
const safety = 0.2

// The number of last rounds per symbol sent, which is measured, starts at
// firstLastRounds and is never taken for less than leastLastRounds.
const (
	firstLastRounds = 0.01
	leastLastRounds = 0.0005
	lastRoundsDecay = 1.0 / 4096
)

// burstPrice is price where losses come in bursts: there the last few cost so much
// that what a lost packet costs altogether decides, and where loss is rare more may
// be spent on each.
func burstPrice(loss float64) float64 {
	return min(max(48*math.Pow(0.2/max(loss, 1e-3), 2.2), 8), 1500)
}

// delayPrice is how many symbols it is worth that a round succeeds which is not the last.
func (e *Endpoint) delayPrice(m Mode) float64 {
	return [...]float64{Balanced: 80, Latency: 300, Economy: 12}[m]
}

// healing computes the chance that what is under way makes up for a deficit at upTo.
func (e *Endpoint) healing(s *sender, now mono.Time, from, upTo uint32) []float64 {
	after, _ := s.deficit(upTo, s.known)
	e.events = e.events[:0]
	e.pending(s, now, func(en *entry, loss float64) {
		switch {
		case en.repair && loss < 1 && !code.Before(from, en.first) && !code.Before(en.last, upTo):
			e.events = append(e.events, 1)
		case !en.repair && !code.Before(en.last, s.known):
			e.events = append(e.events, -1)
		}
	})
	top := min(64+after, maxDeficit)
	p, _ := e.loss()
	heal(e.heal[:top+1], e.events, p)
	return e.heal[min(after, top) : top+1]
}

// sendClosing sends m symbols for what is missing of [from, upTo). Where nothing is
// held in equations the first are the missing symbols themselves: each that arrives
// is worth something even if the round fails.
func (e *Endpoint) sendClosing(now mono.Time, s *sender, from, upTo uint32, m int, plain bool, out Out) {
	var span code.Span
	for _, u := range s.missing {
		if code.Before(u.Seq, from) {
			continue
		}
		if !code.Before(u.Seq, upTo) {
			break
		}
		if plain && m > 0 && e.purse.afford(0) {
			e.resend(now, s, u.Seq, out)
			m--
		}
		span.Add(u.Seq)
	}
	for ; m > 0 && e.purse.afford(0); m-- {
		e.turn++
		if !e.sendSpan(now, s, span, e.repairWire(e.turn), out) {
			return
		}
	}
}

// resend sends a symbol again as it is.
func (e *Endpoint) resend(now mono.Time, s *sender, seq uint32, out Out) {
	symbol, ok := s.enc.Symbol(seq)
	if !ok {
		return
	}
	e.turn++
	wire := e.repairWire(e.turn)
	e.purse.spend(len(symbol))
	s.resent++
	e.stats.Sent.Repairs++
	b := append(e.begin(byte(kindSource+int(s.id))), byte(seq>>16), byte(seq>>8), byte(seq))
	n := e.transmit(now, wire, append(b, symbol...), out)
	s.note(entry{at: now, number: n, first: seq, last: seq, wire: wire, repair: true})
}

// isMissing reports whether the last report had seq missing.
func (s *sender) isMissing(seq uint32) bool {
	lo, hi := 0, len(s.missing)
	for lo < hi {
		mid := (lo + hi) / 2
		if code.Before(s.missing[mid].Seq, seq) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s.missing) && s.missing[lo].Seq == seq
}

// tailAt is when the stream's owner should look whether the stream fell silent
// with something unacknowledged.
func (s *sender) tailAt(e *Endpoint) mono.Time {
	return mono.Earliest(s.silentAt(e), s.spreadDue())
}

// silentAt is when the stream counts as silent.
func (s *sender) silentAt(e *Endpoint) mono.Time {
	if s.lastSend == 0 || !code.Before(s.base, s.next) && s.known == s.next {
		return 0
	}
	quiet := max(time.Duration(2e9/s.rate.perSecond()), 10*time.Millisecond)
	switch s.beats {
	case 0:
		return s.lastSend.Add(quiet)
	case 1, 2, 3, 4, 5:
		return s.lastSend.Add(quiet + time.Duration(10<<s.beats)*time.Millisecond)
	}
	return 0
}

// tickSender flushes the tail of a stream that fell silent.
func (e *Endpoint) tickSender(now mono.Time, s *sender, out Out) {
	if s.due == 0 || s.due > now {
		return
	}
	e.tickSpreads(now, s, out)
	if silent := s.silentAt(e); silent == 0 || silent > now {
		s.due = s.tailAt(e)
		return
	}
	if s.beats == 0 && !e.cfg.Tune.NoProactive {
		// Nothing will come after to repair the tail with: settle what is likely missing.
		for s.belief.none() < 0.9 && e.purse.afford(e.reserve()) && e.sendRepair(now, s, out) {
		}
	}
	s.beats++
	b := e.beginStamped(now, kindBeat)
	b = appendBeat(b, []streamNext{{s.id, s.next}})
	e.stats.Sent.Beats++
	e.transmit(now, e.nextWire(), b, out)
	s.due = s.tailAt(e)
}

var trace = os.Getenv("TRACE") != ""
