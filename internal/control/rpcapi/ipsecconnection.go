package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateIPsecConnection(ctx context.Context, r *connect.Request[v1.CreateIPsecConnectionRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return create(ctx, r.Msg, r.Msg.GetIpsecConnection(), a.service.CreateIPsecConnection)
}

func (a *api) GetIPsecConnection(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return get[*v1.IPsecConnection](ctx, r, a.service.GetIPsecConnection)
}

func (a *api) ListIPsecConnections(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListIPsecConnectionsResponse], error) {
	items, page, err := list[*v1.IPsecConnection](ctx, r, a.service.ListIPsecConnections)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListIPsecConnectionsResponse{IpsecConnections: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateIPsecConnection(ctx context.Context, r *connect.Request[v1.UpdateIPsecConnectionRequest]) (*connect.Response[v1.IPsecConnection], error) {
	return update(ctx, r.Msg, r.Msg.GetIpsecConnection(), a.service.UpdateIPsecConnection, func(to, from *resource.IPsecConnection) { to.IPsecConnectionSpec = from.IPsecConnectionSpec })
}

func (a *api) DeleteIPsecConnection(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteIPsecConnection)
}
