package route

import (
	"fmt"
	"slices"
	"time"

	"causeway/internal/mono"
)

// How routes are held on to and let go. Each is a balance between following what
// is better and staying calm.
const (
	betterBy    = 5 * time.Millisecond // a challenger must be better by this ...
	betterShare = 0.10                 // ... and by this share,
	betterFor   = 3 * time.Second      // for so long,
	dwell       = 15 * time.Second     // and the route in use must have been so for so long.
	blindFor    = time.Second          // Instead of both, where the choice was made without measurements.

	// A route has gone gray when its cost is this many times, and so much, above what
	// it was in the last calm moments. The first of these that it stays so is doubt.
	grayTimes  = 2.0
	grayRise   = 20 * time.Millisecond
	grayFor    = 500 * time.Millisecond
	calmMemory = 10 * time.Second // within how long a new cost becomes the usual one

	// Two switches are never closer than this, whatever happens; where a second is
	// needed sooner, packets go over both routes.
	spacing = 10 * time.Second

	// After a switch that was no emergency, the next such must wait for the hold-down:
	// it doubles with each within flapMemory of the last, up to holdMost.
	flapMemory = 2 * time.Minute
	holdMost   = 10 * time.Minute

	// A route that came back must stay for so long before it is trusted.
	trusted = 3 * time.Second

	// How long both routes carry everything when one takes over from the other.
	breakAtLeast = 50 * time.Millisecond
)

// Mode is how a Chooser decides.
type Mode uint8

const (
	Measured Mode = iota // by score
	Fixed                // the first listed that is alive
)

// nothingAlive is the reason for a route chosen while none was alive.
const nothingAlive = "no route is alive; this is the first listed"

// Chooser decides which of some candidates to use, again and again. There is one
// for each destination and direction, and its decisions depend on nothing but what
// it was told. Set the exported fields at any time; the rest is its memory.
type Chooser struct {
	Mode   Mode
	Policy Policy
	// Pinned, if set, is used whenever it is alive.
	Pinned *Route
	// Joint, if set, says what is known of the joint loss of two routes; nil for a
	// pair means nothing is.
	Joint func(a, b Route) *Joint
	// Predictor may be shared by the choosers of one worker; nil makes an own one.
	Predictor *Predictor

	current    *Route
	blind      bool // current was chosen without measurements
	since      mono.Time
	switched   mono.Time // when the current route last changed to another; zero before
	challenge  mono.Time // since when another is better by the margin
	spareSince mono.Time // since when another is as good and spares its relay
	gray       mono.Time // since when the current route is worse than it was
	usual      time.Duration
	usualAt    mono.Time
	hold       time.Duration // the hold-down after the last calm switch
	calm       mono.Time     // when that was

	leaving      Route // made before it is broken
	leavingUntil mono.Time
	partner      *Route // carries a second copy of everything, for as long as it takes
	partnerCause cause
	partnerSince mono.Time // since when it is not needed any more
	aliveSince   map[string]mono.Time
	pinSeen      *Route // what Pinned was at the last decision
	reason       string
	copyReason   string // of the partner
}

// cause is why there is a partner.
type cause uint8

const (
	noCause  cause = iota
	residual       // the target cannot be met by one route
	tooSoon        // a switch is needed sooner than it may be
)

// Decision is what to do with packets until the next one.
type Decision struct {
	// Main is the index of the candidate to use; -1 when there is none at all.
	Main int
	// Also is the index of the candidate that gets a second copy of everything, -1 when
	// none does: to make before breaking, or because one route is not enough.
	Also int
	// Until is when Also ends by itself; zero if it stays until the next decision.
	Until mono.Time
	// Switched says that Main is not what it was at the last decision, or that there was none.
	Switched bool
	// Reason says in a sentence why Main and Also are what they are.
	Reason string
}

// view is one call's look at the candidates.
type view struct {
	now    mono.Time
	all    []Candidate
	scores []Score
	fresh  []bool // came back only just now
}

// Choose decides. Call it a few times per second, and at once when a segment is
// reported dead. The candidates' order counts: the first is taken where nothing
// better is known.
func (c *Chooser) Choose(now mono.Time, candidates []Candidate) Decision {
	if len(candidates) == 0 {
		c.forget()
		return Decision{Main: -1, Also: -1, Reason: "there is no route to choose from"}
	}
	v := c.look(now, candidates)
	was := v.index(c.current)
	main := c.main(v, was)
	also, until := c.also(v, main)
	d := Decision{Main: main, Also: also, Until: until, Switched: main != was, Reason: c.reason}
	if also >= 0 && until.IsZero() {
		d.Reason += "; " + c.copyReason
	}
	return d
}

