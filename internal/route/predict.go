package route

import (
	"math"
	"time"
)

// Policy is what is asked of a route. Zero means the default beside the field.
type Policy struct {
	Residual   float64       // share of packets that may stay lost; 1e-5
	Cap        float64       // packets sent per packet carried, at most; 3
	Budget     time.Duration // added delay after which a segment gives a packet up; 4 RTT + 20 ms, at most 300 ms
	Rate       float64       // packets per second that a segment carries; 1000
	Redundancy Redundancy    // how much is repaired before loss is known; Balanced

	// Worth is the delay that one unit of Candidate.Price is worth; 10 ms.
	Worth time.Duration
}

// Redundancy is the proactive rate in units of what loss alone would need. The
// zero Redundancy is Balanced.
type Redundancy float64

// The repair modes' redundancies.
const (
	Balanced Redundancy = 1.2
	Latency  Redundancy = 1.8
	Economy  Redundancy = 0.3
	None     Redundancy = -1 // no repair at all
)

func (p Policy) withDefaults() Policy {
	if p.Residual == 0 {
		p.Residual = 1e-5
	}
	if p.Cap == 0 {
		p.Cap = 3
	}
	if p.Rate == 0 {
		p.Rate = 1000
	}
	if p.Redundancy == 0 {
		p.Redundancy = Balanced
	}
	if p.Worth == 0 {
		p.Worth = 10 * time.Millisecond
	}
	return p
}

// Prediction is what repair will make of a segment or a route.
type Prediction struct {
	// Delay is how long the slow packets take from entry to delivery in order: the
	// mean of the slowest tenth, which is about the 95th percentile but does not jump
	// when a twentieth of the packets begins to wait.
	Delay    time.Duration
	Mean     time.Duration // the same of all packets
	Residual float64       // share of packets never delivered in time
	Overhead float64       // packets sent per packet carried, feedback not counted
}

const (
	// The model reckons in packet slots. Faster traffic pools better than the fastest
	// here, by little. Where a round trip has fewer packets than pooled, they cannot
	// share repairs, and each is protected by copies of itself.
	slowest, fastest = 60.0, 1000.0
	pooled           = 6
	// How likely all copies of a round that is not the last may be lost, and the most
	// copies for that; the most in the last round, and rounds.
	copyMiss, copiesAtOnce = 0.01, 4
	mostCopies, mostRounds = 24, 8
	maxSlots               = 600
	deficits               = 96
	// Below this loss, repair on demand alone is cheapest.
	proactiveFrom = 0.003
	maxBudget     = 300 * time.Millisecond // as repair.DefaultBudget
	worst         = 0.1                    // the share of packets whose mean is taken for the 95th percentile
)

// Predictor predicts, remembering what it has worked out for similar segments:
// the model takes up to a millisecond, remembered answers do not. The zero
// Predictor is ready; it holds at most some 30 KB.
type Predictor struct {
	known map[likeness]repaired
}

// likeness is a segment's loss and RTT in steps of about 5 %, by how much a loss makes
// another likelier in steps of a twentieth, rounded down, and the policy.
type likeness struct {
	loss, together, rtt, reverse int16
	policy                       Policy
}

// repaired is what the model adds to a segment's own delay.
type repaired struct {
	wait, mean         time.Duration // of the slowest tenth, of all
	residual, overhead float64
}

const remembered = 512

// Segment predicts one segment under a policy.
func (p *Predictor) Segment(q Quality, policy Policy) Prediction {
	policy = policy.withDefaults()
	r := repaired{overhead: 1}
	if like := likenessOf(q, policy); q.Loss > 0 {
		found, ok := p.known[like]
		if !ok {
			found = like.model()
			if p.known == nil || len(p.known) >= remembered {
				p.known = make(map[likeness]repaired)
			}
			p.known[like] = found
		}
		r = found
	}
	return Prediction{q.OneWay + q.Jitter + r.wait, q.OneWay + r.mean, r.residual, r.overhead}
}

