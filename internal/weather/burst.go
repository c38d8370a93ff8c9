package weather

import (
	"math"

	"causeway/internal/mono"
)

// burst runs one link's Gilbert process. Its state at t follows from the seeds,
// the origin and t.
//
// Links that share a process hear common shocks: Poisson streams "all turn bad"
// and "all turn good" at a share c of the process's rates, while each link turns
// by itself at the remaining 1-c. Every link's own law stays the same Gilbert
// process, and solving the balance of two links' joint chain gives their states
// the correlation c/(2-c); so c = 2r/(1+r) for a correlation r. Each link
// reproduces the shocks from the shared seed: nothing is really shared.
type burst struct {
	g    Gilbert
	own  stream
	n    uint64 // values of own used
	bad  bool
	next mono.Time // when the state turns by itself

	c      float64
	toBad  shocks
	toGood shocks
}

// shocks is a Poisson stream.
type shocks struct {
	seed stream
	n    uint64
	next mono.Time
}

const never = mono.Time(math.MaxInt64)

// newBurst starts the process at origin in its stationary law.
func newBurst(g Gilbert, seed, shared uint64, origin mono.Time) burst {
	b := burst{g: g, own: stream(Derive(seed, "burst"))}
	common := stream(Derive(shared, "start"))
	b.toBad.seed = stream(Derive(shared, "bad"))
	b.toGood.seed = stream(Derive(shared, "good"))
	b.c = 2 * g.Correlation / (1 + g.Correlation)

	if common.hit(0, g.Correlation) {
		b.bad = common.hit(1, g.badShare())
	} else {
		b.bad = b.own.hit(b.draw(), g.badShare())
	}
	b.turnNext(origin)
	b.toBad.after(origin, b.c/float64(g.Good))
	b.toGood.after(origin, b.c/float64(g.Bad))
	return b
}

// at returns whether the link is in a bad spell at t; t must not decrease.
func (b *burst) at(t mono.Time) bool {
	for {
		first := min(b.next, b.toBad.next, b.toGood.next)
		switch {
		case first > t:
			return b.bad
		case first == b.next:
			b.bad = !b.bad
			b.turnNext(first)
		case first == b.toBad.next:
			b.toBad.after(first, b.c/float64(b.g.Good))
			b.force(true, first)
		default:
			b.toGood.after(first, b.c/float64(b.g.Bad))
			b.force(false, first)
		}
	}
}

func (b *burst) force(bad bool, t mono.Time) {
	if b.bad != bad {
		b.bad = bad
		b.turnNext(t)
	}
}

// change goes over to g at t. The state is kept and what is left of the spell
// is stretched by the ratio of the means, which for exponential spells is the
// new law exactly.
func (b *burst) change(g Gilbert, t mono.Time) {
	b.at(t)
	old, oldC := b.g, b.c
	b.g, b.c = g, 2*g.Correlation/(1+g.Correlation)
	if b.c != oldC {
		b.turnNext(t)
		b.toBad.after(t, b.c/float64(g.Good))
		b.toGood.after(t, b.c/float64(g.Bad))
		return
	}
	good, bad := float64(g.Good)/float64(old.Good), float64(g.Bad)/float64(old.Bad)
	if b.bad {
		b.next = stretch(b.next, t, bad)
	} else {
		b.next = stretch(b.next, t, good)
	}
	b.toBad.next = stretch(b.toBad.next, t, good)
	b.toGood.next = stretch(b.toGood.next, t, bad)
}

// turnNext draws when the present state ends by itself.
func (b *burst) turnNext(t mono.Time) {
	mean := b.g.Good
	if b.bad {
		mean = b.g.Bad
	}
	b.next = later(t, b.own.exponential(b.draw()), (1-b.c)/float64(mean))
}

func (b *burst) draw() uint64 {
	b.n++
	return b.n - 1
}

func (s *shocks) after(t mono.Time, rate float64) {
	s.next = later(t, s.seed.exponential(s.n), rate)
	s.n++
}

// later returns t plus e mean intervals of the rate (per nanosecond).
func later(t mono.Time, e, rate float64) mono.Time {
	if rate <= 0 {
		return never
	}
	return addFloat(t, e/rate)
}

func stretch(next, t mono.Time, by float64) mono.Time {
	if next == never {
		return never
	}
	return addFloat(t, float64(next.Sub(t))*by)
}

// addFloat adds at least one nanosecond, and never runs over.
func addFloat(t mono.Time, ns float64) mono.Time {
	if ns >= float64(never-t)/2 {
		return never
	}
	return t + mono.Time(max(1, ns))
}
