package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateIPSet makes an IP set and gives it its accelerated IP.
func (s *Service) CreateIPSet(ctx context.Context, call Call, in resource.IPSet) (resource.IPSet, error) {
	return create(ctx, s, call, in, checkIPSet)
}

// UpdateIPSet changes an IP set's bandwidth, title and description.
func (s *Service) UpdateIPSet(ctx context.Context, call Call, ref string, change func(*resource.IPSet) error) (resource.IPSet, error) {
	return update(ctx, s, call, ref, change, checkIPSetChange)
}

// DeleteIPSet deletes an IP set; its accelerated IP goes back to the pool.
func (s *Service) DeleteIPSet(ctx context.Context, call Call, ref string) (resource.IPSet, error) {
	return remove[resource.IPSet](ctx, s, call, ref, nil)
}

// GetIPSet returns one IP set.
func (s *Service) GetIPSet(ctx context.Context, call Call, ref string) (resource.IPSet, error) {
	return get[resource.IPSet](ctx, s, call, ref)
}

// ListIPSets returns IP sets; Query.Accelerator, Region and PoP pick.
func (s *Service) ListIPSets(ctx context.Context, call Call, q Query) (Page[resource.IPSet], error) {
	return list[resource.IPSet](ctx, s, call, q)
}

func checkIPSet(t *tx, s *resource.IPSet) error {
	region, err := find[resource.Region](t, s.Region, "region")
	if err != nil {
		return err
	}
	b, err := budgetOf(t, s.Accelerator)
	if err != nil {
		return err
	}
	s.Region, s.Accelerator = region.Name, b.accelerator.Name
	if err := b.needsBasic("an IP set"); err != nil {
		return err
	}
	for _, other := range b.sets {
		if other.Region == s.Region {
			return resource.Errorf(resource.CodeRegionTaken, "%s has an IP set in %s already: %s", resource.RefOf(b.accelerator), s.Region, resource.RefOf(other)).
				At("region", s.Region).About(resource.RefOf(other)).WithFix("choose another region, or change that IP set's bandwidth")
		}
	}
	b.set(s)
	if err := b.judge("mbps", s.Mbps); err != nil {
		return err
	}
	g, err := t.give(wanted{use: resource.UseAccelerated, region: s.Region, pop: s.PoP, address: s.Address, ipv6: s.IPv6, mbps: s.Mbps})
	if err != nil {
		return err
	}
	s.Given = resource.IPSetGiven{PoP: g.pop, Bind: g.bind, IP: g.public}
	if err := t.write(s); err != nil {
		return err
	}
	p, err := find[resource.PoP](t, g.pop, "pop")
	if err != nil {
		return err
	}
	return t.checkPorts(p, g.bind, "address")
}

func checkIPSetChange(t *tx, old, new *resource.IPSet) error {
	if err := firstError(
		unchanged("accelerator", old.Accelerator, new.Accelerator), unchanged("region", old.Region, new.Region), unchanged("ipv6", old.IPv6, new.IPv6),
		unchanged("address", old.Address, new.Address), unchanged("pop", old.PoP, new.PoP), unchanged("given", old.Given, new.Given)); err != nil {
		return err
	}
	if old.Mbps == new.Mbps {
		return nil
	}
	b, err := budgetOf(t, new.Accelerator)
	if err != nil {
		return err
	}
	b.set(new)
	if err := b.judge("mbps", new.Mbps); err != nil {
		return err
	}
	p, err := find[resource.PoP](t, new.Given.PoP, "pop")
	if err != nil || new.Mbps <= old.Mbps {
		return err
	}
	if why, err := t.noRoom(p, wanted{mbps: new.Mbps - old.Mbps}); err != nil || why == "" || p.Cordoned {
		return err
	} else {
		return resource.Errorf(resource.CodeBandwidth, "%s %s", p.Name, why).At("mbps", new.Mbps).WithFix("give IP sets on that PoP less, or raise its capacity")
	}
}
