package scenario

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/nearest"
	"causeway/internal/problem"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// checker collects what is wrong with a scenario.
type checker struct {
	s     *Scenario
	found problem.List
}

func (c *checker) wrong(path string, found any, allowed string) {
	c.found = append(c.found, problem.New(path, found, allowed))
}

func (c *checker) missing(path, allowed string) {
	c.found = append(c.found, problem.Problem{Path: path, Allowed: allowed})
}

// known reports a name that is not among those there are.
func (c *checker) known(path, name string, names []string) bool {
	if slices.Contains(names, name) {
		return true
	}
	slices.Sort(names)
	if name == "" {
		c.missing(path, strings.Join(names, ", "))
		return false
	}
	p := problem.New(path, name, strings.Join(names, ", "))
	if near := nearest.Of(name, names); near != "" {
		p = p.WithFix("did you mean %q?", near)
	}
	c.found = append(c.found, p)
	return false
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

// nodeName is what may be part of a namespace's name.
var nodeName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (c *checker) name(path, name string) {
	if !nodeName.MatchString(name) || len(name) > 12 {
		c.wrong(path, name, "1 to 12 lower-case letters, digits and single dashes")
	}
}

func (c *checker) sites() {
	if len(c.s.Sites) == 0 {
		c.missing("sites", "at least one site")
	}
	taken := map[netip.Addr]string{}
	for _, name := range slices.Sorted(maps.Keys(c.s.Routers)) {
		path := "routers." + name
		c.name(path, name)
		c.address(path+".wan", c.s.Routers[name].WAN, taken)
		if spare := c.s.Routers[name].Spare; spare.IsValid() {
			c.address(path+".spare", spare, taken)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.s.Strangers)) {
		c.name("strangers."+name, name)
		c.address("strangers."+name, c.s.Strangers[name], taken)
	}
	for _, name := range slices.Sorted(maps.Keys(c.s.Sites)) {
		site, path := c.s.Sites[name], "sites."+name
		c.name(path, name)
		c.address(path+".gateway", site.Gateway, taken)
		if site.Behind != "" {
			c.known(path+".behind", site.Behind, keys(c.s.Routers))
		}
	}
}

// address wants an IPv4 address that nobody else has.
func (c *checker) address(path string, a netip.Addr, taken map[netip.Addr]string) {
	switch {
	case !a.IsValid():
		c.missing(path, "an IPv4 address")
	case !a.Is4():
		c.wrong(path, a, "an IPv4 address")
	case taken[a] != "":
		c.wrong(path, a, "an address that nobody else has; "+taken[a]+" has this one")
	default:
		taken[a] = path
	}
}

func (c *checker) pops() {
	overlay := map[netip.Addr]string{}
	for _, name := range slices.Sorted(maps.Keys(c.s.PoPs)) {
		p, path := c.s.PoPs[name], "pops."+name
		c.name(path, name)
		if len(p.Overlay) == 0 {
			c.missing(path+".overlay", "at least one carrier and its address, as {ct: 203.0.113.10}")
		}
		for _, carrier := range slices.Sorted(maps.Keys(p.Overlay)) {
			a, at := p.Overlay[carrier], path+".overlay."+carrier
			if overlay[a] != "" {
				c.wrong(at, a, "an address that no other carrier or PoP has; "+overlay[a]+" has this one")
			}
			overlay[a] = at
		}
		for i, peer := range p.Peers {
			c.known(fmt.Sprintf("%s.peers[%d]", path, i), peer, others(keys(c.s.PoPs), name))
		}
		for i, l := range p.Listeners {
			c.groupKnown(fmt.Sprintf("%s.listeners[%d].endpoint_group", path, i), l.EndpointGroup)
		}
		for i, r := range p.Routes {
			c.route(fmt.Sprintf("%s.routes[%d]", path, i), name, r.To, r.Candidates)
		}
	}
}

func (c *checker) route(path, pop, to string, candidates [][]string) {
	c.known(path+".to", to, others(keys(c.s.PoPs), pop))
	for i, relays := range candidates {
		for j, relay := range relays {
			relay, _ = snapshot.ThroughOf(relay)
			c.known(fmt.Sprintf("%s.candidates[%d][%d]", path, i, j), relay, others(others(keys(c.s.PoPs), pop), to))
		}
	}
}

func others(names []string, but string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == but })
}

