package snapshot

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/problem"
)

// Bounds of single fields. Those of idle timeouts are in snapshot.go.
const (
	MinMTU, MaxMTU           = 1280, 9000 // bytes of IP packet; 1280 is what IPv6 promises
	MinCap, MaxCap           = 1.0, 8.0
	MinBudget, MaxBudget     = 5 * time.Millisecond, 2 * time.Second
	MaxRelays                = 2  // on one candidate
	MaxCandidates            = 16 // of one route
	MaxWires                 = 16 // of one segment
	MaxThrough               = 16 // relays that one peer has segments through
	MaxPassthroughs          = 4096
	MaxWeight                = 255
	MaxReplayWindow          = 65536
	MaxSessions              = 4_000_000
	MinUnconfirmed           = 16
	MaxUnconfirmed           = 1_000_000
	MaxHandshakesPerSec      = 100_000
	MaxFailover              = 9
	MaxClientPrefixes        = 10_000 // that a listener allows, and that it denies
	maxName, maxText, keyLen = 63, 128, 32
)

// Consistent judges s as it would be with its defaults filled in, and returns
// everything that is wrong with it, in the order of the fields. An empty list
// means that a PoP can run s, as far as this can be known without the machine:
// whether an address exists here and a port is free shows when it is applied.
func (s Snapshot) Consistent() problem.List {
	n := len(s.Peers) // in a large overlay by far the longest list; all of them have routes
	j := judge{
		Snapshot: WithDefaults(s),
		peers:    make(map[string]int, n), overlays: map[string]int{}, groups: map[string]int{}, routed: make(map[string]int, n), routes: make(map[string]bool, n), allowances: map[string]bool{}, listeners: map[string]int{}, own: make(map[netip.Addr]place, n),
	}
	j.index()
	j.shape()
	j.pop()
	for i := range j.Peers {
		j.peer(i)
	}
	j.peersTogether()
	for i := range j.Routes {
		j.route(i)
	}
	for i := range j.Listeners {
		j.listener(i)
	}
	for i := range j.EndpointGroups {
		j.group(i)
	}
	j.passthroughs()
	j.sockets()
	j.allowanceList()
	j.limits()
	return j.found
}

// judge walks one snapshot and collects what is wrong.
type judge struct {
	Snapshot
	found problem.List

	peers, overlays, listeners, groups map[string]int       // index by name, of the first that has it
	routed                             map[string]int       // by the PoP they go to: the first route, of those judged so far
	routes, allowances                 map[string]bool      // PoPs that some route goes to; names of allowances
	own                                map[netip.Addr]place // addresses of PoPs, and the field that says so
}

func (j *judge) index() {
	first := func(m map[string]int, name string, i int) {
		if _, ok := m[name]; !ok {
			m[name] = i
		}
	}
	for i, o := range j.PoP.Overlay {
		first(j.overlays, o.Name, i)
	}
	for i, p := range j.Peers {
		first(j.peers, p.Name, i)
	}
	for i, l := range j.Listeners {
		first(j.listeners, l.Name, i)
	}
	for i, g := range j.EndpointGroups {
		first(j.groups, g.Name, i)
	}
	for _, r := range j.Routes {
		j.routes[r.To] = true
	}
	for _, a := range j.Allowances {
		j.allowances[a.Name] = true
	}
	j.indexOwn()
}

func (j *judge) add(p problem.Problem) { j.found = append(j.found, p) }

// refuse records that what is at path is not allowed.
func (j *judge) refuse(path string, found any, allowed, fix string, args ...any) {
	j.add(problem.New(path, found, allowed).WithFix(fix, args...))
}

// missing records that nothing is at path, where something must be.
func (j *judge) missing(path, allowed, fix string, args ...any) {
	j.add(problem.Problem{Path: path, Allowed: allowed}.WithFix(fix, args...))
}

func (j *judge) shape() {
	switch {
	case j.Format == 0:
		j.missing("format", fmt.Sprint(Format), "write: format: %d", Format)
	case j.Format != Format:
		j.refuse("format", j.Format, fmt.Sprint(Format), "this build reads format %d; use a causeway that knows format %d", Format, j.Format)
	}
}

func (j *judge) pop() {
	j.name("pop.name", j.PoP.Name)
	j.text("pop.region", j.PoP.Region)
	j.label("pop.label", j.PoP.Label)
	if j.PoP.PublicKey != "" {
		j.key("pop.public_key", j.PoP.PublicKey)
	}
	if len(j.PoP.Overlay) == 0 && len(j.Peers) > 0 {
		j.missing("pop.overlay", "at least one overlay address, as there are peers",
			"give the address and port that other PoPs send to, such as {name: isp, bind: 203.0.113.10:4600}")
	}
	seen := map[string]int{}
	for i, o := range j.PoP.Overlay {
		path := fmt.Sprintf("pop.overlay[%d]", i)
		j.name(path+".name", o.Name)
		j.once(path+".name", o.Name, seen, i, "pop.overlay[%d].name")
		if j.socketAddress(path+".bind", o.Bind, true) && o.Bind.Addr().IsUnspecified() && o.Public == o.Bind {
			j.missing(path+".public", "the address that other PoPs send to, as bind names no particular one",
				"give public, or bind one address")
		} else if o.Public != o.Bind && j.socketAddress(path+".public", o.Public, false) && family(o.Public.Addr()) != family(o.Bind.Addr()) {
			j.refuse(path+".public", o.Public, "an "+family(o.Bind.Addr())+" address like bind's", "give the 1:1 NAT's outside address for %v", o.Bind)
		}
		j.between(path+".mtu", o.MTU, MinMTU, MaxMTU, "bytes of IP packet")
	}
}

