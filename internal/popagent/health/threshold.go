package health

// Threshold makes a verdict of answers and silences. Nothing is known at first;
// the first answer makes an endpoint up. One that is up, or unknown, goes down
// after so many silences in a row, and comes up again after so many answers in a
// row. So one packet lost, or one answer from an endpoint that is starting,
// changes nothing.
type Threshold struct {
	toUp, toDown int
	known, up    bool
	run          int // answers or silences in a row that speak against the verdict
}

// NewThreshold returns a Threshold that knows nothing; both numbers are at least 1.
func NewThreshold(up, down int) Threshold { return Threshold{toUp: max(up, 1), toDown: max(down, 1)} }

// See takes in one probe's outcome and reports whether it changed the verdict.
func (t *Threshold) See(answered bool) (changed bool) {
	switch {
	case !t.known && answered:
		t.known, t.up, t.run = true, true, 0
		return true
	case t.known && answered == t.up:
		t.run = 0
		return false
	}
	needed := t.toDown
	if answered {
		needed = t.toUp
	}
	if t.run++; t.run < needed {
		return false
	}
	t.known, t.up, t.run = true, answered, 0
	return true
}

// Known reports whether there is a verdict yet.
func (t *Threshold) Known() bool { return t.known }

// Up is the verdict; it means nothing before Known.
func (t *Threshold) Up() bool { return t.up }
