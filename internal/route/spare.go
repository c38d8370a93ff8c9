package route

import (
	"fmt"
	"time"
)

// Where nothing is lost there is nothing that a relay could mend sooner than the ends
// can: then a route that goes through the relay unopened is as good, and spares it the work.
const (
	spareLoss  = 0.001            // on each segment: less is nothing
	spareLater = time.Millisecond // how much longer the round trip may be
)

// spared is the candidate that goes the way of the one in use and spares its relay, where
// both are clean and it takes no longer; -1 when there is none.
func (c *Chooser) spared(v view, was int) int {
	name := v.all[was].Route.String()
	for i, other := range v.all {
		if other.Spares == name && other.Alive && !v.fresh[i] && clean(v.all[was]) && clean(other) && rtt(other) <= rtt(v.all[was])+spareLater {
			return i
		}
	}
	return -1
}

func clean(c Candidate) bool {
	for _, q := range c.Segments {
		if !q.Known || q.Loss-q.Doubt > spareLoss {
			return false
		}
	}
	return true
}

// spare moves to what spares the relay of the route in use, in calm.
func (c *Chooser) spare(v view, was int) int {
	next := c.spared(v, was)
	if next < 0 {
		c.spareSince = 0
		return was
	}
	since(&c.spareSince, v.now)
	longer := v.now.Sub(c.spareSince)
	reason := fmt.Sprintf("as good as %v, and spares the relay", v.all[was].Route)
	switch {
	case !c.may(v):
	case c.blind && longer >= blindFor:
		return c.take(v, was, next, reason)
	case longer >= betterFor && v.now.Sub(c.since) >= dwell && c.released(v.now):
		c.calmly(v.now)
		return c.take(v, was, next, reason)
	}
	return was
}
