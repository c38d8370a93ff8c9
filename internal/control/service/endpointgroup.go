package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateEndpointGroup makes an endpoint group and gives it its egress IP: the
// reserved one that it names, or one of its own. The answer shows it.
func (s *Service) CreateEndpointGroup(ctx context.Context, call Call, in resource.EndpointGroup) (resource.EndpointGroup, error) {
	return create(ctx, s, call, in, checkGroup)
}

// UpdateEndpointGroup changes an endpoint group. Its egress IP stays, unless
// the change names another one.
func (s *Service) UpdateEndpointGroup(ctx context.Context, call Call, ref string, change func(*resource.EndpointGroup) error) (resource.EndpointGroup, error) {
	return update(ctx, s, call, ref, change, checkGroupChange)
}

// DeleteEndpointGroup deletes an endpoint group, and its egress IP with it
// unless that is reserved.
func (s *Service) DeleteEndpointGroup(ctx context.Context, call Call, ref string) (resource.EndpointGroup, error) {
	return remove(ctx, s, call, ref, releaseEgress)
}

// GetEndpointGroup returns one endpoint group.
func (s *Service) GetEndpointGroup(ctx context.Context, call Call, ref string) (resource.EndpointGroup, error) {
	return get[resource.EndpointGroup](ctx, s, call, ref)
}

// ListEndpointGroups returns endpoint groups; Query.Accelerator, Listener, Region and PoP pick.
func (s *Service) ListEndpointGroups(ctx context.Context, call Call, q Query) (Page[resource.EndpointGroup], error) {
	return list[resource.EndpointGroup](ctx, s, call, q)
}
