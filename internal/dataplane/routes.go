package dataplane

import (
	"fmt"
	"time"

	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// route is how packets reach another PoP.
type route struct {
	to         *peer
	fixed      bool
	candidates []candidate
	chosen     int // -1: none
	since      mono.Time
	switches   uint64
	reason     string
	challenger int // who has been better, and since when
	challenged mono.Time

	// use is the ways frames are sent at present: the chosen one, and for one
	// round trip after a change the one before it too.
	use      [][]snapshot.Label
	useUntil mono.Time
	carried  session.Count
}

// candidate is one way: the labels of the PoPs to pass, the destination last.
type candidate struct {
	way  []snapshot.Label
	via  []string
	up   bool
	rtt  time.Duration
	loss float64
	cost time.Duration
}

const (
	// A way must be better by this much, for this long, to be taken.
	betterBy    = 5 * time.Millisecond
	betterShare = 0.1
	betterFor   = 3 * time.Second
	dwell       = 15 * time.Second
	// unmeasured is the cost of a way that is up but was not measured yet.
	unmeasured = time.Second
)

// chooseRoutes measures all candidates and moves routes that should move.
func (e *Engine) chooseRoutes(now mono.Time) {
	for _, r := range e.plan.routes {
		for i := range r.candidates {
			e.measure(now, &r.candidates[i])
		}
		r.choose(now)
		if r.useUntil != 0 && now >= r.useUntil {
			r.use, r.useUntil = r.use[:1], 0
		}
	}
}

// measure puts together what is known of a candidate's stretches.
func (e *Engine) measure(now mono.Time, c *candidate) {
	first := e.plan.peers[c.way[0]]
	c.up, c.rtt, c.loss = false, 0, 0
	if first == nil || first.segment == nil {
		return
	}
	q := first.segment.Quality(now)
	c.up, c.rtt, c.loss = q.Up, q.RTT, q.Loss
	from := first
	for _, label := range c.way[1:] {
		if from == nil {
			c.up = false
			return
		}
		k, known := from.links.to(now, label)
		if !known || !k.up {
			c.up = false
			return
		}
		c.rtt += k.rtt
		c.loss = 1 - (1-c.loss)*(1-k.loss)
		from = e.plan.peers[label]
	}
	// Half a round trip to get there, and the round trips that mending takes.
	c.cost = c.rtt/2 + time.Duration(float64(c.rtt)*c.loss/(1-min(c.loss, 0.9)))
	if c.rtt == 0 {
		c.cost = unmeasured
	}
}

// choose decides: at once when what is used has died, slowly when another is better.
func (r *route) choose(now mono.Time) {
	best := r.best()
	switch {
	case best < 0:
		if r.chosen >= 0 && !r.candidates[r.chosen].up {
			r.reason = "nothing is up; staying"
		}
		if r.chosen < 0 && len(r.candidates) > 0 {
			r.take(now, 0, "nothing is up yet")
		}
	case r.chosen < 0:
		r.take(now, best, "the first that is up")
	case best == r.chosen:
		r.challenged = 0
	case !r.candidates[r.chosen].up:
		r.take(now, best, "the one before is down")
	case r.fixed:
		r.take(now, best, "listed before the other")
	default:
		r.challenge(now, best)
	}
}

// best is the candidate that would be taken if none were in use.
func (r *route) best() int {
	best := -1
	for i := range r.candidates {
		c := &r.candidates[i]
		if !c.up {
			continue
		}
		if best < 0 || !r.fixed && c.cost < r.candidates[best].cost {
			best = i
		}
	}
	return best
}

func (r *route) challenge(now mono.Time, best int) {
	old, better := r.candidates[r.chosen].cost, r.candidates[best].cost
	if old-better < max(betterBy, time.Duration(betterShare*float64(old))) {
		r.challenged = 0
		return
	}
	if r.challenged == 0 || r.challenger != best {
		r.challenger, r.challenged = best, now
	}
	if now.Sub(r.challenged) >= betterFor && now.Sub(r.since) >= dwell || r.switches == 0 && r.candidates[r.chosen].rtt != 0 && now.Sub(r.challenged) >= betterFor/3 {
		r.take(now, best, fmt.Sprintf("better by %v", (old-better).Round(time.Millisecond)))
	}
}

func (r *route) take(now mono.Time, i int, why string) {
	old := r.chosen
	r.chosen, r.reason, r.challenged = i, why, 0
	if i == old {
		return
	}
	r.since = now
	r.use, r.useUntil = [][]snapshot.Label{r.candidates[i].way}, 0
	if old >= 0 {
		r.switches++
	}
	if old >= 0 && r.candidates[old].up {
		// Make before break: on both for a round trip. The exit drops the second copy.
		r.use = append(r.use, r.candidates[old].way)
		r.useUntil = now.Add(max(r.candidates[i].rtt, 50*time.Millisecond))
	}
}
