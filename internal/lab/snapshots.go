package lab

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"causeway/internal/keys"
	"causeway/internal/lab/scenario"
	"causeway/internal/snapshot"
)

// overlayPort is where PoPs listen for one another in the lab.
const overlayPort = 4600

// makeSnapshots works out what each PoP is told. public holds the PoPs' keys.
func makeSnapshots(s *scenario.Scenario, public map[string]string) map[string]snapshot.Snapshot {
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
				Name: carrier, Bind: netip.AddrPortFrom(p.Overlay[carrier], overlayPort)})
		}
		for _, other := range names {
			if other == n {
				continue
			}
			shot.Peers = append(shot.Peers, snapshot.Peer{
				Name: other, Label: label[other], PublicKey: public[other],
				Wires: wires(s, n, other), Repair: p.Repair,
			})
		}
		all[n] = shot
	}
	return all
}

// wires joins two PoPs by one wire for each carrier that both have, unless the
// scenario says who is joined and they are not.
func wires(s *scenario.Scenario, from, to string) []snapshot.Wire {
	a, b := s.PoPs[from], s.PoPs[to]
	if !joined(s, from, to) {
		return nil
	}
	var list []snapshot.Wire
	for _, carrier := range slices.Sorted(maps.Keys(a.Overlay)) {
		if remote, ok := b.Overlay[carrier]; ok && remote.Is4() == a.Overlay[carrier].Is4() {
			list = append(list, snapshot.Wire{Local: carrier, Remote: netip.AddrPortFrom(remote, overlayPort)})
		}
	}
	return list
}

// joined reports whether two PoPs have wires: they do when either names the
// other, and when neither names anybody.
func joined(s *scenario.Scenario, a, b string) bool {
	pa, pb := s.PoPs[a].Peers, s.PoPs[b].Peers
	return len(pa) == 0 && len(pb) == 0 || slices.Contains(pa, b) || slices.Contains(pb, a)
}

// makeKeys gives each PoP a private key in a file of its directory and returns
// the public ones.
func (l *Lab) makeKeys() (map[string]string, error) {
	public := map[string]string{}
	for name := range l.Scenario.PoPs {
		key, err := keys.Generate()
		if err != nil {
			return nil, fmt.Errorf("make a key for PoP %s: %w", name, err)
		}
		if err := os.MkdirAll(l.path(name), 0o700); err != nil {
			return nil, fmt.Errorf("make a place for PoP %s: %w", name, err)
		}
		if err := key.WriteFile(l.path(name, "key")); err != nil {
			return nil, err
		}
		public[name] = key.Public().String()
	}
	return public, nil
}

// writeSnapshot writes a PoP's snapshot as the YAML file a person would write.
func (l *Lab) writeSnapshot(shot snapshot.Snapshot) error {
	l.versions[shot.PoP.Name] = shot.Version
	text := fmt.Sprintf("# What PoP %s is told; written by the lab from scenario %s.\n%s", shot.PoP.Name, l.Scenario.Name, toYAML(shot))
	if err := writeWhole(l.path(shot.PoP.Name, "snapshot.yaml"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the snapshot of PoP %s: %w", shot.PoP.Name, err)
	}
	return nil
}

// reloaded is a PoP's snapshot as an event of the script changes it.
func (l *Lab) reloaded(r *scenario.Reload) (snapshot.Snapshot, error) {
	public, err := l.publicKeys()
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	shot := makeSnapshots(l.Scenario, public)[r.PoP]
	shot.Version = l.versions[r.PoP] + 1
	if r.Listeners != nil {
		shot.Listeners = r.Listeners
	}
	if r.Routes != nil {
		shot.Routes = r.Routes
	}
	return shot, nil
}

func (l *Lab) publicKeys() (map[string]string, error) {
	public := map[string]string{}
	for name := range l.Scenario.PoPs {
		key, err := keys.LoadFile(l.path(name, "key"))
		if err != nil {
			return nil, err
		}
		public[name] = key.Public().String()
	}
	return public, nil
}

// orderedBy sorts a list by a name of its elements; for stable files and tables.
func orderedBy[T any](list []T, name func(T) string) []T {
	return slices.SortedFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
