package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateVPNGateway(ctx context.Context, r *connect.Request[v1.CreateVPNGatewayRequest]) (*connect.Response[v1.VPNGateway], error) {
	return create(ctx, r.Msg, r.Msg.GetVpnGateway(), a.service.CreateVPNGateway)
}

func (a *api) GetVPNGateway(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.VPNGateway], error) {
	return get[*v1.VPNGateway](ctx, r, a.service.GetVPNGateway)
}

func (a *api) ListVPNGateways(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListVPNGatewaysResponse], error) {
	items, page, err := list[*v1.VPNGateway](ctx, r, a.service.ListVPNGateways)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListVPNGatewaysResponse{VpnGateways: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateVPNGateway(ctx context.Context, r *connect.Request[v1.UpdateVPNGatewayRequest]) (*connect.Response[v1.VPNGateway], error) {
	return update(ctx, r.Msg, r.Msg.GetVpnGateway(), a.service.UpdateVPNGateway, func(to, from *resource.VPNGateway) { to.VPNGatewaySpec = from.VPNGatewaySpec })
}

func (a *api) DeleteVPNGateway(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteVPNGateway)
}

func (a *api) RevokeVPNGateway(ctx context.Context, r *connect.Request[v1.RevokeVPNGatewayRequest]) (*connect.Response[v1.VPNGateway], error) {
	return answer[*v1.VPNGateway](a.service.RevokeVPNGateway(ctx, call(ctx, r.Msg), r.Msg.GetName()))
}

func (a *api) GetVPNGatewayReport(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.VPNGatewayReport], error) {
	g, err := a.service.GetVPNGateway(ctx, read(ctx), r.Msg.GetName()) // judges the caller, too
	if err != nil {
		return nil, err
	}
	text, have := a.options.LastReport(resource.AgentOf(resource.RefOf(&g)))
	if !have {
		return nil, resource.Errorf(resource.CodeUnavailable, "%s has not reported to this controller yet", resource.RefOf(&g)).
			On(resource.RefOf(&g)).WithFix("see its state with: causeway vpn-gateway get %s; with several controllers, ask the one it is connected to", g.Name)
	}
	return connect.NewResponse(&v1.VPNGatewayReport{VpnGateway: g.Name, Json: text}), nil
}
