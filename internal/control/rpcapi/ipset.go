package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateIPSet(ctx context.Context, r *connect.Request[v1.CreateIPSetRequest]) (*connect.Response[v1.IPSet], error) {
	return create(ctx, r.Msg, r.Msg.GetIpSet(), a.service.CreateIPSet)
}

func (a *api) GetIPSet(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.IPSet], error) {
	return get[*v1.IPSet](ctx, r, a.service.GetIPSet)
}

func (a *api) ListIPSets(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListIPSetsResponse], error) {
	items, page, err := list[*v1.IPSet](ctx, r, a.service.ListIPSets)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListIPSetsResponse{IpSets: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateIPSet(ctx context.Context, r *connect.Request[v1.UpdateIPSetRequest]) (*connect.Response[v1.IPSet], error) {
	return update(ctx, r.Msg, r.Msg.GetIpSet(), a.service.UpdateIPSet, func(to, from *resource.IPSet) { to.IPSetSpec = from.IPSetSpec })
}

func (a *api) DeleteIPSet(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteIPSet)
}
