package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateAccelerator makes an accelerator.
func (s *Service) CreateAccelerator(ctx context.Context, call Call, in resource.Accelerator) (resource.Accelerator, error) {
	return create(ctx, s, call, in, checkAccelerator)
}

// UpdateAccelerator changes an accelerator. A smaller spec must hold what the
// accelerator has.
func (s *Service) UpdateAccelerator(ctx context.Context, call Call, ref string, change func(*resource.Accelerator) error) (resource.Accelerator, error) {
	return update(ctx, s, call, ref, change, checkAcceleratorChange)
}

// DeleteAccelerator deletes an accelerator that nothing hangs on.
func (s *Service) DeleteAccelerator(ctx context.Context, call Call, ref string) (resource.Accelerator, error) {
	return remove[resource.Accelerator](ctx, s, call, ref, nil)
}

// GetAccelerator returns one accelerator.
func (s *Service) GetAccelerator(ctx context.Context, call Call, ref string) (resource.Accelerator, error) {
	return get[resource.Accelerator](ctx, s, call, ref)
}

// ListAccelerators returns accelerators.
func (s *Service) ListAccelerators(ctx context.Context, call Call, q Query) (Page[resource.Accelerator], error) {
	return list[resource.Accelerator](ctx, s, call, q)
}

func checkAccelerator(*tx, *resource.Accelerator) error { return nil }

func checkAcceleratorChange(t *tx, old, new *resource.Accelerator) error {
	if old.Spec == new.Spec {
		return nil
	}
	b, err := budgetOf(t, old.Name)
	if err != nil {
		return err
	}
	b.accelerator = new
	return b.judge("spec", new.Spec)
}
