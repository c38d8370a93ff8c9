package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Through is a segment with a peer whose datagrams a relay passes on unopened.
type Through struct {
	Relay string `json:"relay" yaml:"relay"` // the PoP that passes them on: name of another peer
	Wires []Wire `json:"wires" yaml:"wires"` // Remote is a passthrough of the relay
}

// Passthrough is a port of this PoP, a relay, that two other PoPs have to themselves:
// what one sends there leaves from it towards the other, as it is. It is sealed
// between those two. What comes from anywhere else is dropped.
type Passthrough struct {
	Local string `json:"local" yaml:"local"` // the name of one of our overlay addresses, which the port belongs to
	Port  uint16 `json:"port" yaml:"port"`   // 4700 to 4999 is usual
	Ends  [2]End `json:"ends" yaml:"ends"`
}

// End is one end of a passthrough.
type End struct {
	PoP    string         `json:"pop" yaml:"pop"`       // for people and counters
	Remote netip.AddrPort `json:"remote" yaml:"remote"` // its public overlay address
}

// ThroughPrefix begins the one step of a candidate that takes the segment through a
// relay: "through:tokyo".
const ThroughPrefix = "through:"

// ThroughOf is the relay of such a step.
func ThroughOf(step string) (relay string, ok bool) { return strings.CutPrefix(step, ThroughPrefix) }

// PassthroughAt is where a passthrough is bound and what the world sees of it; ok is
// false where its overlay address does not exist.
func (s *Snapshot) PassthroughAt(p Passthrough) (bind, public netip.AddrPort, ok bool) {
	i := slices.IndexFunc(s.PoP.Overlay, func(o Overlay) bool { return o.Name == p.Local })
	if i < 0 {
		return bind, public, false
	}
	o := s.PoP.Overlay[i]
	return netip.AddrPortFrom(o.Bind.Addr(), p.Port), netip.AddrPortFrom(o.Public.Addr(), p.Port), true
}

// through judges a peer's segments through relays.
func (j *judge) through(path string, p Peer) {
	if len(p.Through) > MaxThrough {
		j.refuse(path, fmt.Sprintf("%d relays", len(p.Through)), fmt.Sprintf("at most %d", MaxThrough), "keep those that are likely to be good")
	}
	seen := map[string]int{}
	for k, t := range p.Through {
		at := fmt.Sprintf("%s[%d]", path, k)
		_, known := j.peers[t.Relay]
		switch {
		case t.Relay != "" && (t.Relay == p.Name || t.Relay == j.PoP.Name):
			j.refuse(at+".relay", t.Relay, "a third PoP", "a relay is neither of the two ends")
		case !known:
			j.reference(at+".relay", t.Relay, "the name of another peer", slices.Sorted(maps.Keys(j.peers)))
		default:
			j.once(at+".relay", t.Relay, seen, k, path+"[%d].relay")
		}
		switch n := len(t.Wires); {
		case n == 0:
			j.missing(at+".wires", "at least one wire to a passthrough of "+t.Relay, "give them, or remove the entry")
		case n > MaxWires:
			j.refuse(at+".wires", fmt.Sprintf("%d wires", n), fmt.Sprintf("at most %d", MaxWires), "keep those over different carriers")
		}
		j.wires(at+".wires", t.Wires)
	}
}

// throughCandidate judges a candidate that has a step through a relay, at path.
func (j *judge) throughCandidate(path, to, relay string, steps int) {
	if steps != 1 {
		j.refuse(path, ThroughPrefix+relay, "through one relay and nothing else", "make it a candidate of its own: [%s%s]", ThroughPrefix, relay)
		return
	}
	i, known := j.peers[to]
	if !known {
		return // refused already
	}
	var have []string
	for _, t := range j.Peers[i].Through {
		have = append(have, t.Relay)
	}
	if !slices.Contains(have, relay) {
		j.reference(path, ThroughPrefix+relay, fmt.Sprintf("a relay of peers[%d].through", i), have)
	}
}

// passthroughs judges what this PoP passes on for others.
func (j *judge) passthroughs() {
	if n := len(j.Passthroughs); n > MaxPassthroughs {
		j.refuse("passthroughs", fmt.Sprintf("%d of them", n), fmt.Sprintf("at most %d", MaxPassthroughs), "keep those that routes need")
	}
	own := map[netip.AddrPort]place{}
	for i, o := range j.PoP.Overlay {
		own[o.Bind], own[o.Public] = place{"pop.overlay[%d]", i, 0}, place{"pop.overlay[%d]", i, 0}
	}
	for i, p := range j.Passthroughs {
		if bind, public, ok := j.PassthroughAt(p); ok {
			own[bind], own[public] = place{"passthroughs[%d]", i, 0}, place{"passthroughs[%d]", i, 0}
		}
	}
	for i, p := range j.Passthroughs {
		path := fmt.Sprintf("passthroughs[%d]", i)
		o, ok := j.overlays[p.Local]
		if !ok {
			j.reference(path+".local", p.Local, "a name in pop.overlay", slices.Sorted(maps.Keys(j.overlays)))
		}
		if p.Port == 0 {
			j.missing(path+".port", "a port from 1 to 65535", "4700 is usual for the first")
		}
		for k, e := range p.Ends {
			at := fmt.Sprintf("%s.ends[%d]", path, k)
			j.name(at+".pop", e.PoP)
			if !j.socketAddress(at+".remote", e.Remote, false) {
				continue
			}
			if ok && family(j.PoP.Overlay[o].Bind.Addr()) != family(e.Remote.Addr()) {
				j.refuse(at+".remote", e.Remote, fmt.Sprintf("an %s address, as %s is bound to %v", family(j.PoP.Overlay[o].Bind.Addr()), p.Local, j.PoP.Overlay[o].Bind), "use an overlay address of the end's family")
			}
			if mine, is := own[e.Remote]; is {
				j.refuse(at+".remote", e.Remote, "an overlay address of another PoP", "this is %v of this PoP itself", mine)
			}
		}
		if p.Ends[0].PoP == p.Ends[1].PoP && p.Ends[0].PoP != "" {
			j.refuse(path+".ends[1].pop", p.Ends[1].PoP, "another PoP than ends[0]", "give the two PoPs that it is between")
		}
		if p.Ends[0].Remote == p.Ends[1].Remote && p.Ends[0].Remote.IsValid() {
			j.refuse(path+".ends[1].remote", p.Ends[1].Remote, "another address than that of ends[0]", "give the two PoPs that it is between")
		}
	}
}
