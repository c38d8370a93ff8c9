package scenario

import (
	"maps"
	"net/netip"
	"slices"

	"causeway/internal/snapshot"
)

// OverlayPort is where PoPs listen for one another in the lab.
const OverlayPort = 4600

// Snapshots works out what each PoP is told. public holds the PoPs' keys.
func (s *Scenario) Snapshots(public map[string]string) map[string]snapshot.Snapshot {
	names := slices.Sorted(maps.Keys(s.PoPs))
	label := map[string]snapshot.Label{}
	for i, n := range names {
		label[n] = snapshot.Label(i + 1)
	}
	all := map[string]snapshot.Snapshot{}
	for _, n := range names {
		p := s.PoPs[n]
		shot := snapshot.Snapshot{
			Format:         snapshot.Format,
			Version:        1,
			PoP:            snapshot.PoP{Name: n, Region: p.Region, Label: label[n], PublicKey: public[n]},
			Routes:         p.Routes,
			Listeners:      p.Listeners,
			EndpointGroups: s.EndpointGroups,
		}
		for _, carrier := range slices.Sorted(maps.Keys(p.Overlay)) {
			shot.PoP.Overlay = append(shot.PoP.Overlay, snapshot.Overlay{
				Name: carrier, Bind: netip.AddrPortFrom(p.Overlay[carrier], OverlayPort)})
		}
		for _, other := range names {
			if other == n {
				continue
			}
			shot.Peers = append(shot.Peers, snapshot.Peer{
				Name: other, Label: label[other], PublicKey: public[other],
				Wires: s.Wires(n, other), Repair: p.Repair,
			})
		}
		all[n] = shot
	}
	s.passOn(all)
	return all
}

// firstPassthrough is the port of a relay's first passthrough.
const firstPassthrough = 4700

// passOn gives two PoPs the segment through a relay that a route of either takes
// (candidate through:RELAY), and the relay a port for it, over each carrier that all three have.
func (s *Scenario) passOn(all map[string]snapshot.Snapshot) {
	done := map[[3]string]bool{}
	for _, from := range slices.Sorted(maps.Keys(all)) {
		for _, r := range all[from].Routes {
			for _, via := range r.Candidates {
				if len(via) != 1 {
					continue
				}
				relay, through := snapshot.ThroughOf(via[0])
				if pair := [3]string{min(from, r.To), max(from, r.To), relay}; through && !done[pair] {
					done[pair] = true
					s.join(all, from, r.To, relay)
				}
			}
		}
	}
}

func (s *Scenario) join(all map[string]snapshot.Snapshot, a, b, relay string) {
	at := all[relay]
	port := uint16(firstPassthrough + len(at.Passthroughs))
	segment := snapshot.Through{Relay: relay}
	for _, w := range s.Wires(a, relay) {
		if !slices.ContainsFunc(s.Wires(b, relay), func(other snapshot.Wire) bool { return other == w }) {
			continue
		}
		end := func(pop string) snapshot.End {
			return snapshot.End{PoP: pop, Remote: netip.AddrPortFrom(s.PoPs[pop].Overlay[w.Local], OverlayPort)}
		}
		at.Passthroughs = append(at.Passthroughs, snapshot.Passthrough{Local: w.Local, Port: port, Ends: [2]snapshot.End{end(a), end(b)}})
		segment.Wires = append(segment.Wires, snapshot.Wire{Local: w.Local, Remote: netip.AddrPortFrom(w.Remote.Addr(), port)})
	}
	all[relay] = at
	for pop, to := range map[string]string{a: b, b: a} {
		peers := all[pop].Peers
		i := slices.IndexFunc(peers, func(p snapshot.Peer) bool { return p.Name == to })
		peers[i].Through = append(peers[i].Through, segment)
	}
}

// Wires joins two PoPs by one wire for each carrier that both have, unless the
// scenario says who is joined and they are not.
func (s *Scenario) Wires(from, to string) []snapshot.Wire {
	a, b := s.PoPs[from], s.PoPs[to]
	if !s.joined(from, to) {
		return nil
	}
	var list []snapshot.Wire
	for _, carrier := range slices.Sorted(maps.Keys(a.Overlay)) {
		if remote, ok := b.Overlay[carrier]; ok && remote.Is4() == a.Overlay[carrier].Is4() {
			list = append(list, snapshot.Wire{Local: carrier, Remote: netip.AddrPortFrom(remote, OverlayPort)})
		}
	}
	return list
}

// joined reports whether two PoPs have wires: they do when either names the
// other, and when neither names anybody.
func (s *Scenario) joined(a, b string) bool {
	pa, pb := s.PoPs[a].Peers, s.PoPs[b].Peers
	return len(pa) == 0 && len(pb) == 0 || slices.Contains(pa, b) || slices.Contains(pb, a)
}

// Changed is a PoP's snapshot as a reload of the script changes it.
func (r *Reload) Changed(shot snapshot.Snapshot) snapshot.Snapshot {
	if r.Listeners != nil {
		shot.Listeners = r.Listeners
	}
	if r.Routes != nil {
		shot.Routes = r.Routes
	}
	return shot
}
