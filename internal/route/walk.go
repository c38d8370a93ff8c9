package route

import "math"

// walk is the state of an ideal sliding-window erasure code over a lossy way,
// as probabilities: how many more repairs it takes until all packets so far are
// known (the deficit), and whether the way is losing at the moment (Gilbert's
// two states; with loss that is independent, the states forget one another at once).
//
// A lost source packet adds one to the deficit, a repair that arrives takes one
// away, and when it is back at zero everything that waited is delivered. That
// is exact for a code that loses nothing by linear dependence.
type walk struct {
	mass [2][]float64 // [losing][deficit]; the last deficit stands for all higher ones
}

// channel is the way's loss, in steps of half a packet slot.
type channel struct {
	loss  float64 // mean, 0 to below 1
	stick float64 // how much of the state is left after half a slot: 0 independent, below 1
}

// probability of losing after half a slot, in either state.
func (c channel) losing(now int) float64 {
	if now == 1 {
		return c.loss + (1-c.loss)*c.stick
	}
	return c.loss * (1 - c.stick)
}

func newWalk(depth int) *walk {
	return &walk{[2][]float64{make([]float64, depth), make([]float64, depth)}}
}

// start puts all mass on no deficit and the channel's usual state.
func (w *walk) start(c channel) {
	for s := range w.mass {
		clear(w.mass[s])
	}
	w.mass[0][0], w.mass[1][0] = 1-c.loss, c.loss
}

// drift lets half a slot pass: only the channel's state moves.
func (w *walk) drift(c channel) {
	toLosing := [2]float64{c.losing(0), c.losing(1)}
	for d := range w.mass[0] {
		good, bad := w.mass[0][d], w.mass[1][d]
		w.mass[0][d] = good*(1-toLosing[0]) + bad*(1-toLosing[1])
		w.mass[1][d] = good*toLosing[0] + bad*toLosing[1]
	}
}

// source sends a source packet: where the channel loses, the deficit grows.
func (w *walk) source() {
	m := w.mass[1]
	last := len(m) - 1
	m[last] += m[last-1]
	copy(m[1:last], m[:last-1])
	m[0] = 0
}

// repair sends a repair: where the channel delivers, the deficit shrinks.
func (w *walk) repair() {
	m := w.mass[0]
	last := len(m) - 1
	m[0] += m[1]
	copy(m[1:last], m[2:])
	m[last] = 0
}

// slot sends one source packet and the repairs that have become due in the middle
// of the slot: credit is what was saved up for them.
func (w *walk) slot(c channel, rate float64, credit *float64) {
	w.drift(c)
	w.source()
	w.drift(c)
	w.repairs(c, rate, credit)
}

// repairs sends as many repairs as have been saved up for.
func (w *walk) repairs(c channel, rate float64, credit *float64) {
	*credit += rate
	for first := true; *credit >= 1; *credit-- {
		if !first {
			w.drift(c)
		}
		w.repair()
		first = false
	}
}

// settle removes what is without deficit, and returns what is left.
func (w *walk) settle() (left float64) {
	w.mass[0][0], w.mass[1][0] = 0, 0
	for s := range w.mass {
		for _, m := range w.mass[s] {
			left += m
		}
	}
	return left
}

func (w *walk) copyFrom(o *walk) {
	for s := range w.mass {
		copy(w.mass[s], o.mass[s])
	}
}

// tails says how long packets wait for repair without any feedback.
type tails struct {
	// waiting[t]: share of all packets not deliverable in order t slots after they
	// were sent. missing[t]: share lost and not repaired by then.
	waiting, missing []float64
}

// repairTails computes tails for so many repairs per source packet, over slots
// slots, for a sender that has been at it for warm slots (what is older has been
// settled some other way).
func repairTails(c channel, rate float64, warm, slots, depth int) tails {
	t := tails{make([]float64, slots+1), make([]float64, slots+1)}
	now, later, lost := newWalk(depth), newWalk(depth), newWalk(depth)
	credit := 0.5
	now.start(c)
	for range warm {
		now.slot(c, rate, &credit)
	}
	// The packet in question is sent now; no repair goes with it yet.
	now.drift(c)
	now.source()
	later.copyFrom(now)
	t.waiting[0] = later.settle()
	lost.copyFrom(now)
	clear(lost.mass[0])
	t.missing[0] = lost.settle()
	now.drift(c)
	later.drift(c)
	lost.drift(c)
	rest := credit
	for i := 1; i <= slots; i++ {
		a, b := rest, rest
		t.waiting[i] = later.step(c, rate, &a)
		t.missing[i] = lost.step(c, rate, &b)
		rest = a
	}
	return t
}

// step is a slot that begins with its repairs and ends with a source packet.
func (w *walk) step(c channel, rate float64, credit *float64) float64 {
	w.repairs(c, rate, credit)
	left := w.settle()
	w.drift(c)
	w.source()
	w.drift(c)
	return left
}

// stickiness turns P[lost | lost a while earlier] into how much of the state is
// left after another while: Gilbert's states decay exponentially.
func stickiness(loss, conditional float64, whiles float64) float64 {
	left := (conditional - loss) / (1 - loss)
	if left <= 0 {
		return 0
	}
	return math.Pow(min(left, 0.999), whiles)
}
