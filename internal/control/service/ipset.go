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
