package report

import "strings"

// Name is whom a segment is with, and through which relay, as counters and series are
// called: one name for each segment of a PoP.
func (s Segment) Name() string {
	if s.Through == "" {
		return s.Peer
	}
	return s.Peer + " through " + s.Through
}

// through begins the step of a way that goes through a relay (snapshot.ThroughPrefix).
const through = "through:"

// Relays are the PoPs that a route passes now, whether they open what they pass on or not.
func (r Route) Relays() []string {
	relays := make([]string, len(r.Chosen))
	for i, step := range r.Chosen {
		relays[i] = strings.TrimPrefix(step, through)
	}
	return relays
}
