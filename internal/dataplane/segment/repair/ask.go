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

// WireLoss is how a wire has lost this end's packets lately.
type WireLoss struct {
	Mean        float64 // share lost
	Deviation   float64 // standard deviation of Mean, losses in runs counted as fewer observations
	Conditional float64 // chance of a loss 5 ms after one
	Burst       float64 // losses in a row, mean
}

// WireLoss tells how a wire has lost this end's packets lately. ok is false while too
// few packets go over the wire to tell.
func (e *Endpoint) WireLoss(now mono.Time, id uint8) (l WireLoss, ok bool) {
	if id >= MaxWires {
		return l, false
	}
	m := &e.wires[id].loss
	if m.n < denseFates || now.Sub(m.ring[(m.n-denseFates)%meterRing].at) > denseSpan {
		return l, false
	}
	l.Mean, l.Deviation = m.mean()
	l.Conditional, l.Burst = max(l.Mean, m.after(reportedLag)), m.run()
	return l, true
}
