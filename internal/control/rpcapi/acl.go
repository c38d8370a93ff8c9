package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateACL(ctx context.Context, r *connect.Request[v1.CreateACLRequest]) (*connect.Response[v1.ACL], error) {
	return create(ctx, r.Msg, r.Msg.GetAcl(), a.service.CreateACL)
}

func (a *api) GetACL(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.ACL], error) {
	return get[*v1.ACL](ctx, r, a.service.GetACL)
}

func (a *api) ListACLs(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListACLsResponse], error) {
	items, page, err := list[*v1.ACL](ctx, r, a.service.ListACLs)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListACLsResponse{Acls: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateACL(ctx context.Context, r *connect.Request[v1.UpdateACLRequest]) (*connect.Response[v1.ACL], error) {
	return update(ctx, r.Msg, r.Msg.GetAcl(), a.service.UpdateACL, func(to, from *resource.ACL) { to.ACLSpec = from.ACLSpec })
}

func (a *api) DeleteACL(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteACL)
}
