package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateRegion(ctx context.Context, r *connect.Request[v1.CreateRegionRequest]) (*connect.Response[v1.Region], error) {
	return create(ctx, r.Msg, r.Msg.GetRegion(), a.service.CreateRegion)
}

func (a *api) GetRegion(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.Region], error) {
	return get[*v1.Region](ctx, r, a.service.GetRegion)
}

func (a *api) ListRegions(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListRegionsResponse], error) {
	items, page, err := list[*v1.Region](ctx, r, a.service.ListRegions)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListRegionsResponse{Regions: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateRegion(ctx context.Context, r *connect.Request[v1.UpdateRegionRequest]) (*connect.Response[v1.Region], error) {
	return update(ctx, r.Msg, r.Msg.GetRegion(), a.service.UpdateRegion, func(to, from *resource.Region) { to.RegionSpec = from.RegionSpec })
}

func (a *api) DeleteRegion(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteRegion)
}
