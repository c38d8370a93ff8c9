package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/route"
	"causeway/internal/snapshot"
)

// way is how packets reach another PoP: candidates, and the one in use.
type way struct {
	to         *peer
	candidates []candidate
	measured   []route.Candidate // the same, as the chooser wants them
	chooser    route.Chooser
	decision   route.Decision
	since      mono.Time
	switches   uint64
	judgeAt    mono.Time // when to choose anew although nothing has come or gone
	carriedAt  mono.Time // when a frame last went this way

	// What pace goes by: when it last looked, how many frames there were, and what it found.
	pacedAt mono.Time
	paced   uint64
	rate    float64

	// use is where frames are sent at present: the chosen candidate's labels, and
	// a second one's when the chooser wants everything twice.
	use     [2]candidate
	copies  int
	carried session.Count
}

// candidate is one chain of PoPs: their labels, the destination last. Its first segment
// may be one through a relay.
type candidate struct {
	labels  []snapshot.Label
	via     []string
	through snapshot.Label
	at      *peer // where it begins; nil: nowhere
}

// resolve notes where the candidates begin, in a new plan.
func (w *way) resolve(p *plan) {
	for i := range w.candidates {
		w.candidates[i].at = p.first(w.candidates[i].first())
	}
	for i := range w.use[:w.copies] {
		w.use[i].at = p.first(w.use[i].first())
	}
}

func (c *candidate) first() hop { return hop{c.labels[0], c.through} }

func newWay(to *peer, fixed bool, predictor *route.Predictor) *way {
	w := &way{to: to, decision: route.Decision{Main: -1, Also: -1}}
	w.chooser.Predictor = predictor
	if fixed {
		w.chooser.Mode = route.Fixed
	}
	return w
}

// add appends a candidate over the given relays, the first segment through another.
func (w *way) add(via []string, labels []snapshot.Label, through snapshot.Label) {
	w.candidates = append(w.candidates, candidate{labels: labels, via: via, through: through})
	c := route.Candidate{Route: route.Route{To: w.to.Name, Via: via}, Segments: make([]route.Quality, len(labels))}
	if through != 0 {
		relay, _ := snapshot.ThroughOf(via[0])
		c.Spares = route.Route{Via: []string{relay}}.String()
	}
	w.measured = append(w.measured, c)
}

// How often a way is chosen anew: predicting delays costs up to a millisecond a
// candidate. What comes or goes is seen at once, every routesEvery.
const (
	judgeUsed   = 250 * time.Millisecond
	judgeUnused = 2 * time.Second
	usedFor     = 10 * time.Second
)

// chooseWays measures all candidates and lets choosers decide where something
// has come or gone, or where it is time.
func (e *Engine) chooseWays(now mono.Time) {
	for _, w := range e.plan.ways {
		news := w.decision.Main < 0
		for i := range w.candidates {
			c := &w.measured[i]
			was := c.Alive
			e.measure(now, &w.candidates[i], c)
			news = news || c.Alive != was
		}
		until := w.decision.Until
		if news || now >= w.judgeAt || until != 0 && now >= until {
			e.judge(now, w)
		}
	}
	e.tellChanges(now)
}

// alive reports whether any candidate is: frames are sent the last way when none is.
func (w *way) alive() bool {
	return slices.ContainsFunc(w.measured, func(c route.Candidate) bool { return c.Alive })
}

func (e *Engine) judge(now mono.Time, w *way) {
	w.judgeAt = now.Add(judgeUnused)
	if w.carriedAt != 0 && now.Sub(w.carriedAt) < usedFor {
		w.judgeAt = now.Add(judgeUsed)
	}
	w.chooser.Policy.Rate = w.pace(now)
	d := w.chooser.Choose(now, w.measured)
	if d.Switched && d.Main >= 0 {
		if w.decision.Main >= 0 {
			w.switches++
			e.cfg.Log.Info("route changed", "to", w.to.Name, "via", w.measured[d.Main].Route.String(), "reason", d.Reason)
		}
		w.since = now
	}
	w.decision = d
	w.copies = 0
	for _, i := range [...]int{d.Main, d.Also} {
		if i >= 0 {
			w.use[w.copies] = w.candidates[i]
			w.copies++
		}
	}
}

