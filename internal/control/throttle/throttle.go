// Package throttle says how often each caller may ask: a token bucket for each
// access key or certificate, so that a script that runs wild slows nobody but
// itself, and one for each address that failed to sign in, so that guessing costs
// the guesser. It counts and says how long to wait; refusing in the words of a
// protocol is left to those who read requests.
//
// What it remembers is bounded and in this process alone: each controller of
// several counts for itself.
package throttle

import (
	"cmp"
	"net/netip"
	"sync"
	"time"
)

// The bounds of callers who are known, unless Limits say otherwise: far beyond
// what people, consoles and deployments need.
const (
	DefaultRate  = 100  // requests a second
	DefaultBurst = 1000 // requests at once
)

// The bounds of an address, IPv6 by its /64, whose requests do not say who sends
// them or prove it.
const (
	FailedBurst = 20              // at once
	FailedEvery = 5 * time.Second // one more
)

// maxKept bounds each of the tables. One that is full forgets an entry at random:
// at worst somebody may ask a little more often.
const maxKept = 16_384

// provenFor is how long a caller who signed in from an address is let through
// whatever others fail at from there.
const provenFor = time.Hour

// Limits are what callers may do; the zero value is the defaults.
type Limits struct {
	Rate  float64 // requests a second on average; negative: as many as they like
	Burst int     // requests at once
}

// Throttle is safe for concurrent use. A nil one lets everything through.
type Throttle struct {
	limits Limits
	now    func() time.Time

	mu      sync.Mutex // guards what is below
	callers table[string]
	failed  table[netip.Prefix]
	proven  map[pair]time.Time
	refused Counts
}

// pair is a credential's name and where it was used.
type pair struct {
	from netip.Prefix
	name string
}

// Counts are how many requests were refused.
type Counts struct {
	Rate    uint64 // of callers who asked too often
	SignIns uint64 // of addresses that had failed too often
}

// New returns a throttle; now is time.Now unless a test says otherwise.
func New(l Limits, now func() time.Time) *Throttle {
	l.Rate, l.Burst = cmp.Or(l.Rate, DefaultRate), cmp.Or(l.Burst, DefaultBurst)
	if now == nil {
		now = time.Now
	}
	return &Throttle{limits: l, now: now,
		callers: table[string]{rate: l.Rate, burst: float64(l.Burst), of: map[string]*bucket{}},
		failed:  table[netip.Prefix]{rate: float64(time.Second) / float64(FailedEvery), burst: FailedBurst, of: map[netip.Prefix]*bucket{}},
		proven:  map[pair]time.Time{}}
}

// Ask takes one request of a caller who has proven to be it. Zero: it may go on;
// otherwise it was refused, and may come again after so long.
func (t *Throttle) Ask(caller string) time.Duration {
	if t == nil || t.limits.Rate < 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := t.callers.wait(caller, t.now())
	if wait > 0 {
		t.refused.Rate++
		return wait
	}
	t.callers.take(caller, t.now())
	return 0
}

// Knock says whether a request may be looked at that says it is name's, "" when
// it does not say: zero, or how long its address must wait. Name is not proven yet.
func (t *Throttle) Knock(from netip.Addr, name string) time.Duration {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now, where := t.now(), neighbourhood(from)
	wait := t.failed.wait(where, now)
	if wait == 0 || now.Sub(t.proven[pair{where, name}]) < provenFor {
		return 0
	}
	t.refused.SignIns++
	return wait
}

// Failed notes that a request from there did not prove who sent it.
func (t *Throttle) Failed(from netip.Addr) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed.take(neighbourhood(from), t.now())
}

// Proven notes that name proved itself from there.
func (t *Throttle) Proven(from netip.Addr, name string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := pair{neighbourhood(from), name}
	if _, known := t.proven[p]; !known && len(t.proven) >= maxKept {
		for other := range t.proven {
			delete(t.proven, other)
			break
		}
	}
	t.proven[p] = t.now()
}

// Refused is what was refused since the start.
func (t *Throttle) Refused() Counts {
	if t == nil {
		return Counts{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// neighbourhood is what one machine may take its addresses from.
func neighbourhood(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
