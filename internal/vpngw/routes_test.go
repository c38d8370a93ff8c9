package vpngw

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"causeway/internal/snapshot"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/netroute"
)

// text writes what routing worked out, one line each, in order.
func (r routed) text() string {
	var lines []string
	for _, n := range r.rules {
		if n.Priority != mainRule {
			lines = append(lines, fmt.Sprintf("rule %d from %v to %v table %d", n.Priority, n.From, n.To, n.Table))
		}
	}
	for _, n := range r.routes {
		line := fmt.Sprintf("table %d: %v %s%s", n.Table, n.To, n.Kind, n.Device)
		if n.Second != "" {
			line += "+" + n.Second
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func up1(device string) way {
	return way{devices: []string{device}, tunnels: []string{device + "-tunnel"}, mtu: 1400}
}

func TestRoutesFollowTunnels(t *testing.T) {
	two := gatewayWith("east", "west") // 10.2.0.0/24, 10.2.1.0/24
	same := gatewayWith("east", "west")
	same.Connections[1].RemoteNetworks = same.Connections[0].RemoteNetworks
	same.Routes = []vpn.Route{{Destination: prefix("10.2.0.0/24"), Connection: "east"}, {Destination: prefix("10.2.0.0/24"), Connection: "west", Weight: 100}}
	policy := gatewayWith("east", "west")
	policy.Routes = []vpn.Route{{Source: prefix("10.1.0.0/25"), Destination: prefix("10.2.1.0/24"), Connection: "east", Priority: 7}}
	published := gatewayWith("east")
	published.RouteTables = []int{254, 77}
	published.Routes = []vpn.Route{{Destination: prefix("10.2.0.0/24"), Connection: "east", Publish: true}}
	checked := gatewayWith("east", "west")
	checked.Connections[0].HealthCheck = &vpn.HealthCheck{Source: addr("10.1.0.1"), Destination: addr("10.2.0.10")}
	everything := snapshot.Gateway{Networks: []netip.Prefix{prefix("10.1.0.0/24")}, Connections: []vpn.Connection{{Name: "east", Routing: vpn.RouteRouting}},
		Routes: []vpn.Route{{Destination: prefix("0.0.0.0/0"), Connection: "east"}}}
	for _, c := range []struct {
		name  string
		g     snapshot.Gateway
		ways  map[string]way
		peers []netip.Addr
		want  string
	}{
		{"networks of a connection lead into its tunnel, of one that is down nowhere", two, map[string]way{"east": up1("ipsec0")}, nil,
			"table 220: 10.2.0.0/24 ipsec0\ntable 220: 10.2.1.0/24 unreachable"},
		{"a health check goes into its tunnel when the routes are gone because of it", checked, map[string]way{"east": {probe: "ipsec0"}, "west": up1("ipsec0")}, nil,
			"rule 100 from 10.1.0.1/32 to 10.2.0.10/32 table 23099\ntable 220: 10.2.0.0/24 unreachable\ntable 220: 10.2.1.0/24 ipsec0\ntable 23099: 10.2.0.10/32 ipsec0"},
		{"of two routes alike, the one with weight 100 while it is up", same, map[string]way{"east": up1("e"), "west": up1("w")}, nil,
			"table 220: 10.2.0.0/24 w"},
		{"and the other one when it is not", same, map[string]way{"east": up1("e")}, nil,
			"table 220: 10.2.0.0/24 e"},
		{"a policy-based route has a rule and a table of its own", policy, map[string]way{"east": up1("e"), "west": up1("w")}, nil,
			"rule 107 from 10.1.0.0/25 to 10.2.1.0/24 table 22100\ntable 220: 10.2.0.0/24 e\ntable 220: 10.2.1.0/24 w\ntable 22100: 10.2.1.0/24 e"},
		{"when it leads nowhere, a destination route that does is asked", policy, map[string]way{"west": up1("w")}, nil,
			"rule 107 from 10.1.0.0/25 to 10.2.1.0/24 table 22100\ntable 220: 10.2.0.0/24 unreachable\ntable 220: 10.2.1.0/24 w\ntable 22100: 10.2.1.0/24 throw"},
		{"and when none does, packets are refused and do not leave unencrypted", policy, nil, nil,
			"rule 107 from 10.1.0.0/25 to 10.2.1.0/24 table 22100\ntable 220: 10.2.0.0/24 unreachable\ntable 220: 10.2.1.0/24 unreachable\ntable 22100: 10.2.1.0/24 unreachable"},
		{"a published route also stands in the network's tables", published, map[string]way{"east": up1("e")}, nil,
			"table 220: 10.2.0.0/24 e\ntable 254: 10.2.0.0/24 e\ntable 77: 10.2.0.0/24 e"},
		{"and is gone from them while it leads nowhere", published, nil, nil,
			"table 220: 10.2.0.0/24 unreachable"},
		{"a route for everything leaves out the peers and the networks here", everything, map[string]way{"east": up1("e")}, []netip.Addr{addr("203.0.113.10")},
			"table 220: 0.0.0.0/0 e\ntable 220: 10.1.0.0/24 throw\ntable 220: 203.0.113.10/32 throw"},
		{"two tunnels in use share the flows", gatewayWith("east"), map[string]way{"east": {devices: []string{"x1", "x2"}, tunnels: []string{"1", "2"}, mtu: 1400}}, nil,
			"table 220: 10.2.0.0/24 x1+x2"},
	} {
		if got := routing(withDefaults(c.g), c.ways, c.peers).text(); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestRoutesAreToldWithTheirTunnel(t *testing.T) {
	r := routing(withDefaults(gatewayWith("east", "west")), map[string]way{"east": up1("e")}, nil)
	if len(r.told) != 2 || !r.told[0].Installed || r.told[0].Tunnel != "e-tunnel" || r.told[1].Installed || r.told[1].Tunnel != "" {
		t.Errorf("told %+v", r.told)
	}
	n := r.routes[0]
	if n.MTU != 1400 || n.MSS != 1360 || r.index[n] != 0 {
		t.Errorf("route %+v", n)
	}
	if _, ok := r.index[netroute.Route{}]; ok {
		t.Error("a route that is not there has an index")
	}
}
