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
