package vpngw

import (
	"cmp"
	"net/netip"
	"slices"

	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/netroute"
)

// Routing tables and priorities of rules. Policy-based routes are asked first, by
// their own priority, then destination routes, then the system's tables.
const (
	mainTable    = 220   // destination routes into tunnels
	mainRule     = 220   // priority of the rule that reads it
	policyTables = 22100 // and up: one for each policy-based route
	policyRules  = 100   // plus a route's priority, which is 1 or more
	checkTables  = 23099 // and down: one for each health check
	lastMetric   = 1 << 20
	tunDevice    = "ipsec0"
	tunMTU       = 1400 // that charon's own device has; longer packets vanish in it
)

// way is where a connection's packets go now.
type way struct {
	devices []string // none: nowhere; two share the flows
	tunnels []string
	source  netip.Addr // of what the gateway itself sends
	mtu     int
	probe   string // the device that a health check goes through, whether packets do or not; "": none
}

// wayOf says where a connection's packets go.
func (e *engine) wayOf(c *connection) way {
	w := way{mtu: 1 << 16}
	for _, t := range c.tunnels {
		w.mtu = min(w.mtu, t.MTU)
		if !slices.Contains(c.active, t.Name) {
			continue
		}
		w.tunnels = append(w.tunnels, t.Name)
		if e.kernel {
			w.devices = append(w.devices, netroute.Interface(t.IfID))
		} else if len(w.devices) == 0 {
			w.devices = []string{tunDevice}
		}
	}
	if !e.kernel {
		w.mtu = min(w.mtu, tunMTU)
	}
	if c.Routing == vpn.PolicyRouting && e.net != nil {
		w.source = e.net.Address(c.LocalNetworks)
	}
	if c.HealthCheck != nil && len(w.devices) > 0 {
		w.probe = w.devices[0]
		if c.health == "down" && !c.HealthCheck.KeepRoute {
			w.devices, w.tunnels = nil, nil
		}
	}
	return w
}

// wanted is a route that somebody wants: of the snapshot, or a connection's own
// networks.
type wanted struct {
	vpn.Route
	own bool // of the connection's networks
}

// wants are all routes wanted, in the order in which they are to be tried.
func wants(g snapshot.Gateway) []wanted {
	var all []wanted
	for _, r := range g.Routes {
		all = append(all, wanted{Route: r})
	}
	for _, c := range g.Connections {
		if c.Routing != vpn.PolicyRouting {
			continue
		}
		for _, n := range c.RemoteNetworks {
			told := slices.ContainsFunc(g.Routes, func(r vpn.Route) bool {
				return !r.Source.IsValid() && r.Destination.Masked() == n.Masked() && r.Connection == c.Name
			})
			if !told {
				all = append(all, wanted{vpn.Route{Destination: n, Connection: c.Name}, true})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), cmp.Compare(b.Weight, a.Weight))
	})
	return all
}

// rankOf puts policy-based routes first, by priority.
func rankOf(w wanted) int {
	if w.Source.IsValid() {
		return w.Priority
	}
	return 1000
}

// routed is what shall be in the kernel, and what to say about it.
type routed struct {
	routes []netroute.Route
	rules  []netroute.Rule
	told   []report.VPNRoute
	index  map[netroute.Route]int // into told
}

// routing works out all routes and rules.
//
// Packets for a connection's networks never leave unencrypted: while no tunnel
// takes them they are refused, unless another route of the snapshot takes them.
func routing(g snapshot.Gateway, ways map[string]way, peers []netip.Addr) routed {
	r := routed{index: map[netroute.Route]int{}}
	taken := map[netip.Prefix]bool{} // destinations that lead somewhere
	all := wants(g)
	policies := 0
	for _, w := range all {
		to, way := w.Destination.Masked(), ways[w.Connection]
		told := report.VPNRoute{Source: w.Source, Destination: to, Connection: w.Connection, Table: mainTable}
		if len(way.tunnels) > 0 {
			told.Tunnel = way.tunnels[0]
		}
		if w.Source.IsValid() {
			told.Table = policyTables + policies
			policies++
			r.policy(w, way, told, covered(all, ways, w))
			continue
		}
		if len(way.devices) == 0 || taken[to] {
			r.told = append(r.told, told)
			continue
		}
		taken[to] = true
		r.add(way.route(mainTable, to, 0), told)
		if w.Publish {
			for _, table := range g.RouteTables {
				told.Table = table
				r.add(way.route(table, to, 0), told)
			}
		}
	}
	r.checks(g, ways)
	r.guard(g, all, taken, peers)
	return r
}

