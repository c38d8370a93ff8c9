package repair

import (
	"math"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

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
	e.pieces(s, from, split, mostWanting, round(true))
	e.pieces(s, split, upTo, mostWanting, round(false))
}

// pieces cuts [from, upTo) into pieces that one repair can cover and one plan can
// reckon with.
func (e *Endpoint) pieces(s *sender, from, upTo uint32, most int, do func(from, upTo uint32)) {
	wanting := 0
	for _, u := range s.missing[s.find(from):] {
		if !code.Before(u.Seq, upTo) {
			break
		}
		if u.Seq-from >= code.MaxSpan || wanting >= most {
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
	plain := d == n // nothing is held in equations
	first := from
	for !s.isMissing(first) {
		first++
	}
	p, margin := e.loss()
	p = min(p, e.measured().calm+margin)
	c := closing{
		deficit: d,
		stake:   1,
		price:   e.delayPrice(s.mode),
		loss:    p,
		most:    4*d + 64,
	}
	if !s.inLots { // where none of the repairs beforehand is under way any more
		c.heal = e.healing(s, now, from, upTo)
	}
	if last {
		// Equations of what is missing after it may need it solved.
		_, after := s.deficit(upTo, s.known)
		n += after
		c.stake, c.price, c.loss = float64(n), e.price(s, p), min(p+margin, 0.95)
		s.lastRounds += lastRoundsDecay
	}
	if b := e.burstiness(); b.matters() {
		latest := s.sentAt(first).Add(e.budget(s.mode) - deadlineMargin/2)
		if p > outageLoss {
			p, margin = outageLoss, 0
		}
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
			e.spreadRound(now, s, &c, b, from, upTo, latest, !plain, out)
		}
		return
	}
	m := c.size(&e.scratch)
	s.closings++
	s.closeSymbols += uint64(m)
	e.sendRound(now, s, from, upTo, m, plain, out)
}

// price is how many symbols a packet is worth that would otherwise be lost. Last
// rounds that are sized by it leave lost, of all packets, about half their number
// per packet divided by the price and by what arrives of them.
func (e *Endpoint) price(s *sender, loss float64) float64 {
	return 0.5 * max(s.lastRounds, leastLastRounds) / ((1 - loss) * e.cfg.Residual * safety)
}

// safety is the share of the residual that is planned for: what breaks the
// assumptions has the rest.
const safety = 0.1

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
	return min(max(43*math.Pow(0.2/max(loss, 1e-3), 2.2), 8), 1500)
}

// outageLoss is the most loss that a round in bursts reckons with. Where more was lost
// lately, nothing came through at all, and the report that tells of it shows that this is
// over.
const outageLoss = 0.6

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

// sendRound sends m symbols for what is missing of [from, upTo). Where nothing is
// held in equations the first are the missing symbols themselves: each that arrives
// is worth something even if the round fails.
func (e *Endpoint) sendRound(now mono.Time, s *sender, from, upTo uint32, m int, plain bool, out Out) {
	var span code.Span
	for _, u := range s.missing[s.find(from):] {
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
