package repair

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// rank lists the wires to send on: those that are up and not suspected, else those
// that are up, else all that are known.
func (e *Endpoint) rank() {
	e.measures.known = false
	for pass := range 3 {
		e.usable = e.usable[:0]
		for id := range e.wires {
			if w := &e.wires[id]; w.known && (pass == 2 || w.up && (pass == 1 || !w.suspect)) {
				e.usable = append(e.usable, uint8(id))
			}
		}
		if len(e.usable) > 0 {
			return
		}
	}
}

// A wire is suspected of being dead when this many datagrams in a row, sent over
// that long at least, ought to have arrived and have not. Nothing is lost by doing
// without it until one of the probes sent over it arrives.
const (
	suspectRun   = 8
	suspectAfter = 100 * time.Millisecond
	suspectLater = 180 * time.Millisecond // where bad spells last
	probeEvery   = 20 * time.Millisecond

	// A wire is in doubt before that, and gets no repairs while there are others.
	doubtRun   = 5
	doubtAfter = 12 * time.Millisecond
)

// suspect looks for wires that have fallen silent.
func (e *Endpoint) suspect(now mono.Time) {
	made := now.Add(-e.rtt.smooth - 4*e.rtt.variance - 2*time.Millisecond - e.reorderGuard())
	changed := false
	e.suspects = 0
	for id := range e.wires {
		w := &e.wires[id]
		if !w.known {
			continue
		}
		run, span := w.flight.overdue(made, suspectRun)
		w.doubt = w.suspect || run >= doubtRun && span >= max(3*w.loss.burstiness().lasting, doubtAfter)
		patience := min(max(6*w.loss.burstiness().lasting, suspectAfter), suspectLater)
		dead := run >= suspectRun && span >= patience || w.suspect && w.flight.high <= w.suspectAt
		if dead != w.suspect {
			w.suspect, w.suspectAt, changed = dead, w.flight.next, true
		}
		if w.suspect {
			e.suspects++
		}
	}
	if changed {
		e.rank()
	}
}

// probe sends something over suspected wires from time to time.
func (e *Endpoint) probe(now mono.Time, s *sender, out Out) {
	if e.suspects == 0 {
		return
	}
	for id := range e.wires {
		w := &e.wires[id]
		if w.suspect && w.known && now.Sub(w.probed) >= probeEvery {
			w.probed = now
			b := appendBeat(e.begin(kindBeat), []streamNext{{s.id, s.next}})
			e.stats.Sent.Beats++
			e.transmit(now, uint8(id), b, out)
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

// repairWire is the i-th wire in turn of those that repairs are sent over.
func (e *Endpoint) repairWire(i int) uint8 {
	for k := range e.usable {
		if id := e.usableAt(i + k); !e.wires[id].doubt {
			return id
		}
	}
	return e.usableAt(i)
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

// reportWire is the wire for the next report: in turn, so that a wire that died
// unnoticed takes every other one only, but none over which nothing has been heard
// lately while something has over another.
func (e *Endpoint) reportWire(now mono.Time) uint8 {
	heard := func(id uint8) bool {
		a := &e.wires[id].heard
		return a.any && now.Sub(a.latest) < heardWithin
	}
	for range e.usable {
		e.turn++
		if id := e.usableAt(e.turn); heard(id) {
			return id
		}
	}
	e.turn++
	return e.usableAt(e.turn)
}

// heardWithin is how long ago something must have come over a wire for it to count
// as working.
const heardWithin = 100 * time.Millisecond

// measures is what the wires' meters say, which changes with reports only.
type measures struct {
	known        bool
	of           [MaxWires]float64 // loss, by wire
	loss, margin float64
	calm         float64 // the loss but for outages
	bursts       burstiness
}

// measured returns what the meters say.
func (e *Endpoint) measured() *measures {
	m := &e.measures
	if !m.known {
		*m = measures{known: true}
		for id := range e.wires {
			m.of[id], _ = e.wires[id].loss.mean()
		}
		m.loss, m.margin = e.measureLoss()
		for _, id := range e.usable {
			m.calm += e.wires[id].loss.calm() / float64(len(e.usable))
		}
		m.bursts = e.measureBursts()
	}
	return m
}

// lossOf is the loss expected on a wire.
func (e *Endpoint) lossOf(wire uint8) float64 { return e.measured().of[wire] }

// loss is the mean loss over the usable wires, and what to add where too little is
// worse than too much.
func (e *Endpoint) loss() (p, margin float64) {
	m := e.measured()
	return m.loss, m.margin
}

func (e *Endpoint) measureLoss() (p, margin float64) {
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
		age = burstAge(spare - e.rtt.smooth)
	}
	if m != Economy { // which does not mind the delay
		age = min(age, patientAge)
	}
	t.every = age / 2
	if more := repeats(e.lossHere()); more > 0 {
		// Reports get lost: there must be time to say it again.
		t.every = max((spare-e.chance())/time.Duration(more+2), leastEvery)
		age = min(age, max(spare-e.chance()-time.Duration(more)*t.every, t.every))
	}
	t.age = max(age, time.Millisecond)
	if lots := e.lotAge(m); lots > 0 {
		t.age = min(t.age, lots)
		t.every = min(t.every, max(t.age/2, leastEvery))
	}
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

// burstAge is how much of the time that the budget has beyond a round trip may pass
// before a burst is told; the rest is for spreading repairs. The more there is, the
// larger may be the part that spares reports.
func burstAge(slack time.Duration) time.Duration {
	slack = max(slack, 0)
	return slack/8 + slack*min(slack, 150*time.Millisecond)/time.Second
}

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

// usableAt is the i-th wire in turn.
func (e *Endpoint) usableAt(i int) uint8 {
	if len(e.usable) == 0 {
		return 0
	}
	return e.usable[i%len(e.usable)]
}
