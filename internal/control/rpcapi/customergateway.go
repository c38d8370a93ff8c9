package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

func (a *api) CreateCustomerGateway(ctx context.Context, r *connect.Request[v1.CreateCustomerGatewayRequest]) (*connect.Response[v1.CustomerGateway], error) {
	return create(ctx, r.Msg, r.Msg.GetCustomerGateway(), a.service.CreateCustomerGateway)
}

func (a *api) GetCustomerGateway(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.CustomerGateway], error) {
	return get[*v1.CustomerGateway](ctx, r, a.service.GetCustomerGateway)
}

func (a *api) ListCustomerGateways(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListCustomerGatewaysResponse], error) {
	items, page, err := list[*v1.CustomerGateway](ctx, r, a.service.ListCustomerGateways)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListCustomerGatewaysResponse{CustomerGateways: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) UpdateCustomerGateway(ctx context.Context, r *connect.Request[v1.UpdateCustomerGatewayRequest]) (*connect.Response[v1.CustomerGateway], error) {
	return update(ctx, r.Msg, r.Msg.GetCustomerGateway(), a.service.UpdateCustomerGateway, func(to, from *resource.CustomerGateway) { to.CustomerGatewaySpec = from.CustomerGatewaySpec })
}

func (a *api) DeleteCustomerGateway(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteCustomerGateway)
}
