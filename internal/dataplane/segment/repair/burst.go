package repair

import (
	"math"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// burstiness is how the losses of a wire hang together: a loss at one time makes a
// loss at another likelier by near × exp(-distance/lasting).
type burstiness struct {
	near    float64       // correlation of losses close together, 0..1
	lasting time.Duration // and how it fades
}

// matters reports whether the next symbols' fates depend much on one another.
func (b burstiness) matters() bool { return b.near > 0.15 }

// at returns the correlation of two losses that far apart.
func (b burstiness) at(d time.Duration) float64 {
	if b.near == 0 {
		return 0
	}
	return b.near * math.Exp(-float64(d)/float64(b.lasting))
}

// burstiness fits the meter's conditional losses.
func (m *lossMeter) burstiness() burstiness {
	const least, most = time.Millisecond, 400 * time.Millisecond
	p, _ := m.mean()
	if !m.known() || p < 0.001 {
		return burstiness{}
	}
	corr := func(i int) float64 { return max((m.after(i)-p)/(1-p), 0) }
	// A short and a long lag that enough pairs were found for.
	const enough = 20
	short, long := 0, len(lags)-1
	for short < long && m.lag[short].pairs < enough {
		short++
	}
	for long > short && m.lag[long].pairs < enough {
		long--
	}
	near := corr(short)
	if m.lag[short].pairs < enough || near < 0.05 {
		return burstiness{}
	}
	apart := func(i int) float64 { return m.lag[i].apart / m.lag[i].pairs }
	if long == short {
		return burstiness{near: near, lasting: unknownLasting}
	}
	lasting := float64(most) / 1e9
	if far := corr(long); far < near {
		lasting = (apart(long) - apart(short)) / math.Log(near/max(far, 0.005))
	}
	lasting = min(max(lasting, least.Seconds()), most.Seconds())
	return burstiness{
		near:    min(near*math.Exp(apart(short)/lasting), 1),
		lasting: time.Duration(lasting * 1e9),
	}
}

// unknownLasting is assumed of bad spells that have been seen at one distance only.
const unknownLasting = 20 * time.Millisecond

// burstiness is the mean of the usable wires'.
func (e *Endpoint) burstiness() burstiness { return e.measured().bursts }

// measureBursts computes it.
func (e *Endpoint) measureBursts() burstiness {
	var sum burstiness
	if len(e.usable) == 0 {
		return sum
	}
	for _, id := range e.usable {
		b := e.wires[id].loss.burstiness()
		sum.near += b.near
		sum.lasting += b.lasting
	}
	n := len(e.usable)
	return burstiness{sum.near / float64(n), sum.lasting / time.Duration(n)}
}

// arrivalsOf writes to out[k] the probability that k of m symbols arrive which are
// sent on one wire, the first lost with probability first, the others with loss,
// each correlated by stick with the one before.
// out has m+1 places; bad is scratch of that size.
func arrivalsOf(out, bad []float64, m int, first, loss, stick float64) {
	out, bad = out[:m+1], bad[:m+1]
	clear(out)
	clear(bad)
	if m == 0 {
		out[0] = 1
		return
	}
	lossAfterGood := loss * (1 - stick)
	lossAfterBad := loss + (1-loss)*stick
	out[1], bad[0] = 1-first, first
	for i := 2; i <= m; i++ {
		for k := i; k >= 0; k-- {
			g, b := out[k], bad[k]
			up := 0.0
			if k > 0 {
				up = out[k-1]*(1-lossAfterGood) + bad[k-1]*(1-lossAfterBad)
			}
			out[k], bad[k] = up, g*lossAfterGood+b*lossAfterBad
		}
	}
	for k := range out {
		out[k] += bad[k]
	}
}

// spreadSize is size for symbols that are spread over a time, in turn over some wires:
// the more there are, the closer they lie.
func (c *closing) spreadSize(s *spreadScratch, over time.Duration, wires int, b burstiness) int {
	d := min(c.deficit, maxDeficit)
	if d <= 0 {
		return 0
	}
	// Rounds of one report are much alike.
	key := spreadKey{d, c.stake, c.price, c.loss, c.first, over / alike, wires, b}
	if len(c.heal) == 0 && key == s.key {
		return s.size
	}
	s.key, s.size = key, c.sizeOfSpread(s, d, over, wires, b)
	return s.size
}

func (c *closing) sizeOfSpread(s *spreadScratch, d int, over time.Duration, wires int, b burstiness) int {
	most := min(c.most, maxSpread)
	best, bestCost := 0, c.price*c.stake*(1-c.healed(d))
	for m := 1; m <= most && float64(m) < bestCost; m += 1 + m/16 {
		if m < d && len(c.heal) == 0 {
			continue // too few in any case
		}
		total := s.total[:1]
		total[0] = 1
		for w := range wires {
			n := (m + wires - 1 - w) / wires
			stick := b.near
			if n > 1 {
				stick = b.at(over / time.Duration(n))
			}
			arrivalsOf(s.one[:], s.bad[:], n, c.first, c.loss, stick)
			total = convolve(s.sum[:], total, s.one[:n+1])
			total = s.total[:copy(s.total[:], total)]
		}
		fails := 0.0
		for k := 0; k < len(total) && k < d; k++ {
			fails += total[k] * (1 - c.healed(d-k))
		}
		if cost := float64(m) + c.price*c.stake*fails; cost < bestCost {
			best, bestCost = m, cost
		}
	}
	return best
}

// healed is the chance that a deficit heals by itself.
func (c *closing) healed(d int) float64 {
	if d < len(c.heal) {
		return c.heal[d]
	}
	return 0
}

func convolve(out, a, b []float64) []float64 {
	out = out[:len(a)+len(b)-1]
	clear(out)
	for i, x := range a {
		for k, y := range b {
			out[i+k] += x * y
		}
	}
	return out
}

// maxSpread is the most symbols that one round spreads over time.
const maxSpread = 96

type spreadScratch struct {
	one, bad, total, sum [maxSpread + 8]float64
	key                  spreadKey // what size was computed for
	size                 int
}

// spreadKey is what the size of a round depends on.
type spreadKey struct {
	deficit                   int
	stake, price, loss, first float64
	over                      time.Duration // in steps of alike
	wires                     int
	bursts                    burstiness
}

// alike is how much longer one round may have than another to be sized alike.
const alike = 4 * time.Millisecond

// maxSpreads is how many rounds of a stream may be spread at once.
const maxSpreads = 512

// spread is a round whose symbols are sent one by one.
type spread struct {
	from, upTo uint32
	left       int
	next       mono.Time
	gap        time.Duration
	plain      int // so many of the missing symbols have been sent as they are
	coded      bool
	turn       int
}

// spreadRound plans a round over the time until last.
func (e *Endpoint) spreadRound(now mono.Time, s *sender, c *closing, b burstiness, from, upTo uint32, last mono.Time, coded bool, out Out) {
	over := last.Sub(now)
	m := c.spreadSize(&e.spreading, over, max(len(e.usable), 1), b)
	s.closings++
	s.closeSymbols += uint64(m)
	if m == 0 {
		return
	}
	if len(s.spreads) == maxSpreads {
		s.spreads = s.spreads[:copy(s.spreads, s.spreads[1:])] // the oldest has had most of its time
	}
	s.spreads = append(s.spreads, spread{from: from, upTo: upTo, left: m, next: now, gap: over / time.Duration(max(m-1, 1)), coded: coded, turn: e.turn})
	e.tickSpreads(now, s, out)
}

// tickSpreads sends what is due of the rounds under way, and ends those that have
// become needless.
func (e *Endpoint) tickSpreads(now mono.Time, s *sender, out Out) {
	keep := s.spreads[:0]
	for i := range s.spreads {
		p := s.spreads[i]
		for p.left > 0 && p.next <= now {
			if d, _ := s.deficit(p.from, p.upTo); d == 0 || !e.purse.afford(0) || !e.sendSpread(now, s, &p, out) {
				p.left = 0
				break
			}
			p.left--
			p.next = p.next.Add(p.gap)
		}
		if p.left > 0 {
			keep = append(keep, p)
		}
	}
	s.spreads = keep
}

// sendSpread sends the next symbol of a round.
func (e *Endpoint) sendSpread(now mono.Time, s *sender, p *spread, out Out) bool {
	var span code.Span
	n := 0
	from := p.from
	if code.Before(from, s.live) {
		from = s.live
	}
	for _, u := range s.missing[s.find(from):] {
		if !code.Before(u.Seq, p.upTo) {
			break
		}
		if n == p.plain && !p.coded {
			p.plain++
			e.turn = p.turn
			p.turn++
			e.resend(now, s, u.Seq, out)
			return true
		}
		n++
		span.Add(u.Seq)
	}
	p.coded = true
	p.turn++
	return e.sendSpan(now, s, span, e.repairWire(p.turn), out)
}

// spreadDue is when tickSpreads has something to do.
func (s *sender) spreadDue() mono.Time {
	var due mono.Time
	for i := range s.spreads {
		due = mono.Earliest(due, s.spreads[i].next)
	}
	return due
}
