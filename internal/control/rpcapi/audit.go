package rpcapi

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

func (a *api) ListAudit(ctx context.Context, r *connect.Request[v1.ListAuditRequest]) (*connect.Response[v1.ListAuditResponse], error) {
	page, err := a.service.ListAudit(ctx, read(ctx), service.AuditQuery{
		Kind: resource.Kind(r.Msg.GetKind()), Name: r.Msg.GetName(), Caller: r.Msg.GetCaller(),
		Limit: int(r.Msg.GetPageSize()), After: r.Msg.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	answer := &v1.ListAuditResponse{NextPageToken: page.Next}
	for _, e := range page.Entries {
		m := &v1.AuditEntry{At: timestamppb.New(e.At), Caller: e.Caller, Role: string(e.Role), From: e.From, Method: e.Method, RequestId: e.Token}
		for _, c := range e.Changes {
			m.Changes = append(m.Changes, &v1.AuditChange{Kind: string(c.Kind), Name: c.Name, Action: c.Action, Fields: c.Fields})
		}
		answer.Entries = append(answer.Entries, m)
	}
	return connect.NewResponse(answer), nil
}
