package repair

import (
	"math"
	"time"
)

// rank lists the wires to send on, best first: those that are up, or all that are
// known when none is.
func (e *Endpoint) rank() {
	e.usable = e.usable[:0]
	for pass := range 2 {
		for id := range e.wires {
			if w := &e.wires[id]; w.known && (w.up || pass == 1) {
				e.usable = append(e.usable, uint8(id))
			}
		}
		if len(e.usable) > 0 {
			return
		}
	}
}

// nextWire is the wire for the next source packet: all usable ones in turn where
// their delays are alike, so that a bad spell of one takes only a part.
func (e *Endpoint) nextWire() uint8 {
	if len(e.usable) == 0 {
		return 0
	}
	e.turn++
	return e.usable[e.turn%len(e.usable)]
}

// otherWire is the wire for something that repairs what went over wire.
func (e *Endpoint) otherWire(wire uint8) uint8 {
	if len(e.usable) == 0 {
		return 0
	}
	for i, id := range e.usable {
		if id == wire {
			return e.usable[(i+1)%len(e.usable)]
		}
	}
	return e.usable[0]
}

// quietWire is the wire with the least loss: for reports.
func (e *Endpoint) quietWire() uint8 {
	best, bestLoss := e.usable[0], 2.0
	for _, id := range e.usable {
		if p, _ := e.wires[id].loss.mean(); p < bestLoss {
			best, bestLoss = id, p
		}
	}
	return best
}

// lossOf is the loss expected on a wire.
func (e *Endpoint) lossOf(wire uint8) float64 {
	p, _ := e.wires[wire].loss.mean()
	return p
}

// loss is the mean loss over the usable wires, and what to add where too little is
// worse than too much.
func (e *Endpoint) loss() (p, margin float64) {
	if len(e.usable) == 0 {
		return priorLoss, priorLoss
	}
	for _, id := range e.usable {
		m := &e.wires[id].loss
		mean, _ := m.mean()
		p += mean
		if margin += m.margin(); !m.known() {
			margin = max(margin, 0.5-p)
		}
	}
	n := float64(len(e.usable))
	return p / n, margin / n
}

// lossHere is the loss in what arrives.
func (e *Endpoint) lossHere() float64 {
	worst := 0.0
	for id := range e.wires {
		if w := &e.wires[id].heard; w.any {
			worst = max(worst, w.loss())
		}
	}
	return worst
}

// timing is what this end asks of the peer's reports for a mode.
func (e *Endpoint) timing(m Mode) timing {
	t := timing{age: patientAge, every: patientAge, budget: e.budget(m)}
	n, gap := e.rounds(m), e.gap(m)
	if e.purse.gov.limit == 0 {
		t.age, t.every = heldAge, heldAge
		return t
	}
	if n == 0 {
		return t
	}
	// Later is better, since repairs under way make many reports needless and the
	// rest can share theirs. As many rounds as leave enough to share are better still.
	spare := t.budget - deadlineMargin
	for n > 1 && spare-time.Duration(n)*e.chance() < shareEnough*gap && spare-e.chance() >= shareEnough*gap {
		n--
	}
	age := spare - time.Duration(n)*e.chance()
	if n > 1 && age < leastAge {
		age += e.chance()
	}
	if n == 1 {
		age = age * 9 / 10
	}
	if e.burstiness().matters() {
		age = time.Duration(float64(spare-e.rtt.smooth) * burstAge)
	}
	age = min(age, patientAge)
	t.every = age / 2
	if more := repeats(e.lossHere()); more > 0 {
		// Reports get lost: there must be time to say it again.
		t.every = max((spare-e.chance())/time.Duration(more+2), leastEvery)
		age = min(age, max(spare-e.chance()-time.Duration(more)*t.every, t.every))
	}
	t.age = max(age, time.Millisecond)
	return t
}

// leastEvery is the least distance of reports that repeat one another.
const leastEvery = 3 * time.Millisecond

// repeats is how often a report must be repeated where a share loss of reports gets
// lost.
func repeats(loss float64) int {
	if loss < 0.002 {
		return 0
	}
	return min(int(math.Ceil(math.Log(reportMiss)/math.Log(min(loss, 0.9))))-1, 20)
}

// burstAge is which part of what the budget has beyond a round trip may pass before
// a burst is told: the rest is for spreading repairs.
const burstAge = 0.3

// shareEnough is how many symbols should share a round if the budget allows.
const shareEnough = 40

// gap is the distance between the symbols of a mode's streams while they are busy,
// which is how long it takes to notice that one is missing.
func (e *Endpoint) gap(m Mode) time.Duration {
	g := time.Duration(0)
	for i := range 2 {
		if s := e.tx[2*int(m)+i]; s != nil && s.next != 0 {
			g = max(g, time.Duration(1e9/s.rate.perSecond()))
		}
	}
	return min(g, 50*time.Millisecond)
}

// heldAge is patientAge while nothing may be repaired.
const heldAge = 250 * time.Millisecond

// patientAge is how long something may be missing before the sender hears of it by
// itself, where the budget leaves the choice.
const patientAge = 56 * time.Millisecond

// chance is how long it takes from a report until it has been acted upon and the
// next can tell the effect.
func (e *Endpoint) chance() time.Duration {
	return e.rtt.smooth + 4*e.rtt.variance + 3*time.Millisecond
}

// deadlineMargin is kept between the last moment computed and the last moment.
const deadlineMargin = 2 * time.Millisecond

// budget is the deadline of a mode.
func (e *Endpoint) budget(m Mode) time.Duration {
	if e.cfg.Budget != 0 {
		return e.cfg.Budget
	}
	return min(DefaultBudget(m, e.rtt.smooth), MaxBudget)
}

// rounds is how many times the peer can say what is missing and be helped in time.
func (e *Endpoint) rounds(m Mode) int {
	spare := e.budget(m) - deadlineMargin - leastAge
	if e.cfg.Tune.NoFeedback || spare < e.chance() {
		return 0
	}
	return int((spare + leastAge) / e.chance())
}

// leastAge is the least time that losses must have to gather before they are told
// for feedback to be worth its packets.
const leastAge = 8 * time.Millisecond
