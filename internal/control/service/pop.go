package service

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"causeway/internal/resource"
)

// CreatePoP makes a PoP and gives it its overlay label.
func (s *Service) CreatePoP(ctx context.Context, call Call, in resource.PoP) (resource.PoP, error) {
	return create(ctx, s, call, in, checkPoP)
}

// UpdatePoP changes a PoP. Addresses of the pool that are in use stay as they are.
func (s *Service) UpdatePoP(ctx context.Context, call Call, ref string, change func(*resource.PoP) error) (resource.PoP, error) {
	return update(ctx, s, call, ref, change, checkPoPChange)
}

// DeletePoP deletes a PoP that nothing was given out on, and its tokens.
func (s *Service) DeletePoP(ctx context.Context, call Call, ref string) (resource.PoP, error) {
	return remove(ctx, s, call, ref, forgetPoP)
}

// GetPoP returns one PoP.
func (s *Service) GetPoP(ctx context.Context, call Call, ref string) (resource.PoP, error) {
	return get[resource.PoP](ctx, s, call, ref)
}

// ListPoPs returns PoPs; Query.Region picks.
func (s *Service) ListPoPs(ctx context.Context, call Call, q Query) (Page[resource.PoP], error) {
	return list[resource.PoP](ctx, s, call, q)
}

func checkPoP(t *tx, p *resource.PoP) error {
	region, err := find[resource.Region](t, p.Region, "region")
	if err != nil {
		return err
	}
	p.Region = region.Name
	if err := checkPoPAddresses(t, p); err != nil {
		return err
	}
	p.Given = resource.PoPGiven{}
	p.Given.Label, err = t.newLabel()
	return err
}

func checkPoPChange(t *tx, old, new *resource.PoP) error {
	if err := firstError(unchanged("region", old.Region, new.Region), unchanged("given.label", old.Given.Label, new.Given.Label)); err != nil {
		return err
	}
	new.Given = old.Given
	new.PublicKey = cmp.Or(new.PublicKey, old.PublicKey)
	if same := slices.Equal(old.Overlay, new.Overlay) && slices.Equal(old.Addresses, new.Addresses) && old.PublicKey == new.PublicKey; same {
		return nil
	}
	if err := checkPoPAddresses(t, new); err != nil {
		return err
	}
	if err := t.write(new); err != nil {
		return err
	}
	return t.keepsGiven(new)
}

// keepsGiven refuses a PoP whose pool lost what was given out, or whose overlay
// took its ports.
func (t *tx) keepsGiven(p *resource.PoP) error {
	relations, err := t.below(resource.RefOf(p), "")
	if err != nil {
		return err
	}
	for _, r := range relations {
		bind, public, use, err := t.givenTo(r.Ref)
		if err != nil {
			return err
		}
		if !bind.IsValid() {
			continue
		}
		if !slices.ContainsFunc(p.Addresses, func(a resource.PoolAddress) bool {
			return a.Bind == bind && a.Public == public && (a.Use == use || a.Use == resource.UseAny)
		}) {
			return resource.Errorf(resource.CodeInUse, "%s has the address %v (public %v) of this PoP as %s", r.Ref, bind, public, use).At("addresses", bind).About(r.Ref).
				WithFix("keep the address as it is; or delete that first")
		}
		if use == resource.UseEgress && overlayHas(p, bind, ikePorts...) {
			return resource.Errorf(resource.CodePortTaken, "%s needs ports 500 and 4500 of %v, which the overlay would have", r.Ref, bind).At("overlay", bind).About(r.Ref).
				WithFix("bind the overlay to another port")
		}
		if use == resource.UseAccelerated {
			if err := t.checkPorts(p, bind, "overlay"); err != nil {
				return err
			}
		}
	}
	return nil
}