// Route predicts a chain of segments: delays and losses add up, since each is
// repaired by itself; the overhead is the mean of theirs. The residual target
// is shared out evenly.
func (p *Predictor) Route(segments []Quality, policy Policy) Prediction {
	policy = policy.withDefaults()
	policy.Residual /= float64(max(1, len(segments)))
	sum, kept := Prediction{}, 1.0
	for _, q := range segments {
		one := p.Segment(q, policy)
		sum.Delay += one.Delay
		sum.Mean += one.Mean
		sum.Overhead += one.Overhead / float64(len(segments))
		kept *= 1 - one.Residual
	}
	sum.Residual = 1 - kept
	return sum
}

const steps = 20 // per factor e

func likenessOf(q Quality, policy Policy) likeness {
	step := func(x float64) int16 { return int16(math.Round(math.Log(max(x, 1e-6)) * steps)) }
	// A loss and a conditional loss that are the same but for chance, or but for the
	// steps, must not look like very short bursts.
	together := max(0, q.Conditional-q.Loss) / max(1e-6, 1-q.Loss)
	return likeness{step(q.Loss), int16(together * steps), step(q.RTT.Seconds()), step(q.ReverseLoss), policy}
}

// model reckons what repair does: proactively by the walk of an ideal sliding
// window, then in as many rounds of feedback as the budget allows, each lean but
// the last, which sends what the target takes.
func (l likeness) model() repaired {
	value := func(step int16) float64 { return math.Exp(float64(step) / steps) }
	m := model{
		loss:    min(value(l.loss), 0.98),
		rtt:     value(l.rtt),
		target:  l.policy.Residual,
		cap:     max(1, l.policy.Cap),
		budget:  l.policy.Budget.Seconds(),
		slot:    1 / min(max(l.policy.Rate, slowest), fastest),
		reverse: min(value(l.reverse), 0.9),
	}
	m.conditional = m.loss + (1-m.loss)*min(1, float64(l.together)/steps)
	if l.policy.Redundancy < 0 {
		return repaired{residual: m.loss, overhead: 1}
	}
	if m.budget == 0 {
		m.budget = min(4*m.rtt+0.02, maxBudget.Seconds())
	}
	if rate := l.policy.Rate; rate*m.rtt < pooled {
		m.round = m.rtt + 0.004/(1-m.reverse)
		return m.copies(rate)
	}
	detect := m.slot + min(max(m.rtt/10, 0.002), 0.01)/(1-m.reverse)
	m.round = m.rtt + detect
	rate := 0.0
	if m.loss >= proactiveFrom {
		rate = float64(l.policy.Redundancy) * m.loss / (1 - m.loss)
	}
	var r repaired
	for range 4 {
		r = m.with(rate)
		if over := r.overhead - m.cap; over <= 0 || rate == 0 {
			break
		} else {
			rate = max(0, rate-over)
		}
	}
	return m.capped(r)
}

// model holds one segment's case; times are in seconds.
type model struct {
	loss, conditional, reverse float64
	rtt, round, budget, slot   float64
	target, cap                float64
}

// with reckons with so many proactive repairs per packet.
func (m model) with(rate float64) repaired {
	const lag = 0.005 // what conditional means
	slots := func(t float64) int { return min(maxSlots, int(math.Ceil(t/m.slot))) }
	c := channel{m.loss, stickiness(m.loss, m.conditional, m.slot/2/lag)}
	alone := min(m.round, m.budget)
	t := repairTails(c, rate, slots(m.round), slots(alone), deficits)
	left, waiting := t.missing[len(t.missing)-1], t.waiting[len(t.waiting)-1]
	r := repaired{overhead: 1 + rate}

	// One more try is lost like this, a round trip after the last.
	again := m.loss + (1-m.loss)*stickiness(m.loss, m.conditional, m.rtt/lag)
	rounds := int(m.budget / m.round)
	for range rounds - 1 {
		r.overhead += left
		left *= again
	}
	if rounds > 0 && left > m.target {
		r.overhead += left * m.lastRound(left, again)
		left = m.target
	}
	// No redundancy helps a packet for which the way is gone longer than the budget.
	gone := m.loss * stickiness(m.loss, m.conditional, (1-m.loss)*m.budget/lag)
	r.residual = max(left, gone)

	wait, mean, at := 0.0, 0.0, 0.0
	for _, w := range t.waiting[1:] {
		wait += min(w, worst) / worst * m.slot
		mean += w * m.slot
		at += m.slot
	}
	for ; at < m.budget; at += m.round {
		waiting *= again
		wait += min(waiting, worst) / worst * min(m.round, m.budget-at)
		mean += waiting * min(m.round, m.budget-at)
	}
	return r.after(min(wait, m.budget), min(mean, m.budget))
}