// main decides which route to use, was being the present one or -1.
func (c *Chooser) main(v view, was int) int {
	pinned := v.index(c.Pinned)
	isNew := c.Pinned != nil && (c.pinSeen == nil || !c.pinSeen.Equal(*c.Pinned))
	c.pinSeen = c.Pinned
	switch {
	case was < 0:
		first := c.first(v, pinned)
		reason := "the first listed that is alive; nothing is measured yet"
		switch {
		case !v.all[first].Alive:
			reason = nothingAlive
		case first == pinned:
			reason = "pinned"
		case c.Mode == Fixed:
			reason = "the first listed that is alive"
		case v.scores[first].Known:
			reason = "the best of those measured"
		}
		return c.take(v, was, first, reason)
	case !v.all[was].Alive && c.reason == nothingAlive:
		// It never was. What comes alive first need not be the best of them.
		if best := c.first(v, pinned); v.all[best].Alive {
			c.take(v, -1, best, "the first that came alive")
			c.blind = true
			return best
		}
		return was
	case !v.all[was].Alive:
		return c.replace(v, was, pinned)
	case c.reason == nothingAlive:
		c.reason = "it was the first listed when nothing was alive yet, and came alive"
	}
	if c.partnerCause == tooSoon && v.now.Sub(c.switched) >= spacing {
		c.unpair()
	}
	switch {
	case was == pinned:
		c.reason = "pinned"
		return was
	case pinned >= 0 && v.all[pinned].Alive:
		if isNew || c.may(v) && !v.fresh[pinned] {
			return c.take(v, was, pinned, "pinned")
		}
		return was
	case c.Mode == Fixed:
		return c.earlier(v, was)
	}
	return c.better(v, was)
}

// replace finds a way for packets whose route has died.
func (c *Chooser) replace(v view, was, pinned int) int {
	best := c.first(v, pinned)
	if best == was || !v.all[best].Alive {
		c.reason = fmt.Sprintf("%v is dead, and so are all others", v.all[was].Route)
		return was
	}
	if !c.may(v) {
		if c.partnerCause != tooSoon || v.index(c.partner) != best {
			c.pair(v, best, tooSoon, fmt.Sprintf("%v is dead and %v carries everything, since the last switch is less than %v ago", v.all[was].Route, v.all[best].Route, spacing))
		}
		return was
	}
	return c.take(v, was, best, fmt.Sprintf("%v is dead", v.all[was].Route))
}

// earlier goes back to a route listed earlier, in mode Fixed.
func (c *Chooser) earlier(v view, was int) int {
	for i := range was {
		if v.all[i].Alive && !v.fresh[i] && c.may(v) && v.now.Sub(c.since) >= dwell && c.released(v.now) {
			c.calmly(v.now)
			return c.take(v, was, i, "listed earlier, and alive again")
		}
	}
	return was
}

// better compares the route in use with the others.
func (c *Chooser) better(v view, was int) int {
	best := c.bestOf(v, func(i int) bool { return i != was && !v.fresh[i] })
	if best < 0 || !v.scores[best].Known {
		c.challenge, c.gray = 0, 0
		c.learn(v, was)
		return c.spare(v, was)
	}
	mine, other := v.scores[was], v.scores[best]
	margin := max(betterBy, time.Duration(betterShare*float64(mine.Cost)))
	if mine.Known && mine.Cost-other.Cost < margin {
		c.challenge, c.gray = 0, 0
		c.learn(v, was)
		return c.spare(v, was)
	}
	c.spareSince = 0
	since(&c.challenge, v.now)
	if gone := mine.Known && c.usual > 0 && mine.Cost > time.Duration(grayTimes*float64(c.usual)) && mine.Cost-c.usual > grayRise; gone {
		since(&c.gray, v.now)
	} else {
		c.gray = 0
		c.learn(v, was)
	}
	longer := v.now.Sub(c.challenge)
	how := func(what string) string {
		if !mine.Known {
			return fmt.Sprintf("%s %v: it has no measurements, this one costs %v", what, v.all[was].Route, ms(other.Cost))
		}
		return fmt.Sprintf("%s %v: %v against %v", what, v.all[was].Route, ms(other.Cost), ms(mine.Cost))
	}
	switch {
	case !c.may(v):
		if !c.gray.IsZero() && v.now.Sub(c.gray) >= grayFor && c.partnerCause == noCause {
			c.pair(v, best, tooSoon, fmt.Sprintf("%v has got much worse and %v carries everything as well, since the last switch is less than %v ago", v.all[was].Route, v.all[best].Route, spacing))
		}
	case !c.gray.IsZero() && v.now.Sub(c.gray) >= grayFor:
		return c.take(v, was, best, how("sudden trouble on"))
	case c.blind && longer >= blindFor:
		return c.take(v, was, best, how("better than"))
	case longer >= betterFor && v.now.Sub(c.since) >= dwell && c.released(v.now):
		c.calmly(v.now)
		return c.take(v, was, best, how("better than"))
	}
	return was
}

