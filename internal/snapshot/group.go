package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

func (j *judge) group(i int) {
	g, path := j.EndpointGroups[i], fmt.Sprintf("endpoint_groups[%d]", i)
	j.name(path+".name", g.Name)
	if first := j.groups[g.Name]; first != i && g.Name != "" {
		j.refuse(path+".name", g.Name, "each only once", "it is taken by endpoint_groups[%d].name; choose another", first)
	}
	_, peer := j.peers[g.PoP]
	here := g.PoP != "" && g.PoP == j.PoP.Name
	if !peer && !here {
		known := slices.Sorted(maps.Keys(j.peers))
		if j.PoP.Name != "" {
			known = append(known, j.PoP.Name)
		}
		j.reference(path+".pop", g.PoP, "this PoP or a peer", known)
	}
	if g.EgressIP.Bind.IsValid() || g.EgressIP.Public.IsValid() {
		j.twoForms(path+".egress_ip", g.EgressIP)
	} else if here {
		j.missing(path+".egress_ip", "the address that endpoints see as their peer, as this group's traffic leaves here", "give it, such as {bind: 203.0.113.20}")
	}
	if len(g.Endpoints) == 0 && here {
		j.missing(path+".endpoints", "at least one endpoint, as this group's traffic leaves here", "give the VPN device's address, such as {address: 198.51.100.7}")
	}
	j.between(path+".traffic_percentage", *g.TrafficPercentage, 0, 100, "percent")
	j.allowanceNames(path+".allowances", g.Allowances)
	if g.Health != nil {
		for _, p := range g.Health.Check() {
			j.add(p.Under(path + ".health"))
		}
	}
	for k := range g.Endpoints {
		j.endpoint(fmt.Sprintf("%s.endpoints[%d]", path, k), g, k)
	}
	for k := range g.Initiate {
		j.initiate(fmt.Sprintf("%s.initiate[%d]", path, k), g, k)
	}
}

func (j *judge) endpoint(path string, g EndpointGroup, k int) {
	e := g.Endpoints[k]
	if *e.Weight < 0 || *e.Weight > MaxWeight {
		j.refuse(path+".weight", *e.Weight, fmt.Sprintf("0 to %d", MaxWeight), "0 sends no new sessions there; leave it out for %d", DefaultWeight)
	}
	j.text(path+".domain", e.Domain)
	if !e.Address.IsValid() {
		j.missing(path+".address", "the IP address of a VPN device", "")
		return
	}
	if why := j.noEndpoint(e.Address); why != "" {
		j.refuse(path+".address", e.Address, "the address of a machine of its own, that is no PoP", "%s", why)
		return
	}
	if g.EgressIP.Bind.IsValid() && family(g.EgressIP.Bind) != family(e.Address) {
		j.refuse(path+".address", e.Address, "an "+family(g.EgressIP.Bind)+" address like egress_ip's", "make a group of its own for %s endpoints", family(e.Address))
	}
	for n := range k {
		if g.Endpoints[n].Address == e.Address {
			j.refuse(path+".address", e.Address, "each endpoint once", "endpoints[%d] is the same; use weight to send more there", n)
			break
		}
	}
}

// initiate judges who an endpoint may call. What is said about another PoP's
// listeners cannot be judged here; that PoP does.
func (j *judge) initiate(path string, g EndpointGroup, k int) {
	in := g.Initiate[k]
	switch named := slices.ContainsFunc(g.Endpoints, func(e Endpoint) bool { return e.Address == in.Endpoint }); {
	case !in.Endpoint.IsValid():
		j.missing(path+".endpoint", "the address of one of the group's endpoints", "")
	case !named && len(g.Endpoints) > 0:
		j.refuse(path+".endpoint", in.Endpoint, "the address of one of the group's endpoints", "add it to endpoints, or correct it here")
	}
	for n := range k {
		if in.Endpoint.IsValid() && g.Initiate[n].Endpoint == in.Endpoint {
			j.refuse(path+".endpoint", in.Endpoint, "one client for each endpoint", "initiate[%d] has one for it already", n)
			break
		}
	}
	clientOK := j.address(path+".client", in.Client, false)
	if clientOK {
		if what := j.ownAddress(in.Client); what != "" {
			j.refuse(path+".client", in.Client, "the address of a VPN device", "this is %s", what)
		}
	}
	if !j.address(path+".accelerated", in.Accelerated, false) {
		return
	}
	if clientOK && family(in.Client) != family(in.Accelerated) {
		j.refuse(path+".accelerated", in.Accelerated, "an "+family(in.Client)+" address like client's", "use the accelerated address that this client sends to")
	}
	_, peer := j.peers[in.Ingress]
	switch {
	case in.Ingress != "" && in.Ingress == j.PoP.Name:
		j.initiateHere(path, g, in)
	case !peer:
		known := slices.Sorted(maps.Keys(j.peers))
		j.reference(path+".ingress", in.Ingress, "this PoP or a peer", append(known, j.PoP.Name))
	case g.PoP == j.PoP.Name && !j.routes[in.Ingress]:
		j.refuse(path+".ingress", in.Ingress, "a PoP that can be reached", "it has no wires and no route; add one of them")
	}
}

