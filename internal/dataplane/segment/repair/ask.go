package repair

import (
	"time"

	"causeway/internal/mono"
)

// Outstanding reports whether anything that the peer sent is known to be missing
// here and may still come: by repair, or over a slower wire. It is asked per
// packet, by who decides whether waiting for an earlier one makes sense.
func (e *Endpoint) Outstanding() bool {
	for _, r := range e.rx {
		if r != nil && r.missing > 0 {
			return true
		}
	}
	return len(e.usable) > 1
}

// denseFates are how many fates within denseSpan make a wire's own packets a
// better measure than pings.
const (
	denseFates = meterShort
	denseSpan  = 2 * time.Second
)

// WireLoss tells how a wire has lost this end's packets lately: the mean, the
// chance of a loss 5 ms after one, and losses in a row. ok is false while too few
// packets go over the wire to tell.
func (e *Endpoint) WireLoss(now mono.Time, id uint8) (loss, conditional, burst float64, ok bool) {
	if id >= MaxWires {
		return 0, 0, 0, false
	}
	m := &e.wires[id].loss
	if m.n < denseFates || now.Sub(m.ring[(m.n-denseFates)%meterRing].at) > denseSpan {
		return 0, 0, 0, false
	}
	loss, _ = m.mean()
	return loss, max(loss, m.after(reportedLag)), m.run(), true
}
