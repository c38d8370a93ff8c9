package service

import (
	"context"

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
