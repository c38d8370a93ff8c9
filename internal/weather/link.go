package weather

import (
	"time"

	"causeway/internal/mono"
)

// DropReason says which part of the weather took a packet.
type DropReason uint8

// The reasons, in the order in which a packet meets them. Kept is no drop.
const (
	Kept DropReason = iota
	DropOutage
	DropMTU
	DropPolicer
	DropQueue
	DropRandom
	DropBurst
	DropTrace
	DropReasons // how many there are
)

var reasonNames = [DropReasons]string{"kept", "outage", "mtu", "policer", "queue", "random", "burst", "trace"}

func (r DropReason) String() string {
	if r >= DropReasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Verdict is what happens to one packet: Drop tells why it is lost, or N copies
// (1 or 2) arrive at At[0], At[1].
type Verdict struct {
	Drop DropReason
	N    int
	At   [2]mono.Time
}

// Link is one direction of a link with its state. One goroutine may use it at a
// time. Times given to it must not decrease; an earlier one counts as the latest.
type Link struct {
	p            Profile
	seed, shared uint64
	origin       mono.Time
	now          mono.Time

	n        uint64 // packets offered since the origin
	draws    draws
	burst    burst
	bursting bool
	jitter   jitter

	free   mono.Time // when the rate's serialiser is idle again
	bucket bucket
	last   mono.Time // latest arrival of packets in order

	script script
}

// draws are the streams behind the per-packet choices. Each reads value n for
// packet n, so that switching one part on leaves the others' choices alone.
type draws struct{ random, burst, reorder, duplicate stream }

// New returns a link whose time runs from the zero instant until Start says
// otherwise. p must be valid. Two links with one seed meet the same weather.
func New(p Profile, seed uint64) *Link { return newLink(p, seed, seed) }

// NewNamed returns the link of that name in a network with one seed: links of
// different names are independent, but for bursts with the same Gilbert.Shared.
func NewNamed(p Profile, seed uint64, name string) *Link {
	return newLink(p, Derive(seed, "link "+name), seed)
}

func newLink(p Profile, seed, shared uint64) *Link {
	l := &Link{seed: seed, shared: shared, script: script{base: p}}
	l.draws = draws{
		random:    stream(Derive(seed, "random")),
		burst:     stream(Derive(seed, "in burst")),
		reorder:   stream(Derive(seed, "reorder")),
		duplicate: stream(Derive(seed, "duplicate")),
	}
	l.Start(0)
	return l
}

// Profile returns the profile in force. What it points to must not be changed.
func (l *Link) Profile() Profile { return l.p }

// MTU returns the MTU in force at now, 0 for no limit.
func (l *Link) MTU(now mono.Time) int {
	l.advance(now)
	return l.p.MTU
}

// Start makes t0 the origin: packet numbers, bursts, jitter and the schedule begin
// again, as in a new link with the profile it was made or last Set with. What is on its
// way stays on its way, and order is kept.
func (l *Link) Start(t0 mono.Time) {
	l.origin, l.now, l.n = t0, t0, 0
	l.jitter = jitter{noise: stream(Derive(l.seed, "jitter")), spike: stream(Derive(l.seed, "spike"))}
	l.bursting = false
	l.bucket = bucket{}
	l.apply(t0, l.script.at(0))
}

// Follow makes the link change by s, whose times count from the origin, starting
// from the present profile. It takes effect as of the latest time seen.
func (l *Link) Follow(s Schedule) {
	l.script = script{base: l.script.base, schedule: s}
	l.apply(l.now, l.script.at(l.now.Sub(l.origin)))
}

// Set goes over to p at now, ends any schedule, and keeps phase: the state of
// the burst process, queued packets, the jitter's sequence and the policer's fill stay.
func (l *Link) Set(now mono.Time, p Profile) {
	now = l.advance(now)
	l.script = script{base: p, next: noChange}
	l.apply(now, p)
}

// Offer gives the link a packet of size bytes (its IP length) at now.
func (l *Link) Offer(now mono.Time, size int) Verdict {
	now = l.advance(now)
	n := l.n
	l.n++
	p := &l.p
	bad := l.bursting && l.burst.at(now)
	switch {
	case p.Down:
		return Verdict{Drop: DropOutage}
	case p.MTU > 0 && size > p.MTU:
		return Verdict{Drop: DropMTU}
	case !l.bucket.take(now, size, p.Policer):
		return Verdict{Drop: DropPolicer}
	}
	sent, ok := l.serialise(now, size)
	if !ok {
		return Verdict{Drop: DropQueue}
	}
	if why := l.lost(n, bad); why != Kept {
		return Verdict{Drop: why}
	}
	return l.deliver(n, now, sent)
}

// advance returns now, never before an earlier call's, with the schedule's
// changes up to then applied.
func (l *Link) advance(now mono.Time) mono.Time {
	now = max(now, l.now)
	if since := now.Sub(l.origin); since >= l.script.next {
		l.catchUp(now)
	}
	l.now = now
	return now
}

// catchUp applies each change of the schedule at its own time, however late.
func (l *Link) catchUp(now mono.Time) {
	for l.script.next <= now.Sub(l.origin) {
		t := l.script.next
		l.apply(l.origin.Add(t), l.script.at(t))
	}
}

// apply puts p in force at t.
func (l *Link) apply(t mono.Time, p Profile) {
	l.p = p
	g := p.Loss.Burst
	switch {
	case g == nil:
		l.bursting = false
	case l.bursting && l.burst.g.Shared == g.Shared:
		l.burst.change(*g, t)
	default:
		shared := Derive(l.shared, "shared "+g.Shared)
		l.burst, l.bursting = newBurst(*g, l.seed, shared, t), true
	}
}

// serialise returns when the last bit of the packet has left the queue, or
// false when the queue has no room for it.
func (l *Link) serialise(now mono.Time, size int) (mono.Time, bool) {
	rate := l.p.Rate
	if rate == 0 {
		return now, true
	}
	wait := max(0, l.free.Sub(now))
	limit := l.p.Queue.Delay
	if limit == 0 && l.p.Queue.Bytes == 0 {
		limit = DefaultQueueDelay
	}
	if limit > 0 && wait > limit {
		return 0, false
	}
	if room := l.p.Queue.Bytes; room > 0 && bytesIn(wait, rate)+float64(size) > float64(room) {
		return 0, false
	}
	l.free = now.Add(wait + spanOf(size, rate))
	return l.free, true
}

// lost asks the loss processes about packet n.
func (l *Link) lost(n uint64, bad bool) DropReason {
	loss := &l.p.Loss
	if l.draws.random.hit(n, loss.Random) {
		return DropRandom
	}
	if l.bursting {
		p := loss.Burst.LossGood
		if bad {
			p = loss.Burst.LossBad
		}
		if l.draws.burst.hit(n, p) {
			return DropBurst
		}
	}
	if k := len(loss.Trace); k > 0 && loss.Trace[n%uint64(k)] {
		return DropTrace
	}
	return Kept
}

// deliver gives packet n, sent at that time, its arrivals.
func (l *Link) deliver(n uint64, now, sent mono.Time) Verdict {
	p := &l.p
	place := n
	if p.JitterEvery > 0 {
		place = uint64(now.Sub(l.origin) / p.JitterEvery)
	}
	at := sent.Add(p.Delay + l.jitter.extra(place, p))
	if l.draws.reorder.hit(n, p.Reorder.Probability) {
		at = at.Add(p.Reorder.Extra)
	} else {
		at = max(at, l.last)
		l.last = at
	}
	v := Verdict{N: 1, At: [2]mono.Time{at, at}}
	if l.draws.duplicate.hit(n, p.Duplicate) {
		v.N = 2
	}
	return v
}

// bucket is the policer's fill.
type bucket struct {
	tokens float64 // bytes
	at     mono.Time
	begun  bool
}

// take spends size bytes, or reports that they are not there.
func (b *bucket) take(now mono.Time, size int, p Policer) bool {
	if p.Rate == 0 {
		b.begun = false
		return true
	}
	if !b.begun {
		b.tokens, b.at, b.begun = float64(p.Burst), now, true
	}
	b.tokens = min(float64(p.Burst), b.tokens+bytesIn(now.Sub(b.at), p.Rate))
	b.at = now
	if b.tokens < float64(size) {
		return false
	}
	b.tokens -= float64(size)
	return true
}

func bytesIn(d time.Duration, r Rate) float64 { return float64(d) * float64(r) / 8e9 }

func spanOf(size int, r Rate) time.Duration {
	return time.Duration(float64(size) * 8e9 / float64(r))
}
