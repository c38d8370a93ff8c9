package dataplane

import (
	"time"

	"causeway/internal/dataplane/segment"
	"causeway/internal/mono"
	"causeway/internal/route"
)

// fates are what became of the newest pings to one neighbour.
type fates struct {
	list [32]fate
	next int
}

type fate struct {
	sentAt mono.Time
	lost   bool
}

// together is how close two pings must have been sent to have met the same
// moment. Pings go out on a common grid, so it only allows for the loop's turn.
const together = 5 * time.Millisecond

// Fate implements segment.Host: it pairs the fate of a ping with those of pings to
// other neighbours sent at the same instant, so that choosing a second route can
// tell what both lose together.
func (e *Engine) Fate(s *segment.Segment, sentAt mono.Time, lost bool) {
	p := e.plan.bySegment[s]
	if p == nil {
		return
	}
	p.fates.list[p.fates.next%len(p.fates.list)] = fate{sentAt, lost}
	p.fates.next++
	for _, q := range e.plan.neighbours {
		if q == p {
			continue
		}
		if f, ok := q.fates.at(sentAt); ok {
			if p.hop().less(q.hop()) {
				e.joint(p.hop(), q.hop()).Pair(sentAt, lost, f.lost)
			} else {
				e.joint(q.hop(), p.hop()).Pair(sentAt, f.lost, lost)
			}
		}
	}
}

// at finds the fate of a ping sent at about t.
func (f *fates) at(t mono.Time) (fate, bool) {
	for _, x := range f.list {
		if d := x.sentAt.Sub(t); x.sentAt != 0 && d >= -together && d <= together {
			return x, true
		}
	}
	return fate{}, false
}

func (e *Engine) joint(a, b hop) *route.Joint {
	k := [2]hop{a, b}
	j := e.joints[k]
	if j == nil {
		j = new(route.Joint)
		e.joints[k] = j
	}
	return j
}

// jointOf tells a way's chooser what two of its candidates lose together, as far
// as their first segments tell: those are the ones that this PoP can ping at once.
func (w *way) jointOf(e *Engine) func(a, b route.Route) *route.Joint {
	return func(a, b route.Route) *route.Joint {
		x, y := w.firstHop(a), w.firstHop(b)
		switch {
		case x == hop{} || y == hop{} || x == y:
			return nil
		case y.less(x):
			x, y = y, x
		}
		return e.joint(x, y)
	}
}

func (w *way) firstHop(r route.Route) hop {
	for i := range w.measured {
		if w.measured[i].Route.Equal(r) {
			return w.candidates[i].first()
		}
	}
	return hop{}
}
