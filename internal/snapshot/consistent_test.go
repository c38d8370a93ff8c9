package snapshot

import (
	"encoding/base64"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }

// key is a well-formed public key, another one for every n.
func key(n byte) string {
	raw := make([]byte, keyLen)
	raw[0] = n
	return base64.StdEncoding.EncodeToString(raw)
}

// example is a PoP in Shanghai that takes clients, has a second carrier, one
// direct peer where traffic leaves, a relay, a PoP only relays reach, and a
// group of its own that leaves here. Nothing is wrong with it.
func example() Snapshot {
	return Snapshot{
		Format: Format, Version: 7,
		PoP: PoP{Name: "shanghai", Region: "cn-shanghai", Label: 1, PublicKey: key(1), Overlay: []Overlay{
			{Name: "ct", Bind: addrPort("203.0.113.10:4600")},
			{Name: "cu", Bind: addrPort("10.0.0.10:4600"), Public: addrPort("203.0.113.11:4600")},
			{Name: "v6", Bind: addrPort("[2001:db8::10]:4600")},
		}},
		Peers: []Peer{
			{Name: "seoul", Label: 2, PublicKey: key(2), Wires: []Wire{
				{Local: "ct", Remote: addrPort("203.0.113.20:4600")}, {Local: "v6", Remote: addrPort("[2001:db8::20]:4600")}}},
			{Name: "tokyo", Label: 3, PublicKey: key(3), Wires: []Wire{{Local: "cu", Remote: addrPort("203.0.113.30:4600")}}},
			{Name: "osaka", Label: 4, PublicKey: key(4)},
		},
		Routes: []Route{
			{To: "seoul", Candidates: [][]string{{}, {"tokyo"}, {"tokyo", "osaka"}}},
			{To: "osaka"},
		},
		Listeners: []Listener{
			{Name: "vpn", Addresses: []Address{{Bind: addr("203.0.113.12")}, {Bind: addr("2001:db8::12")}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul"},
			{Name: "local", Addresses: []Address{{Bind: addr("10.0.0.13"), Public: addr("203.0.113.13")}}, Ports: []uint16{500, 4500}, EndpointGroup: "here",
				Allow: []netip.Prefix{prefix("198.51.100.0/24")}},
		},
		EndpointGroups: []EndpointGroup{
			{Name: "seoul", PoP: "seoul"},
			{Name: "here", PoP: "shanghai", EgressIP: Address{Bind: addr("203.0.113.14")},
				Endpoints: []Endpoint{{Address: addr("192.0.2.7")}, {Address: addr("192.0.2.8")}},
				Initiate:  []Initiate{{Endpoint: addr("192.0.2.7"), Client: addr("198.51.100.9"), Ingress: "shanghai", Accelerated: addr("10.0.0.13"), Listener: "local"}}},
		},
	}
}

func TestTheExampleIsConsistent(t *testing.T) {
	for name, s := range map[string]Snapshot{
		"as written":         example(),
		"with defaults":      WithDefaults(example()),
		"a PoP all alone":    {Format: 1, PoP: PoP{Name: "a", Label: 1}},
		"nothing but relays": {Format: 1, PoP: example().PoP, Peers: example().Peers},
	} {
		if found := s.Consistent(); len(found) > 0 {
			t.Errorf("%s:\n%v", name, found)
		}
	}
}

// Each case spoils the example in one way and gives the one line that the user reads.
func TestConsistentRefuses(t *testing.T) {
	pointer := func(n int) *int { return &n }
	for _, c := range []struct {
		name  string
		spoil func(s *Snapshot)
		want  string
	}{
		{"no format", func(s *Snapshot) { s.Format = 0 }, `format: missing; allowed: 1; write: format: 1`},
		{"a format of the future", func(s *Snapshot) { s.Format = 2 }, `format: found "2"; allowed: 1; this build reads format 1; use a causeway that knows format 2`},

		{"a PoP without a name", func(s *Snapshot) {
			s.PoP.Name = ""
			s.EndpointGroups = s.EndpointGroups[:1]
			s.Listeners = s.Listeners[:1]
		},
			`pop.name: missing; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends; give it a name`},
		{"a name in capitals, and proposes another", func(s *Snapshot) { s.Listeners[0].Name = "My VPN" },
			`listeners[0].name: found "My VPN"; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends; for example my-vpn`},
		{"a name that ends in a hyphen", func(s *Snapshot) { s.Listeners[0].Name = "a-" },
			`listeners[0].name: found "a-"; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends; for example a`},
		{"a name of other letters", func(s *Snapshot) { s.Listeners[0].Name = "首尔" },
			`listeners[0].name: found "首尔"; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends`},
		{"a name of 64 letters", func(s *Snapshot) { s.Listeners[0].Name = strings.Repeat("a", 64) },
			`listeners[0].name: found "` + strings.Repeat("a", 64) + `"; allowed: 1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends; for example ` + strings.Repeat("a", 63)},
		{"a region of two lines", func(s *Snapshot) { s.PoP.Region = "a\nb" },
			`pop.region: found "a\nb"; allowed: at most 128 printable characters; shorten it, and keep it on one line`},
		{"a PoP without a label", func(s *Snapshot) { s.PoP.Label = 0 },
			`pop.label: missing; allowed: a number from 1 to 65535, another for every PoP; give every PoP a label and keep it`},
		{"an own key that is none", func(s *Snapshot) { s.PoP.PublicKey = "abc" },
			`pop.public_key: found "abc"; allowed: 32 bytes in base64, 44 characters; use the line that 'causeway keygen' printed for that PoP`},

		{"peers but no overlay address", func(s *Snapshot) {
			s.PoP.Overlay, s.Peers, s.Routes, s.Listeners, s.EndpointGroups = nil, s.Peers[2:], nil, nil, nil
		},
			`pop.overlay: missing; allowed: at least one overlay address, as there are peers; give the address and port that other PoPs send to, such as {name: isp, bind: 203.0.113.10:4600}`},
		{"two overlay addresses of one name", func(s *Snapshot) { s.PoP.Overlay[2].Name = "ct"; s.Peers[0].Wires = s.Peers[0].Wires[:1] },
			`pop.overlay[2].name: found "ct"; allowed: each only once; it is taken by pop.overlay[0].name; choose another`},
		{"an overlay address without a bind", func(s *Snapshot) { s.PoP.Overlay[2].Bind = netip.AddrPort{} },
			`pop.overlay[2].bind: missing; allowed: an IP address and port, such as 203.0.113.10:4600`},
		{"an overlay address on port 0", func(s *Snapshot) { s.PoP.Overlay[0].Bind = addrPort("203.0.113.10:0") },
			`pop.overlay[0].bind: found "203.0.113.10:0"; allowed: a port from 1 to 65535; 4600 is usual`},
		{"an overlay bound to every address with no public one", func(s *Snapshot) { s.PoP.Overlay[0].Bind = addrPort("0.0.0.0:4601") },
			`pop.overlay[0].public: missing; allowed: the address that other PoPs send to, as bind names no particular one; give public, or bind one address`},
		{"a public overlay address of the other family", func(s *Snapshot) { s.PoP.Overlay[1].Public = addrPort("[2001:db8::1]:4600") },
			`pop.overlay[1].public: found "[2001:db8::1]:4600"; allowed: an IPv4 address like bind's; give the 1:1 NAT's outside address for 10.0.0.10:4600`},
		{"an MTU below what IPv6 promises", func(s *Snapshot) { s.PoP.Overlay[0].MTU = 1279 }, `pop.overlay[0].mtu: found "1279"; allowed: 1280 to 9000 bytes of IP packet`},
		{"an MTU above jumbo frames", func(s *Snapshot) { s.PoP.Overlay[0].MTU = 9001 }, `pop.overlay[0].mtu: found "9001"; allowed: 1280 to 9000 bytes of IP packet`},

		{"a peer named as the PoP itself", func(s *Snapshot) { s.Peers[2].Name = "shanghai"; s.Routes = nil },
			`peers[2].name: found "shanghai"; allowed: other PoPs only; this PoP itself is shanghai; remove it from peers`},
		{"a peer with the PoP's own label", func(s *Snapshot) { s.Peers[2].Label = 1 },
			`peers[2].label: found "1"; allowed: a label of its own; this PoP itself has label 1; give every PoP another one`},
		{"a peer with the PoP's own key", func(s *Snapshot) { s.Peers[2].PublicKey = key(1) },
			`peers[2].public_key: found "` + key(1) + `"; allowed: the peer's own key; this is the key of this PoP; run 'causeway keygen' on osaka and use what it prints`},
		{"two peers of one name", func(s *Snapshot) { s.Peers[2].Name = "tokyo"; s.Routes = nil },
			`peers[2].name: found "tokyo"; allowed: each only once; it is taken by peers[1].name; choose another`},
		{"two peers of one label", func(s *Snapshot) { s.Peers[2].Label = 3 },
			`peers[2].label: found "3"; allowed: a label of its own; peers[1] has it already; give every PoP another one`},
		{"two peers of one key", func(s *Snapshot) { s.Peers[2].PublicKey = key(3) },
			`peers[2].public_key: found "` + key(3) + `"; allowed: each only once; it is taken by peers[1].public_key; choose another`},
		{"a peer without a key", func(s *Snapshot) { s.Peers[0].PublicKey = "" },
			`peers[0].public_key: missing; allowed: 32 bytes in base64, 44 characters; use the line that 'causeway keygen' printed for that PoP`},
		{"a key of 16 bytes", func(s *Snapshot) { s.Peers[0].PublicKey = "AAAAAAAAAAAAAAAAAAAAAA==" },
			`peers[0].public_key: found "AAAAAAAAAAAAAAAAAAAAAA== (16 bytes)"; allowed: 32 bytes in base64, 44 characters; use the line that 'causeway keygen' printed for that PoP`},
		{"the key of all zeros", func(s *Snapshot) { s.Peers[0].PublicKey = key(0) },
			`peers[0].public_key: found "the all-zero key"; allowed: a real public key; use the line that 'causeway keygen' printed for that PoP`},
		{"a cap below one", func(s *Snapshot) { s.Peers[0].Repair.Cap = 0.5 },
			`peers[0].repair.cap: found "0.5"; allowed: 1 to 8 packets sent per packet carried; 1 sends nothing extra; leave it out for 3`},
		{"a cap that is no number", func(s *Snapshot) { s.Peers[0].Repair.Cap = math.NaN() },
			`peers[0].repair.cap: found "NaN"; allowed: 1 to 8 packets sent per packet carried; 1 sends nothing extra; leave it out for 3`},
		{"a budget too short", func(s *Snapshot) { s.Peers[0].Repair.Budget = time.Millisecond },
			`peers[0].repair.budget: found "1ms"; allowed: 5ms to 2s; leave it out to have it follow the segment's round trip time`},

		{"a wire from an overlay address that does not exist", func(s *Snapshot) { s.Peers[1].Wires[0].Local = "cm" },
			`peers[1].wires[0].local: found "cm"; allowed: a name in pop.overlay: ct, cu, v6; add it there, or correct the name here`},
		{"a wire to nowhere", func(s *Snapshot) { s.Peers[1].Wires[0].Remote = netip.AddrPort{} },
			`peers[1].wires[0].remote: missing; allowed: an IP address and port, such as 203.0.113.10:4600`},
		{"a wire to every address", func(s *Snapshot) { s.Peers[1].Wires[0].Remote = addrPort("0.0.0.0:4600") },
			`peers[1].wires[0].remote: found "0.0.0.0"; allowed: one particular address; give the address itself; packets must leave from the one they came to`},
		{"a wire between families", func(s *Snapshot) { s.Peers[1].Wires[0].Local = "v6" },
			`peers[1].wires[0].remote: found "203.0.113.30:4600"; allowed: an IPv6 address, as v6 is bound to [2001:db8::10]:4600; use an overlay address of the remote's family`},
		{"a wire to the PoP itself", func(s *Snapshot) { s.Peers[1].Wires[0].Remote = addrPort("203.0.113.11:4600") },
			`peers[1].wires[0].remote: found "203.0.113.11:4600"; allowed: an overlay address of the peer; this is pop.overlay[1] of this PoP itself`},
		{"a wire twice", func(s *Snapshot) { s.Peers[1].Wires = append(s.Peers[1].Wires, s.Peers[1].Wires[0]) },
			`peers[1].wires[1]: found "cu to 203.0.113.30:4600"; allowed: each wire once; it is the same as wires[0]; remove one`},
		{"two peers at one address", func(s *Snapshot) { s.Peers[1].Wires[0] = s.Peers[0].Wires[0] },
			`peers[1].wires[0].remote: found "203.0.113.20:4600"; allowed: an overlay address of this peer only; peers[0] has it already`},
		{"an IPv4 address spelt as IPv6", func(s *Snapshot) { s.Peers[1].Wires[0].Remote = addrPort("[::ffff:203.0.113.30]:4600") },
			`peers[1].wires[0].remote: found "::ffff:203.0.113.30"; allowed: IPv4 addresses in their own form; write 203.0.113.30`},
		{"an address with a zone", func(s *Snapshot) { s.Peers[0].Wires[1].Remote = addrPort("[fe80::1%eth0]:4600") },
			`peers[0].wires[1].remote: found "fe80::1%eth0"; allowed: an address without a zone; use one that is valid beyond one link`},

		{"a route to an unknown PoP", func(s *Snapshot) { s.Routes[1].To = "busan" },
			`routes[1].to: found "busan"; allowed: the name of a peer: osaka, seoul, tokyo; add it there, or correct the name here`},
		{"a route to the PoP itself", func(s *Snapshot) { s.Routes[1].To = "shanghai" },
			`routes[1].to: found "shanghai"; allowed: another PoP; this PoP itself is shanghai; remove the route`},
		{"two routes to one PoP", func(s *Snapshot) { s.Routes[1].To = "seoul" },
			`routes[1].to: found "seoul"; allowed: one route to each PoP; routes[0] goes there already; put its candidates there`},
		{"a policy nobody knows", func(s *Snapshot) { s.Routes[0].Policy = "fastest" }, `routes[0].policy: found "fastest"; allowed: one of fixed, measured`},
		{"an unknown relay", func(s *Snapshot) { s.Routes[0].Candidates[1][0] = "busan" },
			`routes[0].candidates[1][0]: found "busan"; allowed: the name of a peer: osaka, seoul, tokyo; add it there, or correct the name here`},
		{"the PoP itself as its relay", func(s *Snapshot) { s.Routes[0].Candidates[1][0] = "shanghai" },
			`routes[0].candidates[1][0]: found "shanghai"; allowed: other PoPs; this PoP itself is shanghai; a route begins with the first relay`},
		{"the destination as a relay", func(s *Snapshot) { s.Routes[0].Candidates[1] = []string{"tokyo", "seoul"} },
			`routes[0].candidates[1][1]: found "seoul"; allowed: relays only; seoul is where the route ends; leave it out`},
		{"a relay twice", func(s *Snapshot) { s.Routes[0].Candidates[2] = []string{"tokyo", "tokyo"} },
			`routes[0].candidates[2][1]: found "tokyo"; allowed: each relay once; remove the repetition`},
		{"three relays", func(s *Snapshot) {
			s.Peers = append(s.Peers, Peer{Name: "busan", Label: 5, PublicKey: key(5)})
			s.Routes[0].Candidates[2] = []string{"tokyo", "osaka", "busan"}
		}, `routes[0].candidates[2]: found "over tokyo, then osaka, then busan"; allowed: at most 2 relays; leave relays out`},
		{"a candidate twice", func(s *Snapshot) { s.Routes[0].Candidates[2] = []string{"tokyo"} },
			`routes[0].candidates[2]: found "over tokyo"; allowed: each way once; it is the same as candidates[1]; remove one`},
		{"a first relay without wires", func(s *Snapshot) { s.Routes[0].Candidates[1] = []string{"osaka"} },
			`routes[0].candidates[1]: found "over osaka"; allowed: a first hop that has wires from here; peers[2], osaka, has none; add wires to it or go over a peer that has some`},
		{"direct to a peer without wires", func(s *Snapshot) { s.Routes[1].Candidates = [][]string{{}} },
			`routes[1].candidates[0]: found "direct"; allowed: a first hop that has wires from here; peers[2], osaka, has none; add wires to it or go over a peer that has some`},
		{"a route with no way to go", func(s *Snapshot) {
			s.Peers = s.Peers[2:]
			s.Routes = s.Routes[1:]
			s.Listeners, s.EndpointGroups = s.Listeners[1:], s.EndpointGroups[1:]
		}, `routes[0].candidates: missing; allowed: at least one way to go; osaka has no wires and no other peer has any; add wires to it or to a relay`},
		{"more candidates than anyone can probe", func(s *Snapshot) {
			for i := range 16 {
				name := "p" + string(rune('a'+i))
				s.Peers = append(s.Peers, Peer{Name: name, Label: Label(100 + i), PublicKey: key(byte(100 + i))})
				s.Routes[0].Candidates = append(s.Routes[0].Candidates, []string{"tokyo", name})
			}
		}, `routes[0].candidates: found "19 candidates"; allowed: at most 16; keep those that are likely to be good`},
		{"more wires than a segment takes", func(s *Snapshot) {
			for i := range 16 {
				s.Peers[0].Wires = append(s.Peers[0].Wires, Wire{Local: "ct", Remote: netip.AddrPortFrom(addr("203.0.113.20"), uint16(5000+i))})
			}
		}, `peers[0].wires: found "18 wires"; allowed: at most 16; keep those over different carriers`},

		{"two listeners of one name", func(s *Snapshot) {
			s.Listeners[1].Name = "vpn"
			s.EndpointGroups[1].Initiate = nil
		}, `listeners[1].name: found "vpn"; allowed: each only once; it is taken by listeners[0].name; choose another`},
		{"a listener without addresses", func(s *Snapshot) { s.Listeners[0].Addresses = nil },
			`listeners[0].addresses: missing; allowed: at least one accelerated address; give the address that clients send to, such as {bind: 203.0.113.10}`},
		{"a listener on every address", func(s *Snapshot) { s.Listeners[0].Addresses[0].Bind = addr("0.0.0.0") },
			`listeners[0].addresses[0].bind: found "0.0.0.0"; allowed: one particular address; give the address itself; packets must leave from the one they came to`},
		{"a listener on a multicast address", func(s *Snapshot) { s.Listeners[0].Addresses[0].Bind = addr("224.0.0.1") },
			`listeners[0].addresses[0].bind: found "224.0.0.1"; allowed: an IP address of one machine; this one belongs to many`},
		{"a listener address without its bind form", func(s *Snapshot) { s.Listeners[0].Addresses[0] = Address{Public: addr("203.0.113.12")} },
			`listeners[0].addresses[0].bind: missing; allowed: an IP address of one machine`},
		{"a public address of the other family", func(s *Snapshot) { s.Listeners[0].Addresses[0].Public = addr("2001:db8::99") },
			`listeners[0].addresses[0].public: found "2001:db8::99"; allowed: an IPv4 address like bind's; give the 1:1 NAT's outside address for 203.0.113.12`},
		{"a listener without ports", func(s *Snapshot) { s.Listeners[0].Ports = nil },
			`listeners[0].ports: missing; allowed: at least one port; IPsec needs [500, 4500]`},
		{"port 0", func(s *Snapshot) { s.Listeners[0].Ports[1] = 0 }, `listeners[0].ports[1]: found "0"; allowed: 1 to 65535`},
		{"a port twice", func(s *Snapshot) { s.Listeners[0].Ports[1] = 500 }, `listeners[0].ports[1]: found "500"; allowed: each port once; remove the repetition`},
		{"an unknown endpoint group", func(s *Snapshot) { s.Listeners[0].EndpointGroup = "busan" },
			`listeners[0].endpoint_group: found "busan"; allowed: the name of an endpoint group: here, seoul; add it there, or correct the name here`},
		{"no endpoint group", func(s *Snapshot) { s.Listeners[0].EndpointGroup = "" },
			`listeners[0].endpoint_group: missing; allowed: the name of an endpoint group: here, seoul`},
		{"a group whose PoP no route reaches", func(s *Snapshot) {
			s.Routes = s.Routes[:1]
			s.EndpointGroups[0].PoP = "osaka"
		}, `listeners[0].endpoint_group: found "seoul"; allowed: a group whose PoP can be reached; its traffic leaves at osaka, which has no wires and no route; add one of them`},
		{"an idle timeout too short", func(s *Snapshot) { s.Listeners[0].IdleTimeout = 9 * time.Second },
			`listeners[0].idle_timeout: found "9s"; allowed: 10s to 24h0m0s; leave it out for 5m0s`},
		{"an idle timeout too long", func(s *Snapshot) { s.Listeners[0].IdleTimeout = 25 * time.Hour },
			`listeners[0].idle_timeout: found "25h0m0s"; allowed: 10s to 24h0m0s; leave it out for 5m0s`},
		{"a repair mode nobody knows", func(s *Snapshot) { s.Listeners[0].Repair = "max" },
			`listeners[0].repair: found "max"; allowed: one of latency, balanced, economy, off`},
		{"an order nobody knows", func(s *Snapshot) { s.Listeners[0].Order = "strict" },
			`listeners[0].order: found "strict"; allowed: one of ordered, windowed, off`},
		{"a replay window below what anyone has", func(s *Snapshot) { s.Listeners[0].ReplayWindow = 31 },
			`listeners[0].replay_window: found "31"; allowed: 32 to 65536 packets`},
		{"an empty list of who may come in", func(s *Snapshot) { s.Listeners[0].Allow = []netip.Prefix{} },
			`listeners[0].allow: found "an empty list"; allowed: at least one prefix; leave allow out to let everyone in; remove the listener to let nobody in`},
		{"a prefix with bits after its length", func(s *Snapshot) { s.Listeners[0].Allow = []netip.Prefix{prefix("198.51.100.9/24")} },
			`listeners[0].allow[0]: found "198.51.100.9/24"; allowed: a prefix without bits after its length; write 198.51.100.0/24, or 198.51.100.9/32`},
		{"a prefix twice", func(s *Snapshot) { s.Listeners[1].Allow = append(s.Listeners[1].Allow, s.Listeners[1].Allow[0]) },
			`listeners[1].allow[1]: found "198.51.100.0/24"; allowed: each prefix once; remove the repetition`},

		{"two groups of one name", func(s *Snapshot) {
			s.EndpointGroups = append(s.EndpointGroups, EndpointGroup{Name: "seoul", PoP: "tokyo"})
		}, `endpoint_groups[2].name: found "seoul"; allowed: each only once; it is taken by endpoint_groups[0].name; choose another`},
		{"a group at an unknown PoP", func(s *Snapshot) { s.EndpointGroups[0].PoP = "busan" },
			`endpoint_groups[0].pop: found "busan"; allowed: this PoP or a peer: osaka, seoul, tokyo, shanghai; add it there, or correct the name here`},
		{"a group that leaves here without an egress IP", func(s *Snapshot) { s.EndpointGroups[1].EgressIP = Address{} },
			`endpoint_groups[1].egress_ip: missing; allowed: the address that endpoints see as their peer, as this group's traffic leaves here; give it, such as {bind: 203.0.113.20}`},
		{"a group that leaves here without endpoints", func(s *Snapshot) { s.EndpointGroups[1].Endpoints, s.EndpointGroups[1].Initiate = nil, nil },
			`endpoint_groups[1].endpoints: missing; allowed: at least one endpoint, as this group's traffic leaves here; give the VPN device's address, such as {address: 198.51.100.7}`},
		{"an endpoint twice", func(s *Snapshot) { s.EndpointGroups[1].Endpoints[1].Address = addr("192.0.2.7") },
			`endpoint_groups[1].endpoints[1].address: found "192.0.2.7"; allowed: each endpoint once; endpoints[0] is the same; use weight to send more there`},
		{"an endpoint of the other family", func(s *Snapshot) { s.EndpointGroups[1].Endpoints[1].Address = addr("2001:db8:1::7") },
			`endpoint_groups[1].endpoints[1].address: found "2001:db8:1::7"; allowed: an IPv4 address like egress_ip's; make a group of its own for IPv6 endpoints`},
		{"an endpoint without an address", func(s *Snapshot) { s.EndpointGroups[1].Endpoints[1].Address = netip.Addr{} },
			`endpoint_groups[1].endpoints[1].address: missing; allowed: the IP address of a VPN device`},
		{"a weight too large", func(s *Snapshot) { s.EndpointGroups[1].Endpoints[1].Weight = pointer(256) },
			`endpoint_groups[1].endpoints[1].weight: found "256"; allowed: 0 to 255; 0 sends no new sessions there; leave it out for 128`},
		{"a negative weight", func(s *Snapshot) { s.EndpointGroups[1].Endpoints[1].Weight = pointer(-1) },
			`endpoint_groups[1].endpoints[1].weight: found "-1"; allowed: 0 to 255; 0 sends no new sessions there; leave it out for 128`},

		{"an initiating endpoint that is not in the group", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Endpoint = addr("192.0.2.9") },
			`endpoint_groups[1].initiate[0].endpoint: found "192.0.2.9"; allowed: the address of one of the group's endpoints; add it to endpoints, or correct it here`},
		{"an endpoint with two clients to call", func(s *Snapshot) {
			s.EndpointGroups[1].Initiate = append(s.EndpointGroups[1].Initiate, s.EndpointGroups[1].Initiate[0])
		}, `endpoint_groups[1].initiate[1].endpoint: found "192.0.2.7"; allowed: one client for each endpoint; initiate[0] has one for it already`},
		{"no client to call", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Client = netip.Addr{} },
			`endpoint_groups[1].initiate[0].client: missing; allowed: an IP address of one machine`},
		{"a client that is a PoP", func(s *Snapshot) {
			s.EndpointGroups[1].Initiate[0].Client = addr("203.0.113.20")
			s.Listeners[1].Allow = nil
		}, `endpoint_groups[1].initiate[0].client: found "203.0.113.20"; allowed: the address of a VPN device; this is an address of the overlay itself, peers[0].wires[0].remote`},
		{"a client that the listener does not allow", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Client = addr("192.0.2.99") },
			`endpoint_groups[1].initiate[0].client: found "192.0.2.99"; allowed: a client that listener local allows; see listeners[1].allow`},
		{"a client and an accelerated address of two families", func(s *Snapshot) {
			s.EndpointGroups[1].Initiate[0].Client = addr("2001:db8:5::1")
			s.Listeners[1].Allow = nil
		}, `endpoint_groups[1].initiate[0].accelerated: found "10.0.0.13"; allowed: an IPv6 address like client's; use the accelerated address that this client sends to`},
		{"an ingress nobody knows", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Ingress = "busan" },
			`endpoint_groups[1].initiate[0].ingress: found "busan"; allowed: this PoP or a peer: osaka, seoul, tokyo, shanghai; add it there, or correct the name here`},
		{"an ingress that no route reaches", func(s *Snapshot) {
			s.EndpointGroups[1].Initiate[0].Ingress = "osaka"
			s.Routes = s.Routes[:1]
		}, `endpoint_groups[1].initiate[0].ingress: found "osaka"; allowed: a PoP that can be reached; it has no wires and no route; add one of them`},
		{"an unknown listener", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Listener = "web" },
			`endpoint_groups[1].initiate[0].listener: found "web"; allowed: the name of a listener: local, vpn; add it there, or correct the name here`},
		{"a listener of another group", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Listener = "vpn" },
			`endpoint_groups[1].initiate[0].listener: found "vpn"; allowed: a listener whose endpoint_group is here; listeners[0] goes to seoul`},
		{"an accelerated address the listener has not", func(s *Snapshot) { s.EndpointGroups[1].Initiate[0].Accelerated = addr("10.0.0.99") },
			`endpoint_groups[1].initiate[0].accelerated: found "10.0.0.99"; allowed: one of the bind addresses of listener local; see listeners[1].addresses`},
		{"an accelerated address no listener has", func(s *Snapshot) {
			s.EndpointGroups[1].Initiate[0].Accelerated = addr("203.0.113.12")
			s.EndpointGroups[1].Initiate[0].Listener = ""
		}, `endpoint_groups[1].initiate[0].accelerated: found "203.0.113.12"; allowed: the bind address of a listener here whose endpoint_group is here; add such a listener, or correct the address`},

		{"two listeners on one address and port", func(s *Snapshot) {
			s.Listeners[1].Addresses = append(s.Listeners[1].Addresses, Address{Bind: addr("203.0.113.12")})
		}, `listeners[1].addresses[1]: found "203.0.113.12:500"; allowed: an address and port of its own; listeners[0].addresses[0].bind has 203.0.113.12:500 already; use another address or port`},
		{"two listeners with one public address and port", func(s *Snapshot) {
			s.Listeners[1].Addresses = append(s.Listeners[1].Addresses, Address{Bind: addr("10.0.0.99"), Public: addr("203.0.113.12")})
		}, `listeners[1].addresses[1]: found "203.0.113.12:500"; allowed: a public address and port of its own; listeners[0].addresses[0].public has 203.0.113.12:500 already; clients could not tell the two apart`},
		{"a listener where the overlay is", func(s *Snapshot) {
			s.Listeners[0].Addresses[0].Bind = addr("203.0.113.10")
			s.Listeners[0].Ports[1] = 4600
		}, `listeners[0].addresses[0]: found "203.0.113.10:4600"; allowed: an address and port of its own; pop.overlay[0].bind has 203.0.113.10:4600 already; use another address or port`},
		{"a listener where an overlay is bound to every address", func(s *Snapshot) {
			s.PoP.Overlay[0] = Overlay{Name: "ct", Bind: addrPort("0.0.0.0:4500"), Public: addrPort("203.0.113.10:4500")}
			s.Listeners, s.EndpointGroups = s.Listeners[:1], s.EndpointGroups[:1]
		}, `listeners[0].addresses[0]: found "203.0.113.12:4500"; allowed: an address and port of its own; pop.overlay[0].bind has 0.0.0.0:4500 already; use another address or port`},
		{"an egress IP where a listener is", func(s *Snapshot) { s.EndpointGroups[1].EgressIP.Bind = addr("203.0.113.12") },
			`endpoint_groups[1].egress_ip: found "203.0.113.12:500"; allowed: an address and port of its own; listeners[0].addresses[0].bind has 203.0.113.12:500 already; use another address or port`},
		{"two overlay addresses on one socket", func(s *Snapshot) {
			s.PoP.Overlay = append(s.PoP.Overlay, Overlay{Name: "cm", Bind: addrPort("203.0.113.10:4600")})
		}, `pop.overlay[3]: found "203.0.113.10:4600"; allowed: an address and port of its own; pop.overlay[0].bind has 203.0.113.10:4600 already; use another address or port`},

		{"no place for a session", func(s *Snapshot) { s.Limits.Sessions = -1 }, `limits.sessions: found "-1"; allowed: 1 to 4000000 sessions`},
		{"more sessions than memory", func(s *Snapshot) { s.Limits.Sessions = 4_000_001 }, `limits.sessions: found "4000001"; allowed: 1 to 4000000 sessions`},
		{"a ring too small", func(s *Snapshot) { s.Limits.Unconfirmed = 15 }, `limits.unconfirmed: found "15"; allowed: 16 to 1000000 sessions`},
		{"a negative limit for a prefix", func(s *Snapshot) { s.Limits.SessionsPerPrefix = -1 }, `limits.sessions_per_prefix: found "-1"; allowed: 1 to 4000000 sessions`},
		{"a negative rate of handshakes", func(s *Snapshot) { s.Limits.HandshakesPerSec = -1 }, `limits.handshakes_per_second: found "-1"; allowed: 1 to 100000 a second`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := example()
			c.spoil(&s)
			if got := s.Consistent().Error(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestEgressIPsMayBeSharedByGroups(t *testing.T) {
	s := example()
	s.EndpointGroups = append(s.EndpointGroups, EndpointGroup{Name: "also-here", PoP: "shanghai", EgressIP: Address{Bind: addr("203.0.113.14")},
		Endpoints: []Endpoint{{Address: addr("192.0.2.77")}}})
	if found := s.Consistent(); len(found) > 0 {
		t.Error(found)
	}
}

// Spellings of addresses that no endpoint may have: after CVE-2020-26262 and
// CVE-2026-27624 of coturn, and what clouds and gateways add.
func TestEndpointsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "::", "127.0.0.1", "127.255.255.254", "127.1.2.3", "::1", "::2", "::127.0.0.1", "::192.0.2.1",
		"169.254.0.1", "169.254.169.254", "169.254.255.255", "fe80::1", "febf:ffff::1", "100.100.100.200", "fd00:ec2::254",
		"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1", "240.0.0.1", "255.255.255.255",
		"::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:169.254.169.254", "::ffff:224.0.0.1", "::ffff:192.0.2.1", "::ffff:7f00:1",
		"64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::0.0.0.0", "64:ff9b::e000:1", "64:ff9b::255.255.255.255",
		"64:ff9b:1::7f00:1", "64:ff9b:1:ffff::127.0.0.1", "64:ff9b::203.0.113.10", "64:ff9b::203.0.113.14",
		"2002:7f00:1::1", "2002:7f00:0001::", "2002:a9fe:a9fe::1", "2002:cb00:710a::",
		"fe80::1%eth0", "2001:db8:9::1%eth0",
		"203.0.113.10", "203.0.113.11", "10.0.0.10", "2001:db8::10", // this PoP's overlay, public and bound
		"203.0.113.12", "203.0.113.13", "10.0.0.13", "2001:db8::12", // accelerated
		"203.0.113.14",                                 // egress
		"203.0.113.20", "203.0.113.30", "2001:db8::20", // peers
	} {
		s := example()
		s.EndpointGroups[1].Initiate = nil
		s.EndpointGroups[1].Endpoints[1].Address = addr(text)
		found := s.Consistent()
		if len(found) != 1 || found[0].Path != "endpoint_groups[1].endpoints[1].address" || !strings.HasPrefix(found[0].Allowed, "the address of a machine of its own") {
			t.Errorf("endpoint %s: found %v", text, found)
		}
	}
}

