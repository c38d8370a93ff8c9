package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateBandwidthPackage makes a package; when it names an accelerator, bound.
func (s *Service) CreateBandwidthPackage(ctx context.Context, call Call, in resource.BandwidthPackage) (resource.BandwidthPackage, error) {
	return create(ctx, s, call, in, checkPackage)
}

// UpdateBandwidthPackage changes a package: its bandwidth, its kind from basic
// to enhanced, and whom it is bound to.
func (s *Service) UpdateBandwidthPackage(ctx context.Context, call Call, ref string, change func(*resource.BandwidthPackage) error) (resource.BandwidthPackage, error) {
	return update(ctx, s, call, ref, change, checkPackageChange)
}

// DeleteBandwidthPackage deletes a package that is not bound.
func (s *Service) DeleteBandwidthPackage(ctx context.Context, call Call, ref string) (resource.BandwidthPackage, error) {
	return remove(ctx, s, call, ref, checkPackageDelete)
}

// GetBandwidthPackage returns one package.
func (s *Service) GetBandwidthPackage(ctx context.Context, call Call, ref string) (resource.BandwidthPackage, error) {
	return get[resource.BandwidthPackage](ctx, s, call, ref)
}

// ListBandwidthPackages returns packages.
func (s *Service) ListBandwidthPackages(ctx context.Context, call Call, q Query) (Page[resource.BandwidthPackage], error) {
	return list[resource.BandwidthPackage](ctx, s, call, q)
}

// BindBandwidthPackage binds a package that is not bound to an accelerator
// that has none of its type.
func (s *Service) BindBandwidthPackage(ctx context.Context, call Call, ref, accelerator string) (resource.BandwidthPackage, error) {
	return mutate(ctx, s, call, "BindBandwidthPackage", []string{ref, accelerator}, func(t *tx) (resource.BandwidthPackage, error) {
		return bindIn(t, ref, accelerator, call.Expect)
	})
}

// UnbindBandwidthPackage unbinds a package that nothing needs: IP sets need the
// Basic one (save of the custom spec), traffic that crosses a border the
// CrossDomain one.
func (s *Service) UnbindBandwidthPackage(ctx context.Context, call Call, ref string) (resource.BandwidthPackage, error) {
	return mutate(ctx, s, call, "UnbindBandwidthPackage", ref, func(t *tx) (resource.BandwidthPackage, error) {
		return updateIn(t, ref, call.Expect, func(b *resource.BandwidthPackage) error {
			if b.Accelerator == "" {
				return resource.Errorf(resource.CodeNotBound, "%s is not bound to any accelerator", resource.RefOf(b))
			}
			b.Accelerator = ""
			return nil
		}, checkPackageChange)
	})
}

// ReplaceBandwidthPackage puts another package of the same type, not bound yet,
// in the place of one that is bound, at once: traffic goes on. It answers the
// new one.
func (s *Service) ReplaceBandwidthPackage(ctx context.Context, call Call, ref, by string) (resource.BandwidthPackage, error) {
	return mutate(ctx, s, call, "ReplaceBandwidthPackage", []string{ref, by}, func(t *tx) (resource.BandwidthPackage, error) {
		return replaceIn(t, ref, by, call.Expect)
	})
}