func (j *judge) peer(i int) {
	p, path := j.Peers[i], fmt.Sprintf("peers[%d]", i)
	j.name(path+".name", p.Name)
	j.label(path+".label", p.Label)
	j.key(path+".public_key", p.PublicKey)
	if p.Name != "" && p.Name == j.PoP.Name {
		j.refuse(path+".name", p.Name, "other PoPs only", "this PoP itself is %s; remove it from peers", p.Name)
	}
	if p.Label != 0 && p.Label == j.PoP.Label {
		j.refuse(path+".label", p.Label, "a label of its own", "this PoP itself has label %d; give every PoP another one", p.Label)
	}
	if p.PublicKey != "" && p.PublicKey == j.PoP.PublicKey {
		j.refuse(path+".public_key", p.PublicKey, "the peer's own key", "this is the key of this PoP; run 'causeway keygen' on %s and use what it prints", p.Name)
	}
	if len(p.Wires) > MaxWires {
		j.refuse(path+".wires", fmt.Sprintf("%d wires", len(p.Wires)), fmt.Sprintf("at most %d", MaxWires), "keep those over different carriers")
	}
	j.wires(path+".wires", p.Wires)
	if math.IsNaN(p.Repair.Cap) || p.Repair.Cap < MinCap || p.Repair.Cap > MaxCap {
		j.refuse(path+".repair.cap", p.Repair.Cap, fmt.Sprintf("%g to %g packets sent per packet carried", MinCap, MaxCap), "1 sends nothing extra; leave it out for %g", DefaultCap)
	}
	if b := p.Repair.Budget; b != 0 && (b < MinBudget || b > MaxBudget) {
		j.refuse(path+".repair.budget", b, fmt.Sprintf("%v to %v", MinBudget, MaxBudget), "leave it out to have it follow the segment's round trip time")
	}
	j.through(path+".through", p)
}

func (j *judge) wires(path string, wires []Wire) {
	seen := map[Wire]int{}
	for k, w := range wires {
		j.wire(fmt.Sprintf("%s[%d]", path, k), w)
		if first, twice := seen[w]; twice {
			j.refuse(fmt.Sprintf("%s[%d]", path, k), fmt.Sprintf("%s to %v", w.Local, w.Remote), "each wire once", "it is the same as wires[%d]; remove one", first)
		} else {
			seen[w] = k
		}
	}
}

func (j *judge) wire(path string, w Wire) {
	i, ok := j.overlays[w.Local]
	if !ok {
		j.reference(path+".local", w.Local, "a name in pop.overlay", slices.Sorted(maps.Keys(j.overlays)))
	}
	if !j.socketAddress(path+".remote", w.Remote, false) {
		return
	}
	if ok && family(j.PoP.Overlay[i].Bind.Addr()) != family(w.Remote.Addr()) && j.PoP.Overlay[i].Bind.IsValid() {
		bind := j.PoP.Overlay[i].Bind
		j.refuse(path+".remote", w.Remote, fmt.Sprintf("an %s address, as %s is bound to %v", family(bind.Addr()), w.Local, bind), "use an overlay address of the remote's family")
	}
	for k, o := range j.PoP.Overlay {
		if w.Remote == o.Bind || w.Remote == o.Public {
			j.refuse(path+".remote", w.Remote, "an overlay address of the peer", "this is pop.overlay[%d] of this PoP itself", k)
		}
	}
}

// peersTogether checks what only shows between peers.
func (j *judge) peersTogether() {
	names, labels := make(map[string]int, len(j.Peers)), make(map[Label]int, len(j.Peers))
	keys, remotes := make(map[string]int, len(j.Peers)), make(map[netip.AddrPort]place, len(j.Peers))
	for i, p := range j.Peers {
		path := fmt.Sprintf("peers[%d]", i)
		j.once(path+".name", p.Name, names, i, "peers[%d].name")
		if first, twice := labels[p.Label]; twice && p.Label != 0 {
			j.refuse(path+".label", p.Label, "a label of its own", "peers[%d] has it already; give every PoP another one", first)
		} else {
			labels[p.Label] = i
		}
		j.once(path+".public_key", p.PublicKey, keys, i, "peers[%d].public_key")
		only := func(path string, wires []Wire, mine place) {
			for k, w := range wires {
				if first, twice := remotes[w.Remote]; !w.Remote.IsValid() || twice && first == mine {
					continue
				} else if twice {
					j.refuse(fmt.Sprintf("%s.wires[%d].remote", path, k), w.Remote, "an overlay address of this peer only", "%v has it already", first)
				} else {
					remotes[w.Remote] = mine
				}
			}
		}
		only(path, p.Wires, place{"peers[%d]", i, 0})
		for k, t := range p.Through {
			only(fmt.Sprintf("%s.through[%d]", path, k), t.Wires, place{"peers[%d].through[%d]", i, k})
		}
	}
}