func TestEndpointsThatAreFine(t *testing.T) {
	for _, text := range []string{
		"192.0.2.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "1.1.1.1", "223.255.255.254", "128.0.0.1",
		"2001:db8:1::1", "fd00::1", "fc00::1", "64:ff9b::192.0.2.33", "2002:c000:221::1",
	} {
		s := example()
		g := &s.EndpointGroups[1]
		g.Initiate, g.Endpoints = nil, []Endpoint{{Address: addr(text)}}
		if addr(text).Is6() {
			g.EgressIP.Bind = addr("2001:db8::14")
		}
		if found := s.Consistent(); len(found) > 0 {
			t.Errorf("endpoint %s: %v", text, found)
		}
	}
}

func TestWithDefaultsFillsWhatIsLeftOut(t *testing.T) {
	got := WithDefaults(example())
	weight := DefaultWeight
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"an overlay address is its own public one", got.PoP.Overlay[0].Public, addrPort("203.0.113.10:4600")},
		{"a public overlay address stays", got.PoP.Overlay[1].Public, addrPort("203.0.113.11:4600")},
		{"MTU", got.PoP.Overlay[0].MTU, 1500},
		{"cap", got.Peers[0].Repair.Cap, 3.0},
		{"the budget follows the round trip time", got.Peers[0].Repair.Budget, time.Duration(0)},
		{"candidates that are given stay", got.Routes[0], Route{To: "seoul", Policy: Measured, Candidates: [][]string{{}, {"tokyo"}, {"tokyo", "osaka"}}}},
		{"a peer without wires is reached over each peer that has some", got.Routes[1], Route{To: "osaka", Policy: Measured, Candidates: [][]string{{"seoul"}, {"tokyo"}}}},
		{"a peer with wires and no route is reached directly", got.Routes[2], Route{To: "tokyo", Policy: Measured, Candidates: [][]string{{}}}},
		{"no more routes", len(got.Routes), 3},
		{"an accelerated address is its own public one", got.Listeners[0].Addresses[0].Public, addr("203.0.113.12")},
		{"a public accelerated address stays", got.Listeners[1].Addresses[0].Public, addr("203.0.113.13")},
		{"idle timeout", got.Listeners[0].IdleTimeout, 300 * time.Second},
		{"repair", got.Listeners[0].Repair, Balanced},
		{"order", got.Listeners[0].Order, Ordered},
		{"replay window", got.Listeners[0].ReplayWindow, 32},
		{"egress IP", got.EndpointGroups[1].EgressIP.Public, addr("203.0.113.14")},
		{"weight", got.EndpointGroups[1].Endpoints[0].Weight, &weight},
		{"limits", got.Limits, Limits{Sessions: 200000, Unconfirmed: 4096, SessionsPerPrefix: 1024, HandshakesPerSec: 50}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	s := Snapshot{Peers: example().Peers, Routes: []Route{{To: "seoul"}}}
	if got := WithDefaults(s).Routes[0].Candidates; !reflect.DeepEqual(got, [][]string{{}, {"tokyo"}}) {
		t.Errorf("a route without candidates tries direct first, then one relay: got %v", got)
	}
}