func (c *checker) groupKnown(path, name string) {
	var names []string
	for _, g := range c.s.EndpointGroups {
		names = append(names, g.Name)
	}
	c.known(path, name, names)
}

func (c *checker) endpointGroups() {
	for i, g := range c.s.EndpointGroups {
		c.known(fmt.Sprintf("endpoint_groups[%d].pop", i), g.PoP, keys(c.s.PoPs))
	}
}

func (c *checker) weather() {
	for _, name := range slices.Sorted(maps.Keys(c.s.Weather)) {
		w, path := c.s.Weather[name], "weather."+name
		c.fields(path, w.Profile.Validate())
		c.fields(path+".schedule", w.Schedule.Validate(w.Profile))
	}
}

// fields takes over what the weather's own validator says.
func (c *checker) fields(path string, err error) {
	var wrong weather.FieldErrors
	if !errors.As(err, &wrong) {
		return
	}
	for _, w := range wrong {
		c.found = append(c.found, problem.New(w.Field, w.Found, w.Allowed).Under(path))
	}
}

func (c *checker) links() {
	for i, l := range c.s.Links {
		path := fmt.Sprintf("links[%d]", i)
		c.places(path, l.Between, l.From, l.To)
		c.known(path+".weather", l.Weather, keys(c.s.Weather))
	}
}

// places judges the ends of a link, given one way or the other.
func (c *checker) places(path string, between []string, from, to string) {
	switch {
	case between != nil && (from != "" || to != ""):
		c.wrong(path, "between together with from or to", "either between (both directions) or from and to (one)")
	case between != nil && len(between) != 2:
		c.wrong(path+".between", fmt.Sprintf("%d places", len(between)), "two places")
	case between != nil:
		c.place(path+".between[0]", between[0])
		c.place(path+".between[1]", between[1])
	default:
		c.place(path+".from", from)
		c.place(path+".to", to)
	}
}

func (c *checker) place(path, place string) {
	if _, err := netip.ParseAddr(place); err == nil {
		return
	}
	node, carrier, one := strings.Cut(place, "/")
	if !c.known(path, node, c.s.WANNodes()) || !one {
		return
	}
	if pop, ok := c.s.PoPs[node]; ok {
		c.known(path, carrier, keys(pop.Overlay))
		return
	}
	c.wrong(path, place, "a node, or NODE/CARRIER where the node is a PoP")
}

// WANNodes are the nodes with an address on the Internet, sorted.
func (s *Scenario) WANNodes() []string {
	nodes := slices.Concat(keys(s.PoPs), keys(s.Routers), keys(s.Strangers))
	for name, site := range s.Sites {
		if site.Behind == "" {
			nodes = append(nodes, GatewayNode(name))
		}
	}
	slices.Sort(nodes)
	return nodes
}

func (c *checker) tunnels() {
	if len(c.s.Tunnels) == 0 {
		c.missing("tunnels", "at least one tunnel")
	}
	seen := map[string]bool{}
	for i, t := range c.s.Tunnels {
		path := fmt.Sprintf("tunnels[%d]", i)
		if !nodeName.MatchString(t.Name) || seen[t.Name] {
			c.wrong(path+".name", t.Name, "a name in lower-case letters, digits and dashes that no other tunnel has")
		}
		seen[t.Name] = true
		if t.Initiator != "from" && t.Initiator != "to" {
			c.wrong(path+".initiator", t.Initiator, "from, to")
		}
		c.known(path+".auth", t.Auth, []string{AuthPSK, AuthCert})
		c.known(path+".fragments", t.Fragments, []string{FragmentsIKE, FragmentsIP})
		for _, site := range []string{t.From.Site, t.To.Site} {
			switch {
			case t.Connection != "" && !c.s.Sites[site].Agent:
				c.wrong(path+".connection", t.Connection, "nothing: site "+site+" has no agent, which is who chooses between two tunnels")
			case t.Connection != "" && c.s.Control != nil:
				c.wrong(path+".connection", t.Connection, "nothing beside control: there each tunnel is a connection by itself")
			case t.Fragments == FragmentsIP && c.s.Sites[site].Agent:
				c.wrong(path+".fragments", t.Fragments, "ike where site "+site+" has an agent")
			case t.Timers != (gateway.Timers{DPD: t.Timers.DPD}) && c.s.Sites[site].Agent:
				c.wrong(path+".timers", "lifetimes", "dpd alone where site "+site+" has an agent")
			}
		}
		c.tunnelEnd(path+".from", t.From)
		c.tunnelEnd(path+".to", t.To)
		if t.From.LAN.IsValid() && t.From.LAN.Overlaps(t.To.LAN) {
			c.wrong(path+".to.lan", t.To.LAN, "a prefix other than the one at the tunnel's other end")
		}
		for _, d := range []struct {
			name string
			v    time.Duration
		}{{"dpd", t.Timers.DPD}, {"ike_rekey", t.Timers.IKERekey}, {"child_rekey", t.Timers.ChildRekey}} {
			if d.v < 0 || d.v%time.Second != 0 {
				c.wrong(path+".timers."+d.name, d.v, "whole seconds")
			}
		}
	}
}

