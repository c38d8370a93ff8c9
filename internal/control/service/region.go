package service

import (
	"context"
	"fmt"

	"causeway/internal/resource"
)

// CreateRegion makes a region.
func (s *Service) CreateRegion(ctx context.Context, call Call, in resource.Region) (resource.Region, error) {
	return create(ctx, s, call, in, checkRegion)
}

// UpdateRegion changes what change changes. The border area stays while
// anything is in the region.
func (s *Service) UpdateRegion(ctx context.Context, call Call, ref string, change func(*resource.Region) error) (resource.Region, error) {
	return update(ctx, s, call, ref, change, checkRegionChange)
}

// DeleteRegion deletes a region that nothing is in.
func (s *Service) DeleteRegion(ctx context.Context, call Call, ref string) (resource.Region, error) {
	return remove[resource.Region](ctx, s, call, ref, nil)
}

// GetRegion returns one region.
func (s *Service) GetRegion(ctx context.Context, call Call, ref string) (resource.Region, error) {
	return get[resource.Region](ctx, s, call, ref)
}

// ListRegions returns regions.
func (s *Service) ListRegions(ctx context.Context, call Call, q Query) (Page[resource.Region], error) {
	return list[resource.Region](ctx, s, call, q)
}

func checkRegion(*tx, *resource.Region) error { return nil }

func checkRegionChange(t *tx, old, new *resource.Region) error {
	if old.Area == new.Area {
		return nil
	}
	relations, err := t.below(resource.RefOf(old), "")
	if err != nil || len(relations) == 0 {
		return err
	}
	e := inUse(resource.RefOf(old), relations)
	e.Message = fmt.Sprintf("the area of %s cannot change while %s is in it", resource.RefOf(old), relations[0])
	return e.At("area", new.Area).WithFix("make another region, or delete what is in this one first")
}
