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

func checkPackage(t *tx, p *resource.BandwidthPackage) error {
	if p.Accelerator == "" {
		return nil
	}
	b, err := budgetOf(t, p.Accelerator)
	if err != nil {
		return err
	}
	p.Accelerator = b.accelerator.Name
	if other := b.bound(p.Type); other != nil && other.Name != p.Name {
		return resource.Errorf(resource.CodeAlreadyBound, "%s has a %s package already: %s", resource.RefOf(b.accelerator), p.Type, resource.RefOf(other)).
			At("accelerator", p.Accelerator).About(resource.RefOf(other)).
			WithFix("use bandwidth-package replace to put this one in its place while traffic goes on")
	}
	b.bind(p)
	return b.judge("mbps", p.Mbps)
}

func checkPackageChange(t *tx, old, new *resource.BandwidthPackage) error {
	if err := unchanged("type", old.Type, new.Type); err != nil {
		return err
	}
	if old.Grade != new.Grade && (old.Grade != resource.GradeBasic || new.Grade != resource.GradeEnhanced) {
		return resource.Errorf(resource.CodeDowngrade, "a package cannot change from %s to %s", old.Grade, new.Grade).At("kind", new.Grade).
			Allow("%s, as it is; only basic becomes enhanced", old.Grade).WithFix("make another package and replace this one by it")
	}
	if new.Accelerator != "" {
		a, err := find[resource.Accelerator](t, new.Accelerator, "accelerator")
		if err != nil {
			return err
		}
		new.Accelerator = a.Name
	}
	if old.Accelerator != "" && old.Accelerator != new.Accelerator {
		if new.Accelerator != "" {
			return resource.Errorf(resource.CodeAlreadyBound, "%s is bound to %q", resource.RefOf(old), old.Accelerator).At("accelerator", new.Accelerator).
				About(resource.Ref{Kind: resource.KindAccelerator, Name: old.Accelerator}).WithFix("unbind it first")
		}
		return checkUnbind(t, old)
	}
	return checkPackage(t, new)
}

// checkUnbind refuses to take away a package that something needs.
func checkUnbind(t *tx, p *resource.BandwidthPackage) error {
	b, err := budgetOf(t, p.Accelerator)
	if err != nil {
		return err
	}
	if p.Type == resource.CrossDomain {
		b.crossing = nil
		ways, err := crossings(t, b)
		if err != nil || len(ways) == 0 {
			return err
		}
		return resource.Errorf(resource.CodeInUse, "%s carries traffic across a border, from %s", resource.RefOf(p), ways[0]).
			WithFix("delete those endpoint groups or IP sets first, or put another package in its place with bandwidth-package replace")
	}
	b.basic = nil
	if b.crossing != nil {
		return resource.Errorf(resource.CodeInUse, "%s cannot be unbound before %s", resource.RefOf(p), resource.RefOf(b.crossing)).
			About(resource.RefOf(b.crossing)).WithFix("unbind that one first, or use bandwidth-package replace")
	}
	err = b.judge("accelerator", "")
	if e := (*resource.Error)(nil); asError(err, &e) {
		for _, s := range b.sets {
			e.About(resource.RefOf(s))
		}
	}
	return err
}

func checkPackageDelete(t *tx, p *resource.BandwidthPackage) error {
	if p.Accelerator == "" {
		return nil
	}
	above := resource.Ref{Kind: resource.KindAccelerator, Name: p.Accelerator}
	return resource.Errorf(resource.CodeInUse, "%s cannot be deleted while it is bound to %s", resource.RefOf(p), above).About(above).WithFix("unbind it first")
}

func bindIn(t *tx, ref, accelerator string, expect int64) (resource.BandwidthPackage, error) {
	return updateIn(t, ref, expect, func(p *resource.BandwidthPackage) error {
		a, err := find[resource.Accelerator](t, accelerator, "accelerator")
		if err != nil {
			return err
		}
		if p.Accelerator == a.Name {
			return resource.Errorf(resource.CodeAlreadyBound, "%s is bound to %s already", resource.RefOf(p), resource.RefOf(a)).At("accelerator", accelerator)
		}
		if p.Accelerator != "" {
			return resource.Errorf(resource.CodeAlreadyBound, "%s is bound to %q", resource.RefOf(p), p.Accelerator).At("accelerator", accelerator).
				About(resource.Ref{Kind: resource.KindAccelerator, Name: p.Accelerator}).WithFix("unbind it first")
		}
		p.Accelerator = a.Name
		return nil
	}, checkPackageChange)
}

func replaceIn(t *tx, ref, by string, expect int64) (resource.BandwidthPackage, error) {
	var none resource.BandwidthPackage
	old, err := find[resource.BandwidthPackage](t, ref, "")
	if err != nil {
		return none, err
	}
	name := resource.RefOf(old)
	if err := expected(name, old.Revision, expect); err != nil {
		return none, err
	}
	if old.Accelerator == "" {
		return none, resource.Errorf(resource.CodeNotBound, "%s is not bound to any accelerator", name).On(name).WithFix("bind the other one instead")
	}
	next, err := find[resource.BandwidthPackage](t, by, "by")
	if err != nil {
		return none, err
	}
	switch {
	case next.Accelerator != "":
		return none, resource.Errorf(resource.CodeAlreadyBound, "%s is bound to %q", resource.RefOf(next), next.Accelerator).On(name).At("by", by).
			WithFix("choose a package that is not bound, or unbind it first")
	case next.Type != old.Type:
		return none, resource.Errorf(resource.CodeInvalidField, "%s is of another type than %s", resource.RefOf(next), name).On(name).At("by", by).
			Allow("a package of the type %s", old.Type)
	}
	freed, bound := *old, *next
	freed.Accelerator, bound.Accelerator = "", old.Accelerator
	if err := t.replace(old, &freed); err != nil {
		return none, err
	}
	if err := checkPackage(t, &bound); err != nil {
		return none, on(name, err)
	}
	return bound, t.replace(next, &bound)
}
