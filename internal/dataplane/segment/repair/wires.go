package repair

import "time"

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

// loss is the mean loss over the usable wires, and the standard deviation of that
// estimate.
func (e *Endpoint) loss() (p, sigma float64) {
	if len(e.usable) == 0 {
		return priorLoss, priorLoss
	}
	for _, id := range e.usable {
		a, b := e.wires[id].loss.mean()
		p += a
		sigma += b
	}
	n := float64(len(e.usable))
	return p / n, sigma / n
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
	rtt, budget := e.rtt.smooth, e.budget(m)
	t := timing{age: 20 * time.Millisecond, every: 20 * time.Millisecond, budget: budget}
	slack := budget - rtt - deadlineMargin
	switch rounds := e.rounds(m); {
	case rounds == 1:
		t.age = min(max(slack/2, 2*time.Millisecond), 20*time.Millisecond)
		t.every = t.age
	case rounds > 1:
		t.age = min(max(rtt/4, 5*time.Millisecond), 20*time.Millisecond)
		t.every = t.age
	}
	return t
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
	if e.cfg.Tune.NoFeedback {
		return 0
	}
	return int((e.budget(m) - deadlineMargin) / (e.rtt.smooth + time.Millisecond))
}
