package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiform"
	"causeway/internal/resource"
)

func (a *api) CreateAccessKey(ctx context.Context, r *connect.Request[v1.CreateAccessKeyRequest]) (*connect.Response[v1.CreateAccessKeyResponse], error) {
	in, err := decode[resource.AccessKey](r.Msg.GetAccessKey())
	if err != nil {
		return nil, err
	}
	made, err := a.service.CreateAccessKey(ctx, call(ctx, r.Msg), in)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.CreateAccessKeyResponse{AccessKey: apiform.EncodeAs[*v1.AccessKey](&made.Resource), Secret: made.Secret}), nil
}

func (a *api) GetAccessKey(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.AccessKey], error) {
	return get[*v1.AccessKey](ctx, r, a.service.GetAccessKey)
}

func (a *api) ListAccessKeys(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListAccessKeysResponse], error) {
	items, page, err := list[*v1.AccessKey](ctx, r, a.service.ListAccessKeys)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListAccessKeysResponse{AccessKeys: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateAccessKey(ctx context.Context, r *connect.Request[v1.UpdateAccessKeyRequest]) (*connect.Response[v1.AccessKey], error) {
	return update(ctx, r.Msg, r.Msg.GetAccessKey(), a.service.UpdateAccessKey, func(to, from *resource.AccessKey) { to.AccessKeySpec = from.AccessKeySpec })
}

func (a *api) DeleteAccessKey(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteAccessKey)
}