func (j *judge) route(i int) {
	r, path := j.Routes[i], fmt.Sprintf("routes[%d]", i)
	_, known := j.peers[r.To]
	switch {
	case r.To != "" && r.To == j.PoP.Name:
		j.refuse(path+".to", r.To, "another PoP", "this PoP itself is %s; remove the route", r.To)
	case !known:
		j.reference(path+".to", r.To, "the name of a peer", slices.Sorted(maps.Keys(j.peers)))
	}
	if first, twice := j.routed[r.To]; !twice {
		j.routed[r.To] = i
	} else if r.To != "" {
		j.refuse(path+".to", r.To, "one route to each PoP", "routes[%d] goes there already; put its candidates there", first)
	}
	if r.Policy != Fixed && r.Policy != Measured {
		j.choice(path+".policy", string(r.Policy), string(Fixed), string(Measured))
	}
	if len(r.Candidates) > MaxCandidates {
		j.refuse(path+".candidates", fmt.Sprintf("%d candidates", len(r.Candidates)), fmt.Sprintf("at most %d", MaxCandidates), "keep those that are likely to be good")
	}
	if len(r.Candidates) == 0 && known {
		j.missing(path+".candidates", "at least one way to go",
			"%s has no wires and no other peer has any; add wires to it or to a relay", r.To)
	}
	seen := map[string]int{}
	for k, via := range r.Candidates {
		candidate := fmt.Sprintf("%s.candidates[%d]", path, k)
		j.candidate(candidate, r.To, via)
		key := strings.Join(via, " → ")
		if first, twice := seen[key]; twice {
			j.refuse(candidate, describe(via), "each way once", "it is the same as candidates[%d]; remove one", first)
		} else {
			seen[key] = k
		}
	}
}

func (j *judge) candidate(path, to string, via []string) {
	for k, step := range via {
		if relay, through := ThroughOf(step); through {
			j.throughCandidate(fmt.Sprintf("%s[%d]", path, k), to, relay, len(via))
			return
		}
	}
	if len(via) > MaxRelays {
		j.refuse(path, describe(via), fmt.Sprintf("at most %d relays", MaxRelays), "leave relays out")
	}
	for k, relay := range via {
		step := fmt.Sprintf("%s[%d]", path, k)
		_, known := j.peers[relay]
		switch {
		case relay != "" && relay == j.PoP.Name:
			j.refuse(step, relay, "other PoPs", "this PoP itself is %s; a route begins with the first relay", relay)
		case relay != "" && relay == to:
			j.refuse(step, relay, "relays only", "%s is where the route ends; leave it out", relay)
		case !known:
			j.reference(step, relay, "the name of a peer", slices.Sorted(maps.Keys(j.peers)))
		case slices.Contains(via[:k], relay):
			j.refuse(step, relay, "each relay once", "remove the repetition")
		}
	}
	first, what := to, "direct"
	if len(via) > 0 {
		first, what = via[0], "over "+via[0]
	}
	if i, ok := j.peers[first]; ok && len(j.Peers[i].Wires) == 0 {
		j.refuse(path, what, "a first hop that has wires from here", "peers[%d], %s, has none; add wires to it or go over a peer that has some", i, first)
	}
}

func describe(via []string) string {
	if len(via) == 0 {
		return "direct"
	}
	return "over " + strings.Join(via, ", then ")
}

func (j *judge) limits() {
	j.between("limits.sessions", j.Limits.Sessions, 1, MaxSessions, "sessions")
	j.between("limits.unconfirmed", j.Limits.Unconfirmed, MinUnconfirmed, MaxUnconfirmed, "sessions")
	j.between("limits.sessions_per_prefix", j.Limits.SessionsPerPrefix, 1, MaxSessions, "sessions")
	j.between("limits.handshakes_per_second", j.Limits.HandshakesPerSec, 1, MaxHandshakesPerSec, "a second")
}

func (j *judge) key(path, text string) {
	const fix = "use the line that 'causeway keygen' printed for that PoP"
	if text == "" {
		j.missing(path, "32 bytes in base64, 44 characters", fix)
		return
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil || strings.ContainsAny(text, "\r\n"):
		j.refuse(path, clip(text), "32 bytes in base64, 44 characters", fix)
	case len(raw) != keyLen:
		j.refuse(path, fmt.Sprintf("%s (%d bytes)", clip(text), len(raw)), "32 bytes in base64, 44 characters", fix)
	case [keyLen]byte(raw) == [keyLen]byte{}:
		j.refuse(path, "the all-zero key", "a real public key", fix)
	}
}

func (j *judge) label(path string, l Label) {
	if l == 0 {
		j.missing(path, "a number from 1 to 65535, another for every PoP", "give every PoP a label and keep it")
	}
}
