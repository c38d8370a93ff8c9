package repair

import (
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// Where so many symbols are sent in a round trip that no repair can cover them all, and
// bad spells take many of them, a stream is cut into lots: runs of lotSize symbols, each coded apart from all others.
// A lot lasts a small part of a round trip, so what was lost of it is known all at once,
// long after its repairs have been sent, and is mended with exactly what is wanting. The
// receiver's equations about one lot have nothing to do with those about another, so the
// work for a packet does not grow with how many are missing. Losses that do not come together are
// better mended by what is sent after each: far sooner, for a few repairs more.

// lotSize is the number of symbols in a lot: as many as one repair can cover.
const lotSize = code.MaxSpan

// lot is the memory of one.
type lot struct {
	closed mono.Time // when the last of its repairs beforehand was sent; zero: it is open
	again  mono.Time // nothing is done for it before
}

// A stream may be cut into lots where this many of them are sent in a round trip, and no
// longer where it is this many.
const (
	lotsEnter = 2.0
	lotsLeave = 1.2
)

func lotStart(seq uint32) uint32 { return seq &^ (lotSize - 1) }

func (s *sender) lotOf(seq uint32) *lot { return &s.lots[seq/lotSize%uint32(len(s.lots))] }

// chooseLots decides whether the stream is cut into lots; seq is about to be sent.
func (e *Endpoint) chooseLots(s *sender, seq uint32) {
	begins := seq%lotSize == 0
	if begins {
		*s.lotOf(seq) = lot{}
	} else if !s.inLots {
		return
	}
	rate := s.rate.perSecond()
	e.purse.depth = max(purseDepth, purseTime*rate)
	n, may := e.mayCut(s, rate)
	switch {
	case s.inLots && !may:
		s.inLots = false
	case begins && may && (!s.inLots || float64(seq-s.began) >= lotsStay*n*lotSize):
		if piles := e.piles(s, rate); piles != s.inLots {
			e.cut(s, piles)
		}
	}
}

// mayCut reports how many lots a round trip has at a rate, and whether they are enough.
func (e *Endpoint) mayCut(s *sender, rate float64) (n float64, may bool) {
	n = rate * e.rtt.smooth.Seconds() / lotSize
	return n, (n >= lotsEnter || s.inLots && n >= lotsLeave) && e.rounds(s.mode) > 0
}

func (e *Endpoint) cut(s *sender, into bool) {
	s.inLots, s.began = into, s.next
	s.belief.set(0)
}

// cutNow cuts a stream into lots when a report shows that more is missing than a repair covers.
func (e *Endpoint) cutNow(s *sender) {
	if s.inLots || len(s.missing) <= lotSize {
		return
	}
	if _, may := e.mayCut(s, s.rate.perSecond()); may {
		e.cut(s, true)
	}
}

// piles reports whether what is lost of a stream of so many symbols a second piles up: in bad
// spells, where much is lost or where one of them takes more than half of what a repair covers; or because
// more is missing by now than a repair covers. It may, as long as nobody knows.
func (e *Endpoint) piles(s *sender, rate float64) bool {
	b := e.burstiness()
	p := 0.0
	for _, id := range e.usable {
		m := &e.wires[id].loss
		if !m.known() {
			return true
		}
		p += m.climate / float64(len(e.usable))
	}
	much, most, missing := pilesLoss, float64(lotSize/2), lotSize
	if s.inLots {
		much, most, missing = 0.7*much, 0.7*most, lotSize/2
	}
	return len(s.missing) > missing || b.matters() && (p >= much || rate*b.lasting.Seconds() >= most)
}

const (
	pilesLoss = 0.1
	// lotsStay is for how many round trips a stream is cut into lots at least.
	lotsStay = 4
)

// pumpLot sends repairs of the lot that the newest symbol belongs to: some as it goes,
// the rest when it is complete.
func (e *Endpoint) pumpLot(now mono.Time, s *sender, out Out) {
	complete := s.next%lotSize == 0
	limit := lotWaste
	if complete {
		limit = e.lotEnough(s)
	}
	if e.cfg.Tune.NoProactive {
		limit = 0
	}
	for s.belief.none() < limit && e.purse.afford(e.reserve()) && e.sendRepair(now, s, out) {
	}
	if complete {
		s.lotOf(s.next - 1).closed = now
		s.belief.set(0)
	}
}

// lotWaste is how likely a repair that is sent while its lot goes on may be useless.
const lotWaste = 0.03

// lotEnough is how likely a lot must be to need nothing more when its repairs have been
// sent. What fails costs a round trip, for the lot and, in order, for all that follow it:
// so it is lots a round trip that counts.
func (e *Endpoint) lotEnough(s *sender) float64 {
	m := s.mode
	if p, _ := e.loss(); p < lotLoss || e.burstiness().matters() {
		return e.waste(m)
	}
	n := max(s.rate.perSecond()*e.rtt.smooth.Seconds()/lotSize, 1)
	return 1 - [...]float64{Balanced: 0.3, Latency: 0.03, Economy: 10}[m]/max(n, 20)
}

// lotLoss is the loss below which what is lost is cheaper asked for.
const lotLoss = 0.003

// lotAge is how long something must be missing in a stream that is cut into lots to be
// told: until the repairs of its lot have come. It is 0 where no stream of the mode is.
func (e *Endpoint) lotAge(m Mode) time.Duration {
	age := time.Duration(0)
	for i := range 2 {
		if s := e.tx[2*int(m)+i]; s != nil && s.inLots {
			lasts := time.Duration(lotSize * 1e9 / s.rate.perSecond())
			age = max(age, lasts+e.reorderGuard()+2*time.Millisecond)
		}
	}
	return age
}

// actLots sends what the newest report shows to be wanting in lots whose repairs have all
// had the time to arrive.
func (e *Endpoint) actLots(now mono.Time, s *sender, out Out) {
	if e.cfg.Tune.NoFeedback {
		return
	}
	wait := e.rtt.smooth + max(2*e.rtt.variance, e.reorderGuard()) + time.Millisecond
	t := e.timing(s.mode)
	for i := s.find(s.windowStart()); i < len(s.missing); {
		start := lotStart(s.missing[i].Seq)
		end := start + lotSize
		for i < len(s.missing) && code.Before(s.missing[i].Seq, end) {
			i++
		}
		if code.Before(s.next, end) {
			end = s.next
		}
		if code.Before(s.known, end) {
			break // nobody has heard of all of it
		}
		l := s.lotOf(start)
		closed := l.closed
		if closed == 0 {
			closed = s.lastSend
			if !code.Before(s.next, start+lotSize) {
				closed = s.sentAt(start + lotSize - 1)
			}
		}
		if now < l.again || closed.Add(e.rtt.smooth) > now {
			continue
		}
		if closed.Add(wait) > now && s.sentAt(start).Add(t.budget-deadlineMargin) > now.Add(t.age) {
			continue // it can wait for the next report
		}
		l.again = now.Add(wait + time.Millisecond)
		e.actOnLot(now, s, l, start, end, t, out)
	}
	s.acted = s.known
}

// actOnLot sends the rounds for what is missing of the lot's symbols from start up to end.
func (e *Endpoint) actOnLot(now mono.Time, s *sender, l *lot, start, end uint32, t timing, out Out) {
	from := start
	if w := s.windowStart(); code.Before(from, w) {
		from = w
	}
	// What is too late itself may stand in equations for what is not.
	spent, _ := s.deficit(start, from)
	last := s.sentAt(from).Add(t.budget) < now.Add(e.chance()+deadlineMargin)
	spread := len(s.spreads)
	e.pieces(s, from, end, mostWanting, func(a, b uint32) {
		e.round(now, s, a, b, spent, last, out)
		spent = 0
	})
	if len(s.spreads) != spread {
		l.again = now.Add(t.budget) // what is spread is not done again
	}
}
