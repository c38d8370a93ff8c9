package vpngw

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"causeway/internal/snapshot"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/swan"
)

// askAfter is the silence after which charon asks the peer of a tunnel that has
// a second one beside it: only who knows fast can change over fast.
const askAfter = time.Second

// planned is a connection as the agent works on it, and what charon is told of
// its tunnels.
type planned struct {
	vpn.Connection
	tunnels []swan.Tunnel
}

// plan turns a snapshot into what charon is told. kernel says that the kernel
// does ESP: then each tunnel has an XFRM interface of its own.
func plan(g snapshot.Gateway, kernel bool) []planned {
	ends := map[[2]string]int{}
	var names []string
	for _, c := range g.Connections {
		for _, t := range c.Tunnels {
			ends[[2]string{t.Local.ID, t.Remote.ID}]++
			names = append(names, t.Name)
		}
	}
	numbers := numbered(names)
	all := make([]planned, len(g.Connections))
	for i, c := range g.Connections {
		all[i].Connection = c
		for _, t := range c.Tunnels {
			s := swan.Tunnel{
				Tunnel: t, LocalNets: c.LocalNetworks, RemoteNets: c.RemoteNetworks,
				Shared: ends[[2]string{t.Local.ID, t.Remote.ID}] > 1, Reqid: numbers[t.Name], Trap: kernel && t.Start == vpn.StartTraffic,
			}
			if c.Routing == vpn.RouteRouting {
				everything := selectors(c)
				s.LocalNets, s.RemoteNets = everything, everything
			}
			if kernel {
				s.IfID = s.Reqid
			}
			if len(c.Tunnels) > 1 {
				s.DPD = askAfter
			}
			all[i].tunnels = append(all[i].tunnels, s)
		}
	}
	return all
}

// selectors are everything, of IPv4, and of IPv6 where the connection has any.
func selectors(c vpn.Connection) []netip.Prefix {
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	if slices.ContainsFunc(slices.Concat(c.LocalNetworks, c.RemoteNetworks), func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		all = append(all, netip.MustParsePrefix("::/0"))
	}
	return all
}

// numbered gives each name a number from 1 to 999,999 that is its alone and, as
// far as possible, the same whatever other names there are: charon's policies
// and interfaces carry it, and must not change because a neighbour comes or goes.
func numbered(names []string) map[string]uint32 {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(a, b) })
	taken, numbers := map[uint32]bool{}, map[string]uint32{}
	for _, name := range names {
		h := fnv.New32a()
		h.Write([]byte(name))
		n := h.Sum32()%999_999 + 1
		for taken[n] {
			n = n%999_999 + 1
		}
		taken[n], numbers[name] = true, n
	}
	return numbers
}