// pace is how many packets a second the way carries, as a power of two from 16 on:
// in dense traffic one late packet makes many wait, in sparse traffic none. Coarse,
// so that what was predicted once can be used again.
func (w *way) pace(now mono.Time) float64 {
	if d := now.Sub(w.pacedAt); d >= time.Second {
		rate := float64(w.carried.Packets-w.paced) / d.Seconds()
		w.pacedAt, w.paced = now, w.carried.Packets
		w.rate = math.Exp2(math.Round(math.Log2(max(rate, 16))))
	}
	return max(w.rate, 16)
}

// measure puts together what is known of a candidate's segments: the first is
// ours, what lies beyond is what the PoPs on the way have said.
func (e *Engine) measure(now mono.Time, of *candidate, c *route.Candidate) {
	labels := of.labels
	at := of.at
	if at == nil || at.segment == nil {
		c.Alive = false
		return
	}
	c.Segments[0], c.Alive = at.segment.Quality(now)
	for i, label := range labels[1:] {
		k, known := link{}, false
		if at != nil {
			k, known = at.links.to(now, label)
		}
		c.Segments[i+1] = k.quality
		c.Alive = c.Alive && known && k.up
		at = e.plan.peers[label]
	}
}

// keep goes on with what a way of the plan before had learnt, when it has the
// same candidates.
func (w *way) keep(old *way) {
	same := func(a, b candidate) bool { return a.through == b.through && slices.Equal(a.labels, b.labels) }
	if old == nil || old.chooser.Mode != w.chooser.Mode || !slices.EqualFunc(w.candidates, old.candidates, same) {
		return
	}
	to, candidates := w.to, w.candidates // which know their peers of the plan to be
	*w = *old
	w.to, w.candidates = to, candidates
}

// sortedWays are the ways in the order of their destinations' names.
func (p *plan) sortedWays() []*way {
	list := make([]*way, 0, len(p.ways))
	for _, w := range p.ways {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *way) int { return cmp.Compare(a.to.Name, b.to.Name) })
	return list
}

// firstOf is the segment that a candidate begins with, if it can be sent on.
func firstOf(c *candidate) *segment.Segment {
	p := c.at
	if p == nil || p.segment == nil || !p.segment.Ready() {
		return nil
	}
	return p.segment
}

// Pin makes the way to a PoP go over the given relays while they are alive; nil
// lets the chooser choose again. A pin lasts until the candidates change or the
// process ends.
func (e *Engine) Pin(now mono.Time, to string, via []string, pin bool) error {
	if e.plan == nil {
		return errors.New("no snapshot was applied yet")
	}
	p := e.plan.byName[to]
	if p == nil || e.plan.ways[p.Label] == nil {
		return fmt.Errorf("no route to %q; routes go to %s", to, strings.Join(e.plan.destinations(), ", "))
	}
	w := e.plan.ways[p.Label]
	if !pin {
		w.chooser.Pinned = nil
		e.judge(now, w)
		return nil
	}
	var known []string
	for i := range w.measured {
		r := w.measured[i].Route
		if slices.Equal(r.Via, via) {
			w.chooser.Pinned = &route.Route{To: to, Via: slices.Clone(via)}
			e.judge(now, w)
			return nil
		}
		known = append(known, strconv.Quote(r.String()))
	}
	return fmt.Errorf("route to %s cannot be pinned to %q: it is no candidate; candidates are %s", to, route.Route{To: to, Via: via}.String(), strings.Join(known, ", "))
}

func (p *plan) destinations() (names []string) {
	for _, w := range p.sortedWays() {
		names = append(names, w.to.Name)
	}
	return names
}