// first is what to use when nothing is in use: the pinned route, the best
// measured, the first alive, and if none is, the first.
func (c *Chooser) first(v view, pinned int) int {
	if pinned >= 0 && v.all[pinned].Alive {
		return pinned
	}
	// A route that has only just come back is used only where no other is alive.
	for _, steady := range []bool{true, false} {
		if best := c.bestOf(v, func(i int) bool { return !steady || !v.fresh[i] }); best >= 0 {
			return best
		}
	}
	return max(0, v.index(c.current))
}

// bestOf is the best live candidate among those that may be: the cheapest that is
// measured, else the first; in mode Fixed the first. -1 when there is none.
func (c *Chooser) bestOf(v view, may func(int) bool) int {
	best := -1
	for i := range v.all {
		if !v.all[i].Alive || !may(i) {
			continue
		}
		better := best >= 0 && c.Mode == Measured && v.scores[i].Known &&
			(!v.scores[best].Known || v.scores[i].Cost < v.scores[best].Cost)
		if best < 0 || better {
			best = i
		}
	}
	return best
}

// also decides whether a second route carries copies, and until when.
func (c *Chooser) also(v view, main int) (int, mono.Time) {
	if c.Mode == Measured && c.partnerCause != tooSoon {
		c.reinforce(v, main)
	}
	if partner := v.index(c.partner); partner >= 0 && partner != main && v.all[partner].Alive {
		return partner, 0
	}
	if leaving := v.index(&c.leaving); c.leavingUntil.After(v.now) && leaving >= 0 && leaving != main && v.all[leaving].Alive {
		return leaving, c.leavingUntil
	}
	return -1, 0
}

// reinforce adds a second route when one cannot meet the residual target and two
// come nearer, and takes it away when one can.
func (c *Chooser) reinforce(v view, main int) {
	alone := v.scores[main]
	partner := v.index(c.partner)
	if partner == main || (partner >= 0 && !v.all[partner].Alive) {
		c.unpair()
		partner = -1
	}
	if !alone.Known {
		return
	}
	want := -1
	if !alone.Meets {
		want = c.helper(v, main, alone)
	}
	switch {
	case want >= 0 && partner < 0:
		c.pair(v, want, residual, fmt.Sprintf("%v alone would lose %.2g of the packets, more than %.2g, so %v carries a copy", v.all[main].Route, alone.Residual, c.Policy.withDefaults().Residual, v.all[want].Route))
	case want < 0 && partner >= 0:
		if c.partnerSince.IsZero() {
			c.partnerSince = v.now
		}
		if v.now.Sub(c.partnerSince) >= betterFor {
			c.unpair()
		}
	default:
		c.partnerSince = 0
	}
}

// helpsTimes is by how much a second route must lessen the loss to be worth its packets.
const helpsTimes = 4

// helper is the route that together with main is best; -1 when none helps.
func (c *Chooser) helper(v view, main int, alone Score) int {
	best, cost := -1, time.Duration(0)
	for i := range v.all {
		if i == main || !v.all[i].Alive || v.fresh[i] {
			continue
		}
		var together *Joint
		if c.Joint != nil {
			together = c.Joint(v.all[main].Route, v.all[i].Route)
		}
		s := c.Predictor.ScorePair(v.all[main], v.all[i], c.Policy, together)
		helps := s.Known && (s.Meets || s.Residual*helpsTimes <= alone.Residual)
		if helps && (best < 0 || s.Cost < cost) {
			best, cost = i, s.Cost
		}
	}
	return best
}

