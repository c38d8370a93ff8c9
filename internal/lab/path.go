package lab

import (
	"net/netip"
	"slices"
	"time"

	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// pathTruth is what a tunnel's way through the emulated Internet does to a
// probe, without gateways, PoPs, or anything mended: the yardstick for what
// forwarding adds.
type pathTruth struct {
	loss float64       // round trip, share
	p50  time.Duration // round trip, median of those not lost
}

// truthOf plays a run's probes through the weather of the tunnel's links in
// virtual time. ok is false when the scenario does not tell which way it goes.
func truthOf(s *scenario.Scenario, tunnel string, p Plan) (truth pathTruth, ok bool) {
	t, found := s.Tunnel(tunnel)
	way := wayOf(s, t)
	if !found || way == nil {
		return truth, false
	}
	links := linksOf(s, way)
	links = append(links, linksOf(s, reversed(way))...)
	// One link sees probes in the order in which they reach it, not the order
	// in which a probe meets links; so each link carries all probes, then the next.
	arrivals := make([]mono.Time, p.Count)
	const start = mono.Time(time.Hour)
	for i := range arrivals {
		arrivals[i] = start + mono.Time(i)*mono.Time(p.Interval)
	}
	for _, l := range links {
		carry(l, start, s.Seed, arrivals)
	}
	var rtts []time.Duration
	for i, at := range arrivals {
		if at != 0 {
			rtts = append(rtts, at.Sub(start+mono.Time(i)*mono.Time(p.Interval)))
		}
	}
	truth.loss = 1 - float64(len(rtts))/float64(max(1, p.Count))
	if len(rtts) > 0 {
		slices.Sort(rtts)
		truth.p50 = rtts[(len(rtts)-1)/2]
	}
	return truth, true
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// carry takes all probes over one link: their arrival times become those at its
// far end, zero for the lost.
func carry(l wan.Link, start mono.Time, seed uint64, at []mono.Time) {
	w := weather.NewNamed(l.Profile, seed, l.From+">"+l.To)
	w.Start(start)
	w.Follow(l.Schedule)
	order := make([]int, 0, len(at))
	for i := range at {
		if at[i] != 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(at[a] - at[b]) })
	for _, i := range order {
		if v := w.Offer(at[i], probeOnWire); v.N > 0 {
			at[i] = v.At[0]
		} else {
			at[i] = 0
		}
	}
}

// probeOnWire is the size of a default probe in ESP in UDP, bytes.
const probeOnWire = 152

// wayOf lists the addresses that a tunnel's packets pass, from client to
// endpoint, when PoPs send them directly or over the first route that is fixed;
// nil when that cannot be told.
func wayOf(s *scenario.Scenario, t scenario.Tunnel) []netip.Addr {
	near, far := outside(s, t.From.Site), outside(s, t.To.Site)
	if t.From.Peer == far {
		return []netip.Addr{near, far}
	}
	for name, p := range s.PoPs {
		for _, l := range p.Listeners {
			for _, a := range l.Addresses {
				if a.Bind == t.From.Peer || a.Public == t.From.Peer {
					return overlayWay(s, near, a.Bind, name, l.EndpointGroup, far)
				}
			}
		}
	}
	return nil
}

// outside is the address under which the world sees a site.
func outside(s *scenario.Scenario, site string) netip.Addr {
	if r := s.Sites[site].Behind; r != "" {
		return s.Routers[r].WAN
	}
	return s.Sites[site].Gateway
}

// overlayWay is the way from a client over an ingress PoP, where it is told
// from the accelerated address on, over relays to the egress and the endpoint.
func overlayWay(s *scenario.Scenario, client, accelerated netip.Addr, ingress, group string, endpoint netip.Addr) []netip.Addr {
	i := slices.IndexFunc(s.EndpointGroups, func(g snapshotGroup) bool { return g.Name == group })
	if i < 0 {
		return nil
	}
	egress := s.EndpointGroups[i].PoP
	hops := []string{ingress}
	for _, r := range s.PoPs[ingress].Routes {
		if r.To == egress && len(r.Candidates) > 0 {
			for _, relay := range r.Candidates[0] {
				relay, _ = snapshot.ThroughOf(relay)
				hops = append(hops, relay)
			}
		}
	}
	if egress != ingress {
		hops = append(hops, egress)
	}
	way := []netip.Addr{client, accelerated}
	for k := 1; k < len(hops); k++ {
		w := s.Wires(hops[k-1], hops[k])
		if len(w) == 0 {
			return nil
		}
		way = append(way, s.PoPs[hops[k-1]].Overlay[w[0].Local], w[0].Remote.Addr())
	}
	return append(way, s.EndpointGroups[i].EgressIP.Bind, endpoint)
}

// linksOf turns a way into the emulator's links; steps inside one node are none.
func linksOf(s *scenario.Scenario, way []netip.Addr) []wan.Link {
	owner := map[netip.Addr]string{}
	for node, addrs := range wanAddrs(s) {
		for _, a := range addrs {
			owner[a] = node
		}
	}
	c := wanConfig("", s, "")
	find := func(from, to string) (wan.Link, bool) {
		i := slices.IndexFunc(c.Links, func(l wan.Link) bool { return l.From == from && l.To == to })
		if i < 0 {
			return wan.Link{}, false
		}
		return c.Links[i], true
	}
	var links []wan.Link
	for k := 1; k < len(way); k++ {
		from, to := way[k-1], way[k]
		if owner[from] == owner[to] {
			continue
		}
		l, ok := find(from.String(), to.String())
		if !ok {
			l, _ = find(owner[from], owner[to])
		}
		links = append(links, l)
	}
	return links
}
