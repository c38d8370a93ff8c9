package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateEgressIP(ctx context.Context, r *connect.Request[v1.CreateEgressIPRequest]) (*connect.Response[v1.EgressIP], error) {
	return create(ctx, r.Msg, r.Msg.GetEgressIp(), a.service.CreateEgressIP)
}

func (a *api) GetEgressIP(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.EgressIP], error) {
	return get[*v1.EgressIP](ctx, r, a.service.GetEgressIP)
}

func (a *api) ListEgressIPs(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListEgressIPsResponse], error) {
	items, page, err := list[*v1.EgressIP](ctx, r, a.service.ListEgressIPs)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListEgressIPsResponse{EgressIps: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateEgressIP(ctx context.Context, r *connect.Request[v1.UpdateEgressIPRequest]) (*connect.Response[v1.EgressIP], error) {
	return update(ctx, r.Msg, r.Msg.GetEgressIp(), a.service.UpdateEgressIP, func(to, from *resource.EgressIP) { to.EgressIPSpec = from.EgressIPSpec })
}

func (a *api) DeleteEgressIP(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteEgressIP)
}