func (c *checker) tunnelEnd(path string, e TunnelEnd) {
	c.known(path+".site", e.Site, keys(c.s.Sites))
	if !e.Peer.Is4() {
		c.wrong(path+".peer", e.Peer, "the IPv4 address that this gateway takes for its peer")
	}
	if !e.LAN.IsValid() || !e.LAN.Addr().Is4() || e.LAN.Bits() > 24 {
		c.wrong(path+".lan", e.LAN, "an IPv4 prefix of /24 or larger")
	}
}

func (c *checker) measure() {
	m := c.s.Measure
	c.span("measure.duration", m.Duration, time.Second, 7*24*time.Hour)
	c.span("measure.quick", m.Quick, time.Second, 7*24*time.Hour)
	c.span("measure.interval", m.Interval, 10*time.Millisecond, time.Minute)
	c.span("measure.warmup", m.Warmup, 0, time.Hour)
	if m.Size < 16 || m.Size > 8000 {
		c.wrong("measure.size", m.Size, "16 to 8000 bytes")
	}
	for i, p := range m.Iperf {
		path := fmt.Sprintf("measure.iperf[%d]", i)
		c.known(path+".protocol", p.Protocol, []string{"tcp", "udp"})
		if p.Protocol == "tcp" {
			c.known(path+".congestion", p.Congestion, []string{"cubic", "bbr", "reno"})
		} else if p.Congestion != "" {
			c.wrong(path+".congestion", p.Congestion, "nothing: UDP has none")
		}
		c.span(path+".duration", p.Duration, time.Second, time.Hour)
		if p.Length < 0 || p.Length > 65507 {
			c.wrong(path+".length", p.Length, "16 to 65507 bytes")
		}
	}
}

func (c *checker) span(path string, d, lo, hi time.Duration) {
	if d < lo || d > hi {
		c.wrong(path, d, fmt.Sprintf("%v to %v", lo, hi))
	}
}

// processes are those that a script may end and start.
func (c *checker) processes() []string {
	names := keys(c.s.PoPs)
	if c.s.Control != nil {
		names = append(names, ControllerNode)
	}
	return names
}

func (c *checker) tunnelNames() (names []string) {
	for _, t := range c.s.Tunnels {
		names = append(names, t.Name)
	}
	return names
}

