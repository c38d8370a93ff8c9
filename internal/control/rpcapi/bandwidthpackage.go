package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateBandwidthPackage(ctx context.Context, r *connect.Request[v1.CreateBandwidthPackageRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return create(ctx, r.Msg, r.Msg.GetBandwidthPackage(), a.service.CreateBandwidthPackage)
}

func (a *api) GetBandwidthPackage(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return get[*v1.BandwidthPackage](ctx, r, a.service.GetBandwidthPackage)
}

func (a *api) ListBandwidthPackages(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListBandwidthPackagesResponse], error) {
	items, page, err := list[*v1.BandwidthPackage](ctx, r, a.service.ListBandwidthPackages)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListBandwidthPackagesResponse{BandwidthPackages: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateBandwidthPackage(ctx context.Context, r *connect.Request[v1.UpdateBandwidthPackageRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return update(ctx, r.Msg, r.Msg.GetBandwidthPackage(), a.service.UpdateBandwidthPackage, func(to, from *resource.BandwidthPackage) { to.BandwidthPackageSpec = from.BandwidthPackageSpec })
}

func (a *api) DeleteBandwidthPackage(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteBandwidthPackage)
}

func (a *api) BindBandwidthPackage(ctx context.Context, r *connect.Request[v1.BindBandwidthPackageRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return answer[*v1.BandwidthPackage](a.service.BindBandwidthPackage(ctx, call(ctx, r.Msg), r.Msg.GetName(), r.Msg.GetAccelerator()))
}

func (a *api) UnbindBandwidthPackage(ctx context.Context, r *connect.Request[v1.UnbindBandwidthPackageRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return answer[*v1.BandwidthPackage](a.service.UnbindBandwidthPackage(ctx, call(ctx, r.Msg), r.Msg.GetName()))
}

func (a *api) ReplaceBandwidthPackage(ctx context.Context, r *connect.Request[v1.ReplaceBandwidthPackageRequest]) (*connect.Response[v1.BandwidthPackage], error) {
	return answer[*v1.BandwidthPackage](a.service.ReplaceBandwidthPackage(ctx, call(ctx, r.Msg), r.Msg.GetName(), r.Msg.GetBy()))
}
