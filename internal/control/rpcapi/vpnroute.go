package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateVPNRoute(ctx context.Context, r *connect.Request[v1.CreateVPNRouteRequest]) (*connect.Response[v1.VPNRoute], error) {
	return create(ctx, r.Msg, r.Msg.GetVpnRoute(), a.service.CreateVPNRoute)
}

func (a *api) GetVPNRoute(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.VPNRoute], error) {
	return get[*v1.VPNRoute](ctx, r, a.service.GetVPNRoute)
}

func (a *api) ListVPNRoutes(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListVPNRoutesResponse], error) {
	items, page, err := list[*v1.VPNRoute](ctx, r, a.service.ListVPNRoutes)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListVPNRoutesResponse{VpnRoutes: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateVPNRoute(ctx context.Context, r *connect.Request[v1.UpdateVPNRouteRequest]) (*connect.Response[v1.VPNRoute], error) {
	return update(ctx, r.Msg, r.Msg.GetVpnRoute(), a.service.UpdateVPNRoute, func(to, from *resource.VPNRoute) { to.VPNRouteSpec = from.VPNRouteSpec })
}

func (a *api) DeleteVPNRoute(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteVPNRoute)
}
