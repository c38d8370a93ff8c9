// Package route says how good a wire, a segment or a route is, and which route
// to use: estimators that learn from what became of packets, a model that
// predicts what repair will make of a lossy way, and a chooser that neither
// sleeps through a failure nor flaps.
//
// It is pure: values in, values out, time as an argument, no clock, socket,
// goroutine, lock or logger. Probing, detecting that a segment is dead, and
// sending over what was chosen are for its callers.
//
// A route is directed, and so is all that is said about it: forward and reverse
// are measured, scored and chosen apart.
package route

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Route is a chain of segments from the PoP that chooses to another.
type Route struct {
	To  string   // the PoP where packets leave the overlay
	Via []string // the relays to pass, in order; empty is direct
}

// Direct reports whether the route has no relay.
func (r Route) Direct() bool { return len(r.Via) == 0 }

// Equal reports whether both are the same chain.
func (r Route) Equal(o Route) bool { return r.To == o.To && slices.Equal(r.Via, o.Via) }

// String returns "direct" or the relays, as people write a route: "tokyo > osaka".
func (r Route) String() string {
	if r.Direct() {
		return "direct"
	}
	return strings.Join(r.Via, " > ")
}

// Link says that packets can go from one PoP to another, and how long that takes.
type Link struct {
	From, To string
	RTT      time.Duration // 0: not known
}

// Limits bound how many routes Candidates lists. Zero means the default.
type Limits struct {
	OneRelay int // 4: a few relays close most of the gap to having all
	TwoRelay int // 2
}

// Candidates lists the loop-free routes from self to another PoP, the likely
// best first in each kind: direct, then over one relay, then over two (if
// maxRelays allows). Likely best is the lowest sum of the links' RTTs; links of
// unknown RTT come last, and ties go by name, so equal inputs give equal lists.
func Candidates(self, to string, links []Link, maxRelays int, limits Limits) []Route {
	if self == to {
		return nil
	}
	known := make(map[[2]string]time.Duration, len(links))
	next := map[string][]string{}
	for _, l := range links {
		key := [2]string{l.From, l.To}
		if _, twice := known[key]; !twice && l.From != l.To {
			known[key] = l.RTT
			next[l.From] = append(next[l.From], l.To)
		}
	}
	var found [3][]measured
	add := func(via ...string) {
		m := measured{route: Route{To: to, Via: via}}
		at := self
		for _, hop := range append(slices.Clone(via), to) {
			rtt, ok := known[[2]string{at, hop}]
			if !ok {
				return
			}
			m.rtt += rtt
			m.unknown += b2i(rtt == 0)
			at = hop
		}
		found[len(via)] = append(found[len(via)], m)
	}
	add()
	for _, a := range next[self] {
		if a == to || a == self || maxRelays < 1 {
			continue
		}
		add(a)
		for _, b := range next[a] {
			if maxRelays >= 2 && b != self && b != to && b != a {
				add(a, b)
			}
		}
	}
	most := [3]int{1, cmp.Or(limits.OneRelay, 4), cmp.Or(limits.TwoRelay, 2)}
	var routes []Route
	for relays, all := range found {
		slices.SortFunc(all, measured.compare)
		for _, m := range all[:min(len(all), max(0, most[relays]))] {
			routes = append(routes, m.route)
		}
	}
	return routes
}

// measured is a route with what is known of its length.
type measured struct {
	route   Route
	rtt     time.Duration
	unknown int // links of unknown RTT
}

func (m measured) compare(o measured) int {
	return cmp.Or(cmp.Compare(m.unknown, o.unknown), cmp.Compare(m.rtt, o.rtt), slices.Compare(m.route.Via, o.route.Via))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
