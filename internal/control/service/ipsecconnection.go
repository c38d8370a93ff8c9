package service

import (
	"context"
	"fmt"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// CreateIPsecConnection makes an IPsec connection. A tunnel without a key of its
// own is given one.
func (s *Service) CreateIPsecConnection(ctx context.Context, call Call, in resource.IPsecConnection) (resource.IPsecConnection, error) {
	return mutate(ctx, s, call, "CreateIPsecConnection", in, func(t *tx) (resource.IPsecConnection, error) {
		made, err := createIn(t, in, checkIPsecConnection)
		return t.linted(made, err)
	})
}

// UpdateIPsecConnection changes an IPsec connection. Secrets that the change
// leaves out, or masks, stay.
func (s *Service) UpdateIPsecConnection(ctx context.Context, call Call, ref string, change func(*resource.IPsecConnection) error) (resource.IPsecConnection, error) {
	return mutate(ctx, s, call, "UpdateIPsecConnection", ref, func(t *tx) (resource.IPsecConnection, error) {
		changed, err := updateIn(t, ref, call.Expect, change, checkIPsecConnectionChange)
		return t.linted(changed, err)
	})
}

// DeleteIPsecConnection deletes an IPsec connection without routes.
func (s *Service) DeleteIPsecConnection(ctx context.Context, call Call, ref string) (resource.IPsecConnection, error) {
	return remove[resource.IPsecConnection](ctx, s, call, ref, nil)
}

// GetIPsecConnection returns one IPsec connection, its secrets sealed.
func (s *Service) GetIPsecConnection(ctx context.Context, call Call, ref string) (resource.IPsecConnection, error) {
	return get[resource.IPsecConnection](ctx, s, call, ref)
}

// ListIPsecConnections returns IPsec connections, their secrets sealed;
// Query.VPNGateway, Accelerator and Region pick.
func (s *Service) ListIPsecConnections(ctx context.Context, call Call, q Query) (Page[resource.IPsecConnection], error) {
	return list[resource.IPsecConnection](ctx, s, call, q)
}

// linted tells with the answer what the connection's parameters make one think of.
func (t *tx) linted(c resource.IPsecConnection, err error) (resource.IPsecConnection, error) {
	if err != nil {
		return c, err
	}
	around, err := t.around()
	if err != nil {
		return c, err
	}
	opened, err := t.opened(c)
	c.Status = resource.IPsecConnectionStatus{Findings: around.Lint(&opened)}
	return c, err
}

func checkIPsecConnection(t *tx, c *resource.IPsecConnection) error {
	g, err := find[resource.VPNGateway](t, c.VPNGateway, "vpn_gateway")
	if err != nil {
		return err
	}
	c.VPNGateway = g.Name
	if err := t.nameCustomers(c, g); err != nil {
		return err
	}
	if err := t.nameAccelerator(c); err != nil {
		return err
	}
	around, err := t.around()
	if err != nil {
		return err
	}
	return t.judgeConnection(around, c)
}

func checkIPsecConnectionChange(t *tx, old, new *resource.IPsecConnection) error {
	if err := unchanged("vpn_gateway", old.VPNGateway, new.VPNGateway); err != nil {
		return err
	}
	return checkIPsecConnection(t, new)
}

// nameCustomers turns the references to customer gateways into names.
func (t *tx) nameCustomers(c *resource.IPsecConnection, g *resource.VPNGateway) error {
	fix := func(ref *string, field string) error {
		if *ref == "" {
			return nil
		}
		customer, err := find[resource.CustomerGateway](t, *ref, field)
		if err != nil {
			return err
		}
		if customer.Region != g.Region {
			return resource.Errorf(resource.CodeInvalidField, "%s is in the region %s, and %s in %s", resource.RefOf(customer), customer.Region, resource.RefOf(g), g.Region).
				At(field, customer.Name).About(resource.RefOf(customer)).WithFix("create it in the gateway's region: causeway customer-gateway create <name> --region %s", g.Region)
		}
		*ref = customer.Name
		return nil
	}
	if err := fix(&c.CustomerGateway, "customer_gateway"); err != nil {
		return err
	}
	for i := range c.Tunnels {
		if err := fix(&c.Tunnels[i].CustomerGateway, fmt.Sprintf("tunnels[%d].customer_gateway", i)); err != nil {
			return err
		}
	}
	return nil
}

// nameAccelerator turns the references to an accelerator's parts into names, and
// refuses parts of another accelerator.
func (t *tx) nameAccelerator(c *resource.IPsecConnection) error {
	if c.Accelerator == "" {
		return nil
	}
	a, err := find[resource.Accelerator](t, c.Accelerator, "accelerator")
	if err != nil {
		return err
	}
	c.Accelerator = a.Name
	other := func(o resource.Object, field string) error {
		return resource.Errorf(resource.CodeInvalidField, "%s is of another accelerator", resource.RefOf(o)).At(field, o.Head().Name).Allow("one of %s", resource.RefOf(a)).About(resource.RefOf(o))
	}
	set := func(ref *string, field string) error {
		if *ref == "" {
			return nil
		}
		s, err := find[resource.IPSet](t, *ref, field)
		if err == nil && s.Accelerator != a.Name {
			err = other(s, field)
		}
		if err == nil {
			*ref = s.Name
		}
		return err
	}
	group := func(ref *string, field string) error {
		if *ref == "" {
			return nil
		}
		g, err := find[resource.EndpointGroup](t, *ref, field)
		if err != nil {
			return err
		}
		l, err := find[resource.Listener](t, g.Listener, "")
		if err == nil && l.Accelerator != a.Name {
			err = other(g, field)
		}
		*ref = g.Name
		return err
	}
	if err := firstError(set(&c.IPSet, "ip_set"), group(&c.EndpointGroup, "endpoint_group")); err != nil {
		return err
	}
	for i := range c.Tunnels {
		tunnel, path := &c.Tunnels[i], fmt.Sprintf("tunnels[%d].", i)
		if err := firstError(set(&tunnel.IPSet, path+"ip_set"), group(&tunnel.EndpointGroup, path+"endpoint_group")); err != nil {
			return err
		}
	}
	return nil
}

// around is what connections refer to, as this transaction sees it. It is read
// once for as long as nothing of it changes. Nobody may alter it.
func (t *tx) around() (*resource.Around, error) {
	if t.near != nil {
		return t.near, nil
	}
	var w resource.Around
	err := firstError(gather(t, &w.VPNGateways), gather(t, &w.CustomerGateways), gather(t, &w.IPSets), gather(t, &w.Listeners), gather(t, &w.EndpointGroups))
	if err == nil {
		t.near = &w
	}
	return &w, err
}

func gather[T any, P object[T]](t *tx, into *[]T) error {
	list, err := all[T, P](t)
	for _, o := range list {
		*into = append(*into, *o)
	}
	return err
}

// noteAround keeps what around returned as it is now, after o was written.
func (t *tx) noteAround(o resource.Object) {
	if t.near == nil {
		return
	}
	switch o := o.(type) {
	case *resource.VPNGateway:
		t.near.VPNGateways = upsert(t.near.VPNGateways, o)
	case *resource.CustomerGateway:
		t.near.CustomerGateways = upsert(t.near.CustomerGateways, o)
	case *resource.IPSet:
		t.near.IPSets = upsert(t.near.IPSets, o)
	case *resource.Listener:
		t.near.Listeners = upsert(t.near.Listeners, o)
	case *resource.EndpointGroup:
		t.near.EndpointGroups = upsert(t.near.EndpointGroups, o)
	}
}

// upsert puts a copy of o in the place of what has its name in list, or behind all.
func upsert[T any, P object[T]](list []T, o P) []T {
	for i := range list {
		if P(&list[i]).Head().Name == o.Head().Name {
			list[i] = *o
			return list
		}
	}
	return append(list, *o)
}

// judgeConnection refuses a connection that its gateway could not be told of.
func (t *tx) judgeConnection(around *resource.Around, c *resource.IPsecConnection) error {
	for i := range around.VPNGateways {
		g := &around.VPNGateways[i]
		if g.Name != c.VPNGateway {
			continue
		}
		if found := c.Overlap(g); len(found) > 0 {
			return resource.Refuse(resource.RefOf(c), found)
		}
		for k := range c.Tunnels {
			if bind, _ := g.PublicOf(c.Tunnels[k].Address); !bind.IsValid() {
				return resource.Errorf(resource.CodeInvalidField, "%s has no address %v", resource.RefOf(g), c.Tunnels[k].Address).
					At(fmt.Sprintf("tunnels[%d].address", k), c.Tunnels[k].Address).About(resource.RefOf(g)).WithFix("give one of the gateway's addresses, or leave it out for the first")
			}
		}
	}
	v, refusal, fix := around.Connection(c)
	if refusal != "" {
		return resource.Errorf(resource.CodeInvalidField, "%s has no peer: %s", resource.RefOf(c), refusal).At("accelerator", c.Accelerator).WithFix("%s", fix)
	}
	if err := t.openConnection(&v); err != nil {
		return err
	}
	if e := resource.Refuse(resource.RefOf(c), c.JudgeBuilt(v)); e != nil {
		return e
	}
	return t.judgeKeys(around, c, v)
}

// judgeKeys refuses a key where a tunnel between the same identities has
// another: a daemon finds keys by the identities of both ends. A key that was
// made for c a moment ago gives way to that one.
func (t *tx) judgeKeys(around *resource.Around, c *resource.IPsecConnection, built vpn.Connection) error {
	if !c.IsEnabled() {
		return nil
	}
	type ends struct{ local, remote string }
	keys := map[ends]vpn.Secret{}
	of := map[ends]resource.Ref{}
	others, err := under[resource.IPsecConnection](t, resource.Ref{Kind: resource.KindVPNGateway, Name: c.VPNGateway})
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.Name == c.Name || !other.IsEnabled() {
			continue
		}
		v, refusal, _ := around.Connection(other)
		if refusal != "" {
			continue
		}
		if err := t.openConnection(&v); err != nil {
			return err
		}
		for _, tunnel := range v.Tunnels {
			if e := (ends{tunnel.Local.ID, tunnel.Remote.ID}); tunnel.Auth.Method == vpn.PSK {
				keys[e], of[e] = tunnel.Auth.PSK, resource.RefOf(other)
			}
		}
	}
	for i, tunnel := range built.Tunnels {
		if tunnel.Auth.Method != vpn.PSK {
			continue
		}
		e := ends{tunnel.Local.ID, tunnel.Remote.ID}
		key, known := keys[e]
		path := c.FieldOfBuilt(fmt.Sprintf("tunnels[%d].auth.psk", i))
		if known && key != tunnel.Auth.PSK && t.made[c.Name+" "+path] {
			for _, f := range c.Secrets() {
				if f.Path == path {
					*f.Value = key
				}
			}
			t.sealSecrets(c)
			continue
		}
		if known && key != tunnel.Auth.PSK {
			return resource.Errorf(resource.CodeInvalidField, "%s is between the same identities, %s and %s, and has another key", of[e], e.local, e.remote).
				At(path, vpn.Mask).Allow("the same key").About(of[e]).
				WithFix("give both the same key, or one of them a local_id or remote_id of its own: keys are found by identities")
		}
		keys[e], of[e] = tunnel.Auth.PSK, resource.RefOf(c)
	}
	return nil
}
