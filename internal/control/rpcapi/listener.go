package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateListener(ctx context.Context, r *connect.Request[v1.CreateListenerRequest]) (*connect.Response[v1.Listener], error) {
	return create(ctx, r.Msg, r.Msg.GetListener(), a.service.CreateListener)
}

func (a *api) GetListener(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.Listener], error) {
	return get[*v1.Listener](ctx, r, a.service.GetListener)
}

func (a *api) ListListeners(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListListenersResponse], error) {
	items, page, err := list[*v1.Listener](ctx, r, a.service.ListListeners)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListListenersResponse{Listeners: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateListener(ctx context.Context, r *connect.Request[v1.UpdateListenerRequest]) (*connect.Response[v1.Listener], error) {
	return update(ctx, r.Msg, r.Msg.GetListener(), a.service.UpdateListener, func(to, from *resource.Listener) { to.ListenerSpec = from.ListenerSpec })
}

func (a *api) DeleteListener(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteListener)
}
