package repair

// belief is what the sender of a stream knows about the receiver's deficit (how
// many symbols it needs to solve all it misses): a probability for each value.
// A report fixes it; each packet sent since then moves it by what the measured
// loss makes likely. It is exact where packets are lost independently and the
// code is ideal, and good enough elsewhere: the next report corrects it.
type belief struct {
	p   [maxDeficit + 1]float64
	top int // values above have no probability
}

// maxDeficit is the largest deficit told apart; more count as that many.
const maxDeficit = 192

// negligible probabilities are dropped from the upper end.
const negligible = 1e-9

// set makes the deficit known.
func (b *belief) set(d int) {
	d = min(max(d, 0), maxDeficit)
	clear(b.p[:b.top+1])
	b.p[d], b.top = 1, d
}

// source takes in that a source packet was sent which is lost with probability
// loss, and then run packets with it on average (run ≥ 1 where losses cluster).
func (b *belief) source(loss float64, run int) {
	if loss <= 0 {
		return
	}
	hit := loss / float64(run)
	over := 0.0 // what a hit moves beyond the last value
	for d := maxDeficit - run + 1; d <= b.top; d++ {
		over += b.p[d]
	}
	b.top = min(b.top+run, maxDeficit)
	for d := b.top; d >= 0; d-- {
		v := (1 - hit) * b.p[d]
		if d >= run {
			v += hit * b.p[d-run]
		}
		b.p[d] = v
	}
	b.p[maxDeficit] += hit * over
	b.trim()
}

// repair takes in that a repair was sent which is lost with probability loss.
func (b *belief) repair(loss float64) {
	got := 1 - loss
	b.p[0] += got * b.p[1]
	for d := 1; d < b.top; d++ {
		b.p[d] = loss*b.p[d] + got*b.p[d+1]
	}
	if b.top > 0 {
		b.p[b.top] *= loss
	}
	b.trim()
}

func (b *belief) trim() {
	for b.top > 0 && b.p[b.top] < negligible {
		b.p[b.top] = 0
		b.top--
	}
}

// none is the probability that nothing is wanting.
func (b *belief) none() float64 { return b.p[0] }

// mean is the expected deficit.
func (b *belief) mean() float64 {
	m := 0.0
	for d := 1; d <= b.top; d++ {
		m += float64(d) * b.p[d]
	}
	return m
}
