package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/vpn"
)

// Around is what IPsec connections refer to, to find their far ends by. The
// order of its lists does not matter.
type Around struct {
	VPNGateways      []VPNGateway
	CustomerGateways []CustomerGateway
	IPSets           []IPSet
	Listeners        []Listener
	EndpointGroups   []EndpointGroup
}

// Gateway is the VPN gateway of that name, or nil.
func (w *Around) Gateway(name string) *VPNGateway { return byName(w.VPNGateways, name) }

// Connection is c as its gateway is told it, secrets as they stand in c. The
// refusal is a sentence that says why c has no far end, and a remedy.
func (w *Around) Connection(c *IPsecConnection) (v vpn.Connection, refusal, fix string) {
	g := byName(w.VPNGateways, c.VPNGateway)
	if g == nil {
		return v, fmt.Sprintf("there is no VPN gateway %q", c.VPNGateway), "create it first"
	}
	v = c.Build(g, func(t *IPsecTunnel) Peer {
		p, why, remedy := w.Peer(c, t, g)
		if refusal == "" {
			refusal, fix = why, remedy
		}
		return p
	}, func(s vpn.Secret) vpn.Secret { return s })
	return v, refusal, fix
}

// Lint is what c's parameters, and what it refers to, make one think of: it is
// allowed, and will probably be regretted. Fields are c's own.
func (w *Around) Lint(c *IPsecConnection) []vpn.Finding {
	filled := *c
	filled.FillDefaults()
	for _, f := range filled.Secrets() {
		if IsSealed(*f.Value) || *f.Value == vpn.Mask || random(f.Value.Reveal()) {
			*f.Value = standIn // which is neither short nor weak
		}
	}
	g := w.Gateway(c.VPNGateway)
	var list []vpn.Finding
	if built, refusal, _ := w.Connection(&filled); refusal == "" && g != nil {
		list = vpn.Lint(built, g.UserCIDRs)
	} else {
		list = vpn.Lint(filled.alone(), nil)
	}
	for i := range list {
		list[i].Field = filled.FieldOfBuilt(list[i].Field)
	}
	return list
}

// random reports whether key may be one that the service made: as long as these,
// and of many different characters. Such a key cannot be guessed.
func random(key string) bool {
	different := map[rune]bool{}
	for _, c := range key {
		different[c] = true
	}
	return len(key) >= PSKLength && len(different) >= PSKLength/2
}

// Peer finds the far end of one tunnel. The refusal is why there is none.
func (w *Around) Peer(c *IPsecConnection, t *IPsecTunnel, g *VPNGateway) (p Peer, refusal, fix string) {
	customer := byName(w.CustomerGateways, c.Customer(t))
	if customer != nil {
		p = Peer{Name: customer.Name, Address: customer.Address, Domain: customer.Domain, ID: customer.Where(), ASN: customer.ASN, Own: customer.Address}
	}
	bind, public := g.PublicOf(t.Address)
	p.Here = public
	if !bind.IsValid() {
		return p, fmt.Sprintf("the VPN gateway has no address %v", t.Address), "give one of the gateway's addresses"
	}
	if !c.Accelerated(t) {
		if customer == nil {
			return p, fmt.Sprintf("there is no customer gateway %q", c.Customer(t)), "create it first"
		}
		return p, "", ""
	}
	p.Domain, p.Name = "", first(p.Name, c.Accelerator)
	set, group := w.entrance(c, t, g), w.exit(c, t, g, customer)
	if c.Side == EndpointSide {
		if group == nil {
			return p, fmt.Sprintf("accelerator %q has no endpoint group, and so no egress IP", c.Accelerator), "create one with this gateway as its endpoint"
		}
		p.Address, p.Here = group.Given.IP, netip.Addr{}
		if set != nil {
			p.Here = set.Given.IP
		}
		return p, "", ""
	}
	if set == nil {
		return p, fmt.Sprintf("accelerator %q has no IP set, and so no accelerated IP", c.Accelerator), "create one near this gateway"
	}
	p.Address, p.Here = set.Given.IP, netip.Addr{}
	if group != nil {
		p.Here = group.Given.IP
		if customer == nil && len(group.Endpoints) > 0 {
			p.ID, p.Own = group.Endpoints[0].String(), group.Endpoints[0].Address
		}
	}
	return p, "", ""
}

// entrance is the IP set that the client's side sends to.
func (w *Around) entrance(c *IPsecConnection, t *IPsecTunnel, g *VPNGateway) *IPSet {
	if name := first(t.IPSet, c.IPSet); name != "" {
		return byName(w.IPSets, name)
	}
	var best *IPSet
	for i := range w.IPSets {
		s := &w.IPSets[i]
		near := c.Side == ClientSide && s.Region == g.Region
		switch {
		case s.Accelerator != c.Accelerator:
		case best == nil, near && best.Region != g.Region, near == (best.Region == g.Region && c.Side == ClientSide) && s.Name < best.Name:
			best = s
		}
	}
	return best
}

// exit is the endpoint group that the endpoint's side is in.
func (w *Around) exit(c *IPsecConnection, t *IPsecTunnel, g *VPNGateway, customer *CustomerGateway) *EndpointGroup {
	if name := first(t.EndpointGroup, c.EndpointGroup); name != "" {
		return byName(w.EndpointGroups, name)
	}
	isEnd := func(e Endpoint) bool { // the device at the endpoint's side
		if c.Side == EndpointSide {
			bind, _ := g.PublicOf(e.Address)
			return e.Address.IsValid() && bind.IsValid()
		}
		return customer != nil && e.String() == customer.Where()
	}
	var best *EndpointGroup
	bestHas := false
	for i := range w.EndpointGroups {
		group := &w.EndpointGroups[i]
		if l := byName(w.Listeners, group.Listener); l == nil || l.Accelerator != c.Accelerator {
			continue
		}
		has := slices.ContainsFunc(group.Endpoints, isEnd)
		if best == nil || has && !bestHas || has == bestHas && strings.Compare(group.Name, best.Name) < 0 {
			best, bestHas = group, has
		}
	}
	return best
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// byName returns the resource of that name in list, or nil.
func byName[T any, P interface {
	*T
	Object
}](list []T, name string) P {
	for i := range list {
		if o := P(&list[i]); o.Head().Name == name {
			return o
		}
	}
	return nil
}
