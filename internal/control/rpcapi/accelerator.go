package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateAccelerator(ctx context.Context, r *connect.Request[v1.CreateAcceleratorRequest]) (*connect.Response[v1.Accelerator], error) {
	return create(ctx, r.Msg, r.Msg.GetAccelerator(), a.service.CreateAccelerator)
}

func (a *api) GetAccelerator(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.Accelerator], error) {
	return get[*v1.Accelerator](ctx, r, a.service.GetAccelerator)
}

func (a *api) ListAccelerators(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListAcceleratorsResponse], error) {
	items, page, err := list[*v1.Accelerator](ctx, r, a.service.ListAccelerators)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListAcceleratorsResponse{Accelerators: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateAccelerator(ctx context.Context, r *connect.Request[v1.UpdateAcceleratorRequest]) (*connect.Response[v1.Accelerator], error) {
	return update(ctx, r.Msg, r.Msg.GetAccelerator(), a.service.UpdateAccelerator, func(to, from *resource.Accelerator) { to.AcceleratorSpec = from.AcceleratorSpec })
}

func (a *api) DeleteAccelerator(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteAccelerator)
}