// after sets how long packets wait, in seconds.
func (r repaired) after(wait, mean float64) repaired {
	r.wait, r.mean = time.Duration(wait*float64(time.Second)), time.Duration(mean*float64(time.Second))
	return r
}

// copies reckons with packets so rare that each is sent in copies, over time and
// wires, in rounds: as many as make it likely enough that one arrives, the
// more so when no further round is possible.
func (m model) copies(rate float64) repaired {
	const lag, least, longest = 0.005, 0.0005, 0.008
	gap := least
	if m.conditional-m.loss > 0.15*(1-m.loss) {
		gap = max(least, min(longest, m.rtt/6))
	}
	again := min(0.97, m.loss+(1-m.loss)*stickiness(m.loss, m.conditional, gap/lag))
	// What waits are the packets that wait themselves, and those behind them.
	behind := rate * m.round
	r, wait, mean, left := repaired{}, 0.0, 0.0, 1.0
	hold := func(share, span float64) {
		alone, all := min(share, worst), min(share*(1+behind), worst)
		wait += (alone + all) / 2 / worst * span
		mean += min(1, share*(1+behind/2)) * span
	}
	for turn := range mostRounds {
		at := float64(turn) * m.round
		if turn > 0 && at >= m.budget {
			break
		}
		miss := left * m.loss
		enough, most := left*copyMiss, float64(copiesAtOnce)
		if at+m.round+gap > m.budget {
			enough, most = m.target, mostCopies
		}
		n := 1.0
		if enough < miss && again < 1 {
			n += math.Ceil(math.Log(enough/miss) / math.Log(again))
		}
		if turn == 0 && m.loss >= 0.01 {
			n = max(n, 2)
		}
		n = min(n, most)
		r.overhead += left * n
		hold(miss, min(gap, m.budget-at))
		left = miss * math.Pow(again, n-1)
		if rest := m.budget - at - gap; rest > 0 {
			hold(left, min(m.round, rest))
		}
		if left <= m.target {
			break
		}
	}
	gone := m.loss * stickiness(m.loss, m.conditional, (1-m.loss)*m.budget/lag)
	r.residual = min(m.loss, max(left, gone))
	return r.after(min(wait, m.budget), min(mean, m.budget))
}

// lastRound is how many symbols the last round takes for each packet still
// missing: copies of each, or repairs shared by all that a round collects, with
// the Chernoff margin that the target asks for; whichever is less.
func (m model) lastRound(left, again float64) float64 {
	odds := math.Log(left / m.target)
	copies := math.Ceil(odds / -math.Log(min(again, 0.999)))
	pooled := max(1, left*m.round/m.slot)
	shared := (1 + math.Sqrt(2*odds*again/pooled)) / (1 - again)
	return max(1, min(copies, shared))
}

// capped says what becomes of a plan that would send more than the cap: what is cut
// from the last rounds stays lost, and nothing passes more than the way's capacity.
func (m model) capped(r repaired) repaired {
	if r.overhead <= m.cap {
		return r
	}
	spent := (m.cap - 1) / (r.overhead - 1)
	r.residual = max(r.residual, m.loss*(1-spent), 1-m.cap*(1-m.loss))
	r.overhead = m.cap
	return r.after(m.budget, m.budget)
}