// givenTo is the address that an IP set or an egress IP has; invalid for others.
func (t *tx) givenTo(r resource.Ref) (bind, public netip.Addr, use resource.PoolUse, err error) {
	switch r.Kind {
	case resource.KindIPSet:
		s, err := find[resource.IPSet](t, r.Name, "")
		if err != nil {
			return bind, public, "", err
		}
		return s.Given.Bind, s.Given.IP, resource.UseAccelerated, nil
	case resource.KindEgressIP:
		e, err := find[resource.EgressIP](t, r.Name, "")
		if err != nil {
			return bind, public, "", err
		}
		return e.Given.Bind, e.Given.IP, resource.UseEgress, nil
	}
	return bind, public, "", nil
}

// checkPoPAddresses refuses addresses and keys that another PoP has, and
// addresses that are somebody's endpoint.
func checkPoPAddresses(t *tx, p *resource.PoP) error {
	pops, err := all[resource.PoP](t)
	if err != nil {
		return err
	}
	mine := publicAddresses(p)
	for _, other := range pops {
		if other.Name == p.Name {
			continue
		}
		if p.PublicKey != "" && p.PublicKey == other.PublicKey {
			return resource.Errorf(resource.CodeExists, "%s has that key", resource.RefOf(other)).At("public_key", p.PublicKey).About(resource.RefOf(other)).
				WithFix("run 'causeway keygen' on each machine by itself")
		}
		for a := range publicAddresses(other) {
			if path, both := mine[a]; both {
				return resource.Errorf(resource.CodeAddressTaken, "%s has the public address %v", resource.RefOf(other), a).At(path, a).About(resource.RefOf(other)).
					WithFix("each PoP has public addresses of its own; correct one of the two")
			}
		}
	}
	for i, o := range p.Overlay {
		mine[o.Bind.Addr()] = fmt.Sprintf("overlay[%d].bind", i)
	}
	for i, a := range p.Addresses {
		mine[a.Bind] = fmt.Sprintf("addresses[%d].bind", i)
	}
	groups, err := all[resource.EndpointGroup](t)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, e := range g.Endpoints {
			if path, own := mine[e.Address]; own && e.Address.IsValid() {
				return resource.Errorf(resource.CodeAddressTaken, "%v is an endpoint of %s", e.Address, resource.RefOf(g)).At(path, e.Address).About(resource.RefOf(g)).
					WithFix("a PoP cannot be an endpoint; correct one of the two")
			}
		}
	}
	return nil
}

// publicAddresses are all that the world knows p by, with the fields they stand in.
func publicAddresses(p *resource.PoP) map[netip.Addr]string {
	m := map[netip.Addr]string{}
	for i, o := range p.Overlay {
		m[o.Public.Addr()] = fmt.Sprintf("overlay[%d].public", i)
	}
	for i, a := range p.Addresses {
		m[a.Public] = fmt.Sprintf("addresses[%d].public", i)
	}
	return m
}

// newLabel gives out an overlay label that no PoP has, the longest unused one
// last: frames on their way with an old PoP's label must not find a new one.
func (t *tx) newLabel() (uint16, error) {
	pops, err := all[resource.PoP](t)
	if err != nil {
		return 0, err
	}
	used := map[uint16]bool{0: true}
	for _, p := range pops {
		used[p.Given.Label] = true
	}
	item, _, err := t.get(labelKey)
	if err != nil {
		return 0, err
	}
	last, _ := strconv.ParseUint(string(item.Value), 10, 16)
	for n := range 1 << 16 {
		label := uint16(last) + uint16(n) + 1
		if !used[label] {
			t.put(labelKey, strconv.AppendUint(nil, uint64(label), 10))
			return label, nil
		}
	}
	return 0, resource.Errorf(resource.CodeQuota, "there are %d PoPs, and the overlay has no label left", len(pops)).WithFix("delete PoPs that are gone")
}

// forgetPoP deletes a PoP's tokens and what its agent reported.
func forgetPoP(t *tx, p *resource.PoP) error {
	list, err := under[resource.Token](t, resource.RefOf(p))
	for _, token := range list {
		if err := t.remove(token); err != nil {
			return err
		}
	}
	t.delete(popKey(p.Name))
	return err
}