func (c *checker) script() {
	for i, e := range c.s.Script {
		path := fmt.Sprintf("script[%d]", i)
		c.span(path+".at", e.At, 0, 7*24*time.Hour)
		if e.Times != 0 || e.Every != 0 {
			c.span(path+".every", e.Every, 10*time.Millisecond, time.Hour)
			if e.Times < 2 || e.Times > maxTimes {
				c.wrong(path+".times", e.Times, "2 to 10000")
			}
		}
		what := 0
		for _, field := range []struct {
			name, value string
			names       []string
		}{
			{"kill", e.Kill, c.processes()}, {"stop", e.Stop, c.processes()}, {"start", e.Start, c.processes()},
			{"reconnect", e.Reconnect, c.tunnelNames()}, {"rekey_ike", e.RekeyIKE, c.tunnelNames()}, {"rekey_child", e.RekeyChild, c.tunnelNames()},
		} {
			if field.value != "" {
				what++
				c.known(path+"."+field.name, field.value, field.names)
			}
		}
		if e.KillCharon != "" {
			what++
			if c.known(path+".kill_charon", e.KillCharon, keys(c.s.Sites)) && !c.s.Sites[e.KillCharon].Agent {
				c.wrong(path+".kill_charon", e.KillCharon, "a site with an agent, which starts it again")
			}
		}
		if e.Causeway != "" {
			what++
			if c.s.Control == nil {
				c.wrong(path+".causeway", e.Causeway, "nothing: a scenario without control has no controller")
			}
		}
		if o := e.Outage; o != nil {
			what++
			c.places(path+".outage", o.Between, o.From, o.To)
			c.span(path+".outage.for", o.For, time.Millisecond, time.Hour)
		}
		if a := e.Attack; a != nil {
			what++
			c.known(path+".attack.from", a.From, keys(c.s.Strangers))
			c.span(path+".attack.for", a.For, 100*time.Millisecond, time.Hour)
			if !a.To.Is4() {
				c.wrong(path+".attack.to", a.To, "an IPv4 address")
			}
			if a.Rate < 0.1 || a.Rate > 10_000 {
				c.wrong(path+".attack.rate", a.Rate, "0.1 to 10000 first messages a second")
			}
		}
		if r := e.Rebind; r != nil {
			what++
			c.known(path+".rebind.router", r.Router, keys(c.s.Routers))
			if r.Address && !c.s.Routers[r.Router].Spare.IsValid() {
				c.wrong(path+".rebind.address", "true", "a router with a spare address")
			}
		}
		if r := e.Reload; r != nil {
			what++
			c.known(path+".reload.pop", r.PoP, keys(c.s.PoPs))
			if c.s.Control != nil {
				c.wrong(path+".reload", r.PoP, "a causeway command: with control, the controller writes the snapshots")
			}
			for j, route := range r.Routes {
				c.route(fmt.Sprintf("%s.reload.routes[%d]", path, j), r.PoP, route.To, route.Candidates)
			}
		}
		if what != 1 {
			c.wrong(path, fmt.Sprintf("%d things to do", what), "exactly one of kill, stop, start, kill_charon, causeway, outage, rekey_ike, rekey_child, reconnect, attack, rebind, reload")
		}
	}
}

func (c *checker) expectations() {
	for i, e := range c.s.Expect {
		path := fmt.Sprintf("expect[%d]", i)
		c.known(path+".tunnel", e.Tunnel, c.tunnelNames())
		if r := e.Loss; r != nil && (r.Min < 0 || r.Max != nil && (*r.Max > 1 || *r.Max < r.Min)) {
			c.wrong(path+".loss", fmt.Sprint(*r), "min and max from 0 to 1, min not above max")
		}
		if e.SameSAs && e.NewSAs {
			c.wrong(path, "same_sas together with new_sas", "one of them")
		}
	}
}

// snapshots judges what the PoPs would be told by the rules that they go by.
func (c *checker) snapshots() {
	public := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(c.s.PoPs)) {
		key := [32]byte{31: byte(i + 1)} // stands for the key that the lab will make
		public[name] = base64.StdEncoding.EncodeToString(key[:])
	}
	shots := c.s.Snapshots(public)
	for _, name := range slices.Sorted(maps.Keys(shots)) {
		c.takeOver(shots[name].Consistent(), "pops."+name)
	}
	for i, e := range c.s.Script {
		if r := e.Reload; r != nil && !r.Invalid {
			c.takeOver(r.Changed(shots[r.PoP]).Consistent(), fmt.Sprintf("script[%d].reload", i))
		}
	}
}

// takeOver adds a snapshot's problems, each once, with their paths as they are
// in the scenario.
func (c *checker) takeOver(list problem.List, under string) {
	for _, p := range list {
		switch {
		case strings.HasPrefix(p.Path, "endpoint_groups"):
		case strings.HasPrefix(p.Path, "pop.overlay"):
			p.Path = under + ".overlay"
		default:
			p = p.Under(under)
		}
		if !slices.Contains(c.found, p) {
			c.found = append(c.found, p)
		}
	}
}
