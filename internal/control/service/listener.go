package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateListener makes a listener on all accelerated IPs of its accelerator.
func (s *Service) CreateListener(ctx context.Context, call Call, in resource.Listener) (resource.Listener, error) {
	return create(ctx, s, call, in, checkListener)
}

// UpdateListener changes a listener; what it has below keeps its egress IPs.
func (s *Service) UpdateListener(ctx context.Context, call Call, ref string, change func(*resource.Listener) error) (resource.Listener, error) {
	return update(ctx, s, call, ref, change, checkListenerChange)
}

// DeleteListener deletes a listener that has no endpoint group.
func (s *Service) DeleteListener(ctx context.Context, call Call, ref string) (resource.Listener, error) {
	return remove[resource.Listener](ctx, s, call, ref, nil)
}

// GetListener returns one listener.
func (s *Service) GetListener(ctx context.Context, call Call, ref string) (resource.Listener, error) {
	return get[resource.Listener](ctx, s, call, ref)
}

// ListListeners returns listeners; Query.Accelerator picks.
func (s *Service) ListListeners(ctx context.Context, call Call, q Query) (Page[resource.Listener], error) {
	return list[resource.Listener](ctx, s, call, q)
}
