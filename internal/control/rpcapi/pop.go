package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreatePoP(ctx context.Context, r *connect.Request[v1.CreatePoPRequest]) (*connect.Response[v1.PoP], error) {
	return create(ctx, r.Msg, r.Msg.GetPop(), a.service.CreatePoP)
}

func (a *api) GetPoP(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.PoP], error) {
	return get[*v1.PoP](ctx, r, a.service.GetPoP)
}

func (a *api) ListPoPs(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListPoPsResponse], error) {
	items, page, err := list[*v1.PoP](ctx, r, a.service.ListPoPs)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListPoPsResponse{Pops: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdatePoP(ctx context.Context, r *connect.Request[v1.UpdatePoPRequest]) (*connect.Response[v1.PoP], error) {
	return update(ctx, r.Msg, r.Msg.GetPop(), a.service.UpdatePoP, func(to, from *resource.PoP) { to.PoPSpec = from.PoPSpec })
}

func (a *api) DeletePoP(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeletePoP)
}

func (a *api) RevokePoP(ctx context.Context, r *connect.Request[v1.RevokePoPRequest]) (*connect.Response[v1.PoP], error) {
	return answer[*v1.PoP](a.service.RevokePoP(ctx, call(ctx, r.Msg), r.Msg.GetName()))
}