// initiateHere judges a rule whose listener is on this PoP.
func (j *judge) initiateHere(path string, g EndpointGroup, in Initiate) {
	fits := func(l Listener) bool { return l.goesTo(g.Name) && l.binds(in.Accelerated) }
	if in.Listener == "" {
		if !slices.ContainsFunc(j.Listeners, fits) {
			j.refuse(path+".accelerated", in.Accelerated, "the bind address of a listener here whose endpoint_group is "+g.Name, "add such a listener, or correct the address")
		}
		return
	}
	i, known := j.listeners[in.Listener]
	if !known {
		j.reference(path+".listener", in.Listener, "the name of a listener", slices.Sorted(maps.Keys(j.listeners)))
		return
	}
	l := j.Listeners[i]
	switch {
	case !l.goesTo(g.Name):
		j.refuse(path+".listener", in.Listener, "a listener whose endpoint_group is "+g.Name, "listeners[%d] goes to %s", i, l.EndpointGroup)
	case !l.binds(in.Accelerated):
		j.refuse(path+".accelerated", in.Accelerated, "one of the bind addresses of listener "+l.Name, "see listeners[%d].addresses", i)
	case in.Client.IsValid() && !l.allows(in.Client):
		j.refuse(path+".client", in.Client, "a client that listener "+l.Name+" allows", "see listeners[%d].allow", i)
	}
}

// noEndpoint says why traffic must never be sent to a, or nothing.
func (j *judge) noEndpoint(a netip.Addr) string { return NoEndpoint(a, j.ownAddress) }

// NoEndpoint says why traffic must never be sent to a, or nothing. A PoP that
// sent it there would reach its own machine, its neighbours, a cloud's metadata
// service or another PoP in the name of whoever wrote the endpoint. Own, which
// may be nil, says which of the overlay's own addresses one is, or nothing.
func NoEndpoint(a netip.Addr, own func(netip.Addr) string) string {
	if a.Zone() != "" {
		return "an address with a zone is valid on one link only"
	}
	if a.Is4In6() {
		return fmt.Sprintf("write IPv4 addresses in their own form: %v", a.Unmap())
	}
	if why := special(a); why != "" {
		return why
	}
	if own != nil {
		if what := own(a); what != "" {
			return "this is " + what + ", so packets would go round in circles"
		}
	}
	if inner, by := embedded(a); inner.IsValid() {
		if why := NoEndpoint(inner, own); why != "" {
			return fmt.Sprintf("%s leads to %v: %s", by, inner, why)
		}
	}
	return ""
}

// special says what is special about an address that no endpoint may have.
func special(a netip.Addr) string {
	for _, s := range specials {
		if s.prefix.Contains(a) {
			return s.why
		}
	}
	return ""
}

var specials = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this is no particular machine (RFC 1122)"},
	{netip.MustParsePrefix("::/128"), "this is no particular machine"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback is the PoP itself"},
	{netip.MustParsePrefix("::1/128"), "loopback is the PoP itself"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible addresses are obsolete (RFC 4291); write the IPv4 address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses are the PoP's neighbours and its cloud's metadata"},
	{netip.MustParsePrefix("fe80::/10"), "link-local addresses are the PoP's neighbours"},
	{netip.MustParsePrefix("100.100.100.200/32"), "this is a cloud's metadata service"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "this is a cloud's metadata service"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast belongs to many"},
	{netip.MustParsePrefix("ff00::/8"), "multicast belongs to many"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved and broadcast addresses belong to nobody (RFC 1112)"},
}

// embedded returns the IPv4 address that an IPv6 address stands for, where a
// gateway on the way would turn it into that.
func embedded(a netip.Addr) (netip.Addr, string) {
	b := a.As16()
	switch {
	case nat64.Contains(a), nat64Local.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), "NAT64"
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), "6to4"
	}
	return netip.Addr{}, ""
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056
)

// ownAddress says which of the overlay's own addresses a is, or nothing.
func (j *judge) ownAddress(a netip.Addr) string {
	if at, own := j.own[a]; own {
		return "an address of the overlay itself, " + at.String()
	}
	return ""
}

// place is a field of a snapshot: a path with places for up to two indices. It is
// put into words only when somebody asks.
type place struct {
	path string
	i, k int
}

func (p place) String() string {
	return fmt.Sprintf(p.path, []any{p.i, p.k}[:strings.Count(p.path, "%d")]...)
}

// indexOwn collects every address that is a PoP's, with the field that says so.
func (j *judge) indexOwn() {
	add := func(a netip.Addr, path string, i, k int) {
		if _, known := j.own[a]; !known && a.IsValid() {
			j.own[a] = place{path, i, k}
		}
	}
	for i, o := range j.PoP.Overlay {
		add(o.Bind.Addr(), "pop.overlay[%d]", i, 0)
		add(o.Public.Addr(), "pop.overlay[%d]", i, 0)
	}
	for i, l := range j.Listeners {
		for k, own := range l.Addresses {
			add(own.Bind, "listeners[%d].addresses[%d]", i, k)
			add(own.Public, "listeners[%d].addresses[%d]", i, k)
		}
	}
	for i, g := range j.EndpointGroups {
		add(g.EgressIP.Bind, "endpoint_groups[%d].egress_ip", i, 0)
		add(g.EgressIP.Public, "endpoint_groups[%d].egress_ip", i, 0)
	}
	for i, p := range j.Peers {
		for k, w := range p.Wires {
			add(w.Remote.Addr(), "peers[%d].wires[%d].remote", i, k)
		}
		for k, t := range p.Through {
			for _, w := range t.Wires {
				add(w.Remote.Addr(), "peers[%d].through[%d]", i, k)
			}
		}
	}
}
