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
	return all
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
