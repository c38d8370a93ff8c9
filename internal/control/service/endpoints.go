package service

import (
	"fmt"
	"net/netip"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// checkEndpoints refuses endpoints that no traffic may be sent to, in whatever
// spelling, and what they may call.
func (t *tx) checkEndpoints(g *resource.EndpointGroup, l *resource.Listener) error {
	own, err := t.ownAddresses()
	if err != nil {
		return err
	}
	var missing []string
	for i, e := range g.Endpoints {
		field := fmt.Sprintf("endpoints[%d]", i)
		if e.Domain == "" {
			if err := judgeEndpoint(field+".address", e.Address, g.Given.Bind, own); err != nil {
				return err
			}
			continue
		}
		r, known, err := t.domain(e.Domain)
		if err != nil {
			return err
		}
		if !known {
			missing = append(missing, e.Domain)
			continue
		}
		if err := judgeDomain(field+".domain", e.Domain, r, g.Given.Bind, own); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return &needDomains{missing}
	}
	return t.checkInitiate(g, l)
}

// judgeEndpoint refuses one address.
func judgeEndpoint(field string, a, egress netip.Addr, own func(netip.Addr) string) error {
	if why := snapshot.NoEndpoint(a, own); why != "" {
		return resource.Errorf(resource.CodeEndpointRefused, "no traffic may be sent to %v: %s", a, why).At(field, a).
			Allow("the address of a machine of its own, that is no PoP").WithFix("give the VPN device's own address")
	}
	if a.Is4() != egress.Is4() {
		return resource.Errorf(resource.CodeInvalidField, "the endpoint %v is of another family than the egress IP %v", a, egress).At(field, a).
			WithFix("make a group of its own for endpoints of that family, in another region or listener")
	}
	return nil
}

// judgeDomain refuses a domain when it stands for anything that no traffic may
// be sent to, or for nothing of the egress IP's family.
func judgeDomain(field, domain string, r resolution, egress netip.Addr, own func(netip.Addr) string) error {
	fits := 0
	for _, a := range r.Addresses {
		if why := snapshot.NoEndpoint(a, own); why != "" {
			return resource.Errorf(resource.CodeEndpointRefused, "%s stands for %v, where no traffic may be sent: %s", domain, a, why).At(field, domain).
				Allow("a domain all of whose addresses are machines of their own, that are no PoPs").WithFix("correct the domain's records, or give an address")
		}
		if a.Is4() == egress.Is4() {
			fits++
		}
	}
	if fits > 0 {
		return nil
	}
	e := resource.Errorf(resource.CodeDomainUnresolved, "%s stands for no address of the family of the egress IP %v", domain, egress).At(field, domain)
	if r.Failure != "" {
		e.Message = fmt.Sprintf("%s could not be looked up: %s", domain, r.Failure)
	}
	return e.WithFix("correct the domain or its records, or give an address; a temporary one may be replaced later")
}

// ownAddresses says which addresses are the overlay's own, in both forms: an
// endpoint is written into the snapshots of all PoPs that send to it, and none
// of them may take it for itself.
func (t *tx) ownAddresses() (func(netip.Addr) string, error) {
	pops, err := all[resource.PoP](t)
	own := map[netip.Addr]string{}
	for _, p := range pops {
		for i, o := range p.Overlay {
			own[o.Bind.Addr()] = fmt.Sprintf("overlay[%d] of %s", i, resource.RefOf(p))
			own[o.Public.Addr()] = own[o.Bind.Addr()]
		}
		for i, a := range p.Addresses {
			own[a.Bind] = fmt.Sprintf("addresses[%d] of %s", i, resource.RefOf(p))
			own[a.Public] = own[a.Bind]
		}
	}
	return func(a netip.Addr) string { return own[a] }, err
}

// checkInitiate judges whom endpoints may call.
func (t *tx) checkInitiate(g *resource.EndpointGroup, l *resource.Listener) error {
	filter, err := t.filter(l)
	if err != nil {
		return err
	}
	for i := range g.Initiate {
		in := &g.Initiate[i]
		field := fmt.Sprintf("initiate[%d]", i)
		s, err := find[resource.IPSet](t, in.IPSet, field+".ip_set")
		if err != nil {
			return err
		}
		in.IPSet = s.Name
		switch {
		case s.Accelerator != l.Accelerator:
			return resource.Errorf(resource.CodeInvalidField, "%s belongs to another accelerator", resource.RefOf(s)).At(field+".ip_set", in.IPSet).
				Allow("an IP set of accelerator %q", l.Accelerator)
		case in.Client.Is4() != s.Given.Bind.Is4():
			return resource.Errorf(resource.CodeInvalidField, "the client %v is of another family than the accelerated IP %v", in.Client, s.Given.IP).At(field+".client", in.Client)
		case !filter.admits(in.Client):
			return resource.Errorf(resource.CodeInvalidField, "%s does not allow the client %v", resource.RefOf(l), in.Client).At(field+".client", in.Client).
				WithFix("add it to the listener's allow")
		}
	}
	return nil
}