// take makes another route the one in use, and remembers the old one so that it
// carries everything too until what is on the new one has arrived.
func (c *Chooser) take(v view, was, now int, reason string) int {
	c.reason = reason
	c.blind = c.Mode == Measured && !v.scores[now].Known
	c.unpair()
	if was >= 0 {
		c.switched = v.now
		c.leaving = v.all[was].Route
		c.leavingUntil = v.now.Add(max(breakAtLeast, rtt(v.all[was]), rtt(v.all[now])))
	}
	route := v.all[now].Route
	c.current, c.since = &route, v.now
	c.challenge, c.gray, c.usual, c.spareSince = 0, 0, 0, 0
	c.learn(v, now)
	return now
}

func (c *Chooser) pair(v view, with int, why cause, reason string) {
	route := v.all[with].Route
	c.partner, c.partnerCause, c.partnerSince, c.copyReason = &route, why, 0, reason
}

func (c *Chooser) unpair() { c.partner, c.partnerCause, c.partnerSince = nil, noCause, 0 }

// may reports whether a switch is allowed at all by now.
func (c *Chooser) may(v view) bool { return c.switched.IsZero() || v.now.Sub(c.switched) >= spacing }

// released reports whether the hold-down after the last calm switch is over.
func (c *Chooser) released(now mono.Time) bool { return c.calm.IsZero() || now.Sub(c.calm) >= c.hold }

// calmly notes a switch that was no emergency, and sets the hold-down for the next.
func (c *Chooser) calmly(now mono.Time) {
	if c.hold == 0 || now.Sub(c.calm) > c.hold+flapMemory {
		c.hold = dwell
	} else {
		c.hold = min(2*c.hold, holdMost)
	}
	c.calm = now
}

// learn moves the usual cost of the route in use towards its present one: down at
// once, up slowly.
func (c *Chooser) learn(v view, current int) {
	s := v.scores[current]
	if !s.Known {
		return
	}
	past := v.now.Sub(c.usualAt)
	c.usualAt = v.now
	if c.usual == 0 || s.Cost < c.usual {
		c.usual = s.Cost
		return
	}
	share := min(1, float64(past)/float64(calmMemory))
	c.usual += time.Duration(share * float64(s.Cost-c.usual))
}

// look scores the candidates and notes which of them have only just come back.
func (c *Chooser) look(now mono.Time, all []Candidate) view {
	if c.Predictor == nil {
		c.Predictor = &Predictor{}
	}
	first := c.aliveSince == nil
	seen := make(map[string]mono.Time, len(all))
	v := view{now, all, make([]Score, len(all)), make([]bool, len(all))}
	current := v.index(c.current)
	for i, candidate := range all {
		if i == current {
			candidate.Segments = withoutDoubt(candidate.Segments)
		} else {
			candidate.Segments = withAllDoubt(candidate.Segments)
		}
		v.scores[i] = c.Predictor.Score(candidate, c.Policy)
		if !candidate.Alive {
			continue
		}
		name := candidate.Route.String()
		at, was := c.aliveSince[name]
		switch {
		case first:
			at = now.Add(-trusted) // there is nothing to come back from
		case !was:
			at = now
		}
		seen[name] = at
		v.fresh[i] = now.Sub(at) < trusted
	}
	c.aliveSince = seen
	return v
}

// withoutDoubt gives the route in use the benefit of the doubt: it is left for what
// is certainly better, not because a probe was lost by chance.
func withoutDoubt(segments []Quality) []Quality {
	sure := slices.Clone(segments)
	for i := range sure {
		sure[i].Loss = max(0, sure[i].Loss-sure[i].Doubt)
		sure[i].Doubt = 0
	}
	return sure
}

// withAllDoubt trusts a route that is not in use only as far as it was probed: a few
// probes that all arrived do not make it better than one whose loss is well known.
func withAllDoubt(segments []Quality) []Quality {
	unsure := slices.Clone(segments)
	for i := range unsure {
		unsure[i].Loss = max(unsure[i].Loss, min(unsure[i].Doubt, 1))
	}
	return unsure
}

func (v view) index(r *Route) int {
	if r != nil {
		for i := range v.all {
			if v.all[i].Route.Equal(*r) {
				return i
			}
		}
	}
	return -1
}

func (c *Chooser) forget() {
	c.unpair()
	c.current, c.aliveSince = nil, nil
	c.leavingUntil, c.challenge, c.gray, c.usual = 0, 0, 0, 0
}

func rtt(c Candidate) (sum time.Duration) {
	for _, q := range c.Segments {
		sum += q.RTT
	}
	return sum
}

func since(at *mono.Time, now mono.Time) {
	if at.IsZero() {
		*at = now
	}
}

func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
