package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateEgressIP reserves an egress IP.
func (s *Service) CreateEgressIP(ctx context.Context, call Call, in resource.EgressIP) (resource.EgressIP, error) {
	return create(ctx, s, call, in, checkEgressIP)
}

// UpdateEgressIP changes whether an egress IP is reserved, its title and its description.
func (s *Service) UpdateEgressIP(ctx context.Context, call Call, ref string, change func(*resource.EgressIP) error) (resource.EgressIP, error) {
	return update(ctx, s, call, ref, change, checkEgressIPChange)
}

// DeleteEgressIP gives an egress IP that no endpoint group uses back to the pool.
func (s *Service) DeleteEgressIP(ctx context.Context, call Call, ref string) (resource.EgressIP, error) {
	return remove[resource.EgressIP](ctx, s, call, ref, nil)
}

// GetEgressIP returns one egress IP.
func (s *Service) GetEgressIP(ctx context.Context, call Call, ref string) (resource.EgressIP, error) {
	return get[resource.EgressIP](ctx, s, call, ref)
}

// ListEgressIPs returns egress IPs; Query.Region and PoP pick.
func (s *Service) ListEgressIPs(ctx context.Context, call Call, q Query) (Page[resource.EgressIP], error) {
	return list[resource.EgressIP](ctx, s, call, q)
}

func checkEgressIP(t *tx, e *resource.EgressIP) error {
	region, err := find[resource.Region](t, e.Region, "region")
	if err != nil {
		return err
	}
	e.Region = region.Name
	g, err := t.give(wanted{use: resource.UseEgress, region: e.Region, pop: e.PoP, address: e.Address, ipv6: e.IPv6})
	e.Given = resource.EgressIPGiven{PoP: g.pop, Bind: g.bind, IP: g.public}
	return err
}

func checkEgressIPChange(_ *tx, old, new *resource.EgressIP) error {
	return firstError(unchanged("region", old.Region, new.Region), unchanged("pop", old.PoP, new.PoP), unchanged("ipv6", old.IPv6, new.IPv6),
		unchanged("address", old.Address, new.Address), unchanged("given", old.Given, new.Given))
}

// firstError is the first of several that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