// checks leads health checks into their tunnels past all other routes: else one
// that failed, and took the routes away, could never find that the way is good again.
func (r *routed) checks(g snapshot.Gateway, ways map[string]way) {
	table := checkTables
	for _, c := range g.Connections {
		probe := ways[c.Name].probe
		if c.HealthCheck == nil || probe == "" {
			continue
		}
		from, to := host(c.HealthCheck.Source), host(c.HealthCheck.Destination)
		r.rules = append(r.rules, netroute.Rule{Priority: policyRules, From: from, To: to, Table: table, IPv6: to.Addr().Is6()})
		r.routes = append(r.routes, netroute.Route{Table: table, To: to, Device: probe})
		table--
	}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func (w way) route(table int, to netip.Prefix, metric int) netroute.Route {
	n := netroute.Route{Table: table, To: to, Device: w.devices[0], MTU: w.mtu, Metric: metric}
	if len(w.devices) > 1 {
		n.Second = w.devices[1]
	}
	if w.source.IsValid() && w.source.Is4() == to.Addr().Is4() {
		n.Source = w.source
	}
	if n.MTU > 80 {
		n.MSS = n.MTU - 40
		if to.Addr().Is6() {
			n.MSS -= 20
		}
	}
	return n
}

func (r *routed) add(n netroute.Route, told report.VPNRoute) {
	told.Installed = true
	r.index[n] = len(r.told)
	r.routes, r.told = append(r.routes, n), append(r.told, told)
}

// policy adds a policy-based route: a rule and a table of its own. When its
// connection leads nowhere, others are asked if one of them leads somewhere.
func (r *routed) policy(w wanted, way way, told report.VPNRoute, covered bool) {
	to := w.Destination.Masked()
	r.rules = append(r.rules, netroute.Rule{Priority: policyRules + w.Priority, From: w.Source.Masked(), To: to, Table: told.Table, IPv6: to.Addr().Is6()})
	switch {
	case len(way.devices) > 0:
		r.add(way.route(told.Table, to, 0), told)
		return
	case covered:
		r.routes = append(r.routes, netroute.Route{Table: told.Table, To: to, Kind: netroute.Throw})
	default:
		r.routes = append(r.routes, netroute.Route{Table: told.Table, To: to, Kind: netroute.Unreachable})
	}
	r.told = append(r.told, told)
}

// covered reports whether another route takes w's packets and leads somewhere.
func covered(all []wanted, ways map[string]way, w wanted) bool {
	return slices.ContainsFunc(all, func(o wanted) bool {
		return o.Connection != w.Connection && len(ways[o.Connection].devices) > 0 && contains(o.Destination, w.Destination) &&
			(!o.Source.IsValid() || contains(o.Source, w.Source))
	})
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// guard adds what keeps packets from going a wrong way: refusals under
// destinations that lead nowhere, and, under routes that would swallow them,
// exceptions for the peers and for the networks behind this gateway.
func (r *routed) guard(g snapshot.Gateway, all []wanted, taken map[netip.Prefix]bool, peers []netip.Addr) {
	r.rules = append(r.rules, netroute.Rule{Priority: mainRule, Table: mainTable})
	destinations := map[netip.Prefix]bool{}
	six := false
	for _, w := range all {
		to := w.Destination.Masked()
		six = six || to.Addr().Is6()
		if !w.Source.IsValid() {
			destinations[to] = true
		}
	}
	if six {
		r.rules = append(r.rules, netroute.Rule{Priority: mainRule, Table: mainTable, IPv6: true})
	}
	local := slices.Clone(g.Networks)
	for _, c := range g.Connections {
		local = append(local, c.LocalNetworks...)
	}
	except := map[netip.Prefix]bool{}
	for to := range destinations {
		if !taken[to] {
			r.routes = append(r.routes, netroute.Route{Table: mainTable, To: to, Kind: netroute.Unreachable, Metric: lastMetric})
		}
		for _, a := range peers {
			if to.Contains(a) {
				except[netip.PrefixFrom(a, a.BitLen())] = true
			}
		}
		for _, n := range local {
			if n = n.Masked(); n != to && contains(to, n) && !destinations[n] {
				except[n] = true
			}
		}
	}
	for to := range except {
		r.routes = append(r.routes, netroute.Route{Table: mainTable, To: to, Kind: netroute.Throw})
	}
}

// syncRoutes makes the kernel's routes what they should be.
func (e *engine) syncRoutes() {
	ways := map[string]way{}
	for _, c := range e.connections {
		ways[c.Name] = e.wayOf(c)
	}
	r := routing(e.snapshot, ways, e.peers())
	if e.net != nil {
		e.apply(&r)
	}
	e.routes = r.told
}

func (e *engine) apply(r *routed) {
	var trouble string
	if e.kernel {
		mtu := map[uint32]int{}
		for _, c := range e.connections {
			for _, t := range c.tunnels {
				mtu[t.IfID] = t.MTU
			}
		}
		if err := e.net.SyncInterfaces(mtu); err != nil {
			trouble = err.Error()
		}
	}
	failed, err := e.net.Sync(r.routes, r.rules)
	for n, err := range failed {
		if i, ok := r.index[n]; ok {
			r.told[i].Installed, r.told[i].Problem = false, err.Error()
		}
		trouble = err.Error()
	}
	if err != nil {
		trouble = err.Error()
	}
	if trouble != e.routeTrouble && trouble != "" {
		e.log.Error("routes are not as they should be; it will be tried again", "reason", trouble)
	}
	e.routeTrouble = trouble
}

// peers are the outer addresses of the other ends.
func (e *engine) peers() []netip.Addr {
	var all []netip.Addr
	for _, c := range e.connections {
		for _, t := range c.tunnels {
			if t.Remote.Address.IsValid() {
				all = append(all, t.Remote.Address)
			}
			if s := t.best(); s != nil && s.Remote.IsValid() {
				all = append(all, s.Remote.Addr())
			}
		}
	}
	return all
}
