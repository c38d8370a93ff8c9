package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateEndpointGroup(ctx context.Context, r *connect.Request[v1.CreateEndpointGroupRequest]) (*connect.Response[v1.EndpointGroup], error) {
	return create(ctx, r.Msg, r.Msg.GetEndpointGroup(), a.service.CreateEndpointGroup)
}

func (a *api) GetEndpointGroup(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.EndpointGroup], error) {
	return get[*v1.EndpointGroup](ctx, r, a.service.GetEndpointGroup)
}

func (a *api) ListEndpointGroups(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListEndpointGroupsResponse], error) {
	items, page, err := list[*v1.EndpointGroup](ctx, r, a.service.ListEndpointGroups)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListEndpointGroupsResponse{EndpointGroups: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateEndpointGroup(ctx context.Context, r *connect.Request[v1.UpdateEndpointGroupRequest]) (*connect.Response[v1.EndpointGroup], error) {
	return update(ctx, r.Msg, r.Msg.GetEndpointGroup(), a.service.UpdateEndpointGroup, func(to, from *resource.EndpointGroup) { to.EndpointGroupSpec = from.EndpointGroupSpec })
}

func (a *api) DeleteEndpointGroup(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteEndpointGroup)
}
