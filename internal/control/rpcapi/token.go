package rpcapi

import (
	"context"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/agentlink"
	"causeway/internal/apiform"
	"causeway/internal/resource"
)

// CreateToken answers with what the machine is given: the token's secret
// together with the fingerprint by which it will know its controller.
func (a *api) CreateToken(ctx context.Context, r *connect.Request[v1.CreateTokenRequest]) (*connect.Response[v1.CreateTokenResponse], error) {
	in, err := decode[resource.Token](r.Msg.GetToken())
	if err != nil {
		return nil, err
	}
	made, err := a.service.CreateToken(ctx, call(ctx, r.Msg), in)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.CreateTokenResponse{Token: apiform.EncodeAs[*v1.Token](&made.Resource), Secret: agentlink.JoinToken(made.Secret, a.options.Fingerprint)}), nil
}

func (a *api) GetToken(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.Token], error) {
	return get[*v1.Token](ctx, r, a.service.GetToken)
}

func (a *api) ListTokens(ctx context.Context, r *connect.Request[v1.ListRequest]) (*connect.Response[v1.ListTokensResponse], error) {
	items, page, err := list[*v1.Token](ctx, r, a.service.ListTokens)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListTokensResponse{Tokens: items, NextPageToken: page.Next, Revision: page.Revision, Total: int32(page.Total)}), nil
}

func (a *api) DeleteToken(ctx context.Context, r *connect.Request[v1.DeleteRequest]) (*connect.Response[v1.DeleteResponse], error) {
	return remove(ctx, r, a.service.DeleteToken)
}
