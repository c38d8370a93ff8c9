package repair

import (
	"math"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

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
		alpha = [...]float64{Balanced: 1.47, Latency: 1.8, Economy: 1.2}[m]
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
	if s.inLots {
		from = lotStart(s.next - 1)
	}
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
