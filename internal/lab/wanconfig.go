package lab

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/lab/netns"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/weather"
)

// wanConfig is the scenario as the emulator is told it: every pair of nodes has
// a link each way, a perfect wire where the scenario names no weather.
func wanConfig(lab string, s *scenario.Scenario, control string) wan.Config {
	addrs := wanAddrs(s)
	nodes := slices.Sorted(maps.Keys(addrs))
	c := wan.Config{Seed: s.Seed, Control: control}
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, wan.Node{Name: n, Namespace: netns.Name(lab, n), Addrs: addrs[n]})
	}
	links := map[wanPair]scenario.Weather{}
	for _, from := range nodes {
		for _, to := range nodes {
			if from != to {
				links[wanPair{from, to}] = scenario.Weather{}
			}
		}
	}
	for _, l := range s.Links {
		for _, p := range pairsOf(s, addrs, l.Between, l.From, l.To) {
			links[p] = s.Weather[l.Weather]
		}
	}
	// An outage of one address needs a link of that address to take down.
	owner := ownersOf(addrs)
	for _, e := range s.Script {
		if o := e.Outage; o != nil {
			for _, p := range pairsOf(s, addrs, o.Between, o.From, o.To) {
				if _, ok := links[p]; !ok {
					links[p] = links[wanPair{owner[p.from], owner[p.to]}]
				}
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(links), wanPair.compare) {
		c.Links = append(c.Links, wan.Link{From: p.from, To: p.to, Profile: links[p].Profile, Schedule: links[p].Schedule})
	}
	return c
}

// wanPair is one direction of a link by the emulator's names: node names or addresses.
type wanPair struct{ from, to string }

func (p wanPair) compare(o wanPair) int {
	if c := strings.Compare(p.from, o.from); c != 0 {
		return c
	}
	return strings.Compare(p.to, o.to)
}

// pairsOf is what a link of a scenario means to the emulator: the pair itself
// for two nodes, and all pairs of addresses once one end is but an address of its
// node, so that the emulator need not choose between rules of equal standing.
func pairsOf(s *scenario.Scenario, addrs map[string][]netip.Addr, between []string, from, to string) []wanPair {
	if len(between) == 2 {
		return append(pairsOf(s, addrs, nil, between[0], between[1]), pairsOf(s, addrs, nil, between[1], between[0])...)
	}
	_, fromIsNode := addrs[from]
	_, toIsNode := addrs[to]
	if fromIsNode && toIsNode {
		return []wanPair{{from, to}}
	}
	var pairs []wanPair
	for _, a := range placeAddrs(s, addrs, from) {
		for _, b := range placeAddrs(s, addrs, to) {
			if a.Is4() == b.Is4() {
				pairs = append(pairs, wanPair{a.String(), b.String()})
			}
		}
	}
	return pairs
}

// ownersOf says which node has each address.
func ownersOf(addrs map[string][]netip.Addr) map[string]string {
	owner := map[string]string{}
	for node, list := range addrs {
		for _, a := range list {
			owner[a.String()] = node
		}
	}
	return owner
}

// outagePairs are all links that an outage takes down: those of the places
// themselves, and for two nodes those of their addresses as well, since the
// emulator has links of addresses go before.
func outagePairs(c wan.Config, s *scenario.Scenario, addrs map[string][]netip.Addr, o *scenario.Outage) []wanPair {
	owner := ownersOf(addrs)
	named := pairsOf(s, addrs, o.Between, o.From, o.To)
	var pairs []wanPair
	for _, l := range c.Links {
		p := wanPair{l.From, l.To}
		if slices.Contains(named, p) || slices.Contains(named, wanPair{owner[l.From], owner[l.To]}) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// placeAddrs lists the addresses of a place: a node, NODE/CARRIER, or an address.
func placeAddrs(s *scenario.Scenario, addrs map[string][]netip.Addr, place string) []netip.Addr {
	if a, err := netip.ParseAddr(place); err == nil {
		return []netip.Addr{a}
	}
	if node, carrier, one := strings.Cut(place, "/"); one {
		return []netip.Addr{s.PoPs[node].Overlay[carrier]}
	}
	return addrs[place]
}

// down is the step that makes a link carry nothing.
func down() weather.Step { return weather.Step{Down: new(true)} }
