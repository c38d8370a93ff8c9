package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateEndpointGroup makes an endpoint group and gives it its egress IP: the
// reserved one that it names, or one of its own. The answer shows it.
func (s *Service) CreateEndpointGroup(ctx context.Context, call Call, in resource.EndpointGroup) (resource.EndpointGroup, error) {
	return create(ctx, s, call, in, checkGroup)
}

// UpdateEndpointGroup changes an endpoint group. Its egress IP stays, unless
// the change names another one.
func (s *Service) UpdateEndpointGroup(ctx context.Context, call Call, ref string, change func(*resource.EndpointGroup) error) (resource.EndpointGroup, error) {
	return update(ctx, s, call, ref, change, checkGroupChange)
}

// DeleteEndpointGroup deletes an endpoint group, and its egress IP with it
// unless that is reserved.
func (s *Service) DeleteEndpointGroup(ctx context.Context, call Call, ref string) (resource.EndpointGroup, error) {
	return remove(ctx, s, call, ref, releaseEgress)
}

// GetEndpointGroup returns one endpoint group.
func (s *Service) GetEndpointGroup(ctx context.Context, call Call, ref string) (resource.EndpointGroup, error) {
	return get[resource.EndpointGroup](ctx, s, call, ref)
}

// ListEndpointGroups returns endpoint groups; Query.Accelerator, Listener, Region and PoP pick.
func (s *Service) ListEndpointGroups(ctx context.Context, call Call, q Query) (Page[resource.EndpointGroup], error) {
	return list[resource.EndpointGroup](ctx, s, call, q)
}

func checkGroup(t *tx, g *resource.EndpointGroup) error {
	l, err := find[resource.Listener](t, g.Listener, "listener")
	if err != nil {
		return err
	}
	region, err := find[resource.Region](t, g.Region, "region")
	if err != nil {
		return err
	}
	g.Listener, g.Region = l.Name, region.Name
	b, err := budgetOf(t, l.Accelerator)
	if err != nil {
		return err
	}
	if err := b.needsBasic("an endpoint group"); err != nil {
		return err
	}
	if err := checkSiblings(t, g, l); err != nil {
		return err
	}
	if err := t.egressFor(g); err != nil {
		return err
	}
	return t.checkEndpoints(g, l)
}

func checkGroupChange(t *tx, old, new *resource.EndpointGroup) error {
	if err := firstError(unchanged("listener", old.Listener, new.Listener), unchanged("region", old.Region, new.Region), unchanged("given", old.Given, new.Given)); err != nil {
		return err
	}
	if new.EgressIP == "" {
		new.EgressIP = old.EgressIP
	}
	if new.EgressIP != old.EgressIP && new.EgressIP != old.Given.EgressIP {
		if err := t.egressFor(new); err != nil {
			return err
		}
		if err := t.releaseEgressOf(old, new.Given.EgressIP); err != nil {
			return err
		}
	}
	l, err := find[resource.Listener](t, new.Listener, "listener")
	if err != nil {
		return err
	}
	return t.checkEndpoints(new, l)
}

// checkSiblings refuses a second group in one region, and too many.
func checkSiblings(t *tx, g *resource.EndpointGroup, l *resource.Listener) error {
	siblings, err := t.below(resource.RefOf(l), resource.KindEndpointGroup) // the note is the region
	if err != nil {
		return err
	}
	for _, other := range siblings {
		if other.note == g.Region {
			return resource.Errorf(resource.CodeRegionTaken, "%s has an endpoint group in %s already: %s", resource.RefOf(l), g.Region, other.Ref).
				At("region", g.Region).About(other.Ref).WithFix("add the endpoints to that group, or choose another region")
		}
	}
	if len(siblings) >= resource.MaxGroups {
		return resource.Errorf(resource.CodeQuota, "%s has %d endpoint groups already", resource.RefOf(l), len(siblings)).At("listener", g.Listener).
			Allow("at most %d", resource.MaxGroups).WithFix("put endpoints into the groups there are")
	}
	return nil
}

// egressFor gives g its egress IP: the one it names, or one of its own.
func (t *tx) egressFor(g *resource.EndpointGroup) error {
	var e *resource.EgressIP
	if g.EgressIP != "" {
		var err error
		if e, err = find[resource.EgressIP](t, g.EgressIP, "egress_ip"); err != nil {
			return err
		}
		g.EgressIP = e.Name
		if err := t.freeFor(e, g); err != nil {
			return err
		}
	} else {
		no := false
		in := resource.EgressIP{EgressIPSpec: resource.EgressIPSpec{Region: g.Region, Reserved: &no, IPv6: wantsIPv6(g)}}
		in.Title = "given to endpoint group " + g.Name
		made, err := createIn(t, in, checkEgressIP)
		if err != nil {
			return err
		}
		e = &made
	}
	g.Given = resource.EndpointGroupGiven{EgressIP: e.Name, PoP: e.Given.PoP, Bind: e.Given.Bind, IP: e.Given.IP}
	return nil
}

// freeFor refuses an egress IP that g cannot have.
func (t *tx) freeFor(e *resource.EgressIP, g *resource.EndpointGroup) error {
	if e.Region != g.Region {
		return resource.Errorf(resource.CodeInvalidField, "%s is in another region", resource.RefOf(e)).At("egress_ip", e.Name).
			Allow("one in %s", g.Region).WithFix("reserve one: causeway egress-ip create <name> --region %s", g.Region)
	}
	users, err := t.below(resource.RefOf(e), resource.KindEndpointGroup)
	if err != nil {
		return err
	}
	for _, user := range users {
		if user.Name != g.Name {
			return resource.Errorf(resource.CodeInUse, "%s is used by %s", resource.RefOf(e), user.Ref).At("egress_ip", e.Name).About(user.Ref).
				WithFix("delete that group first, or reserve another egress IP")
		}
	}
	return nil
}

// wantsIPv6 reports whether g's endpoints are IPv6.
func wantsIPv6(g *resource.EndpointGroup) bool {
	for _, e := range g.Endpoints {
		if e.Address.IsValid() {
			return e.Address.Is6()
		}
	}
	return false
}

func releaseEgress(t *tx, g *resource.EndpointGroup) error { return t.releaseEgressOf(g, "") }

// releaseEgressOf deletes g's egress IP, unless that is reserved or the one to keep.
func (t *tx) releaseEgressOf(g *resource.EndpointGroup, keep string) error {
	e, err := find[resource.EgressIP](t, g.Given.EgressIP, "")
	if err != nil || e.Name == keep || e.IsReserved() {
		return err
	}
	t.delete(belowKey(resource.RefOf(e), resource.RefOf(g)))
	return t.remove(e)
}
