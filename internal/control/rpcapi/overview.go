package rpcapi

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/control/overview"
	"causeway/internal/control/service"
)

// signOfLife is how long a watcher of overviews waits at most.
const signOfLife = 5 * time.Second

func (a *api) GetOverview(ctx context.Context, _ *connect.Request[v1.GetOverviewRequest]) (*connect.Response[v1.Overview], error) {
	o, err := a.makeOverview(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(o), nil
}

func (a *api) WatchOverview(ctx context.Context, r *connect.Request[v1.WatchOverviewRequest], stream *connect.ServerStream[v1.Overview]) error {
	tick := time.NewTicker(overview.Interval(r.Msg.GetIntervalMs()))
	defer tick.Stop()
	var told *v1.Overview
	for {
		o, err := a.makeOverview(ctx)
		if err != nil {
			return err
		}
		if told == nil || !sameOverview(told, o) || o.GetAt().AsTime().Sub(told.GetAt().AsTime()) >= signOfLife {
			if err := stream.Send(o); err != nil {
				return err
			}
			told = o
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// makeOverview judges the caller by asking for the PoPs as them.
func (a *api) makeOverview(ctx context.Context) (*v1.Overview, error) {
	var names []string
	for q := (service.Query{Limit: 1000}); ; {
		page, err := a.service.ListPoPs(ctx, read(ctx), q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			names = append(names, page.Items[i].Name)
		}
		if q.After = page.Next; q.After == "" {
			return a.overviews.Make(names, time.Now()), nil
		}
	}
}

// sameOverview reports whether two overviews differ in nothing but their time.
func sameOverview(a, b *v1.Overview) bool {
	x, y := proto.CloneOf(a), proto.CloneOf(b)
	x.At, y.At = nil, nil
	return proto.Equal(x, y)
}
