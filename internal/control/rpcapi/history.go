package rpcapi

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/control/auth"
	"causeway/internal/history"
	"causeway/internal/resource"
)

// defaultPoints is how many points an answer has when nobody says.
const defaultPoints = 1000

var noHistory = resource.Errorf(resource.CodeUnsupported, "this controller keeps no history").
	WithFix("its log says why, and each PoP keeps its own")

// GetHistory returns one series. Who may see PoPs may see what they did.
func (a *api) GetHistory(ctx context.Context, r *connect.Request[v1.GetHistoryRequest]) (*connect.Response[v1.History], error) {
	if err := auth.Authorize(callerOf(ctx), "GetPoP"); err != nil {
		return nil, err
	}
	if a.options.History == nil {
		return nil, noHistory
	}
	s := r.Msg.GetSeries()
	q := history.Query{Key: history.Key{PoP: s.GetPop(), Kind: s.GetKind(), Name: s.GetName()}, Points: int(r.Msg.GetPoints()), To: time.Now()}
	if q.Points == 0 {
		q.Points = defaultPoints
	}
	if to := r.Msg.GetToSeconds(); to != 0 {
		q.To = time.Unix(to, 0)
	}
	q.From = q.To.Add(-time.Hour)
	if from := r.Msg.GetFromSeconds(); from != 0 {
		q.From = time.Unix(from, 0)
	}
	series, err := a.options.History.Read(q)
	switch {
	case errors.Is(err, history.ErrNone):
		return nil, resource.Errorf(resource.CodeNotFound, "nothing is kept of %v", q.Key).At("series", q.Key.String()).
			WithFix("a series begins when its PoP reports to this controller")
	case err != nil:
		return nil, resource.Errorf(resource.CodeInvalidField, "%v", err).At("series", q.Key.String()).WithFix("give a kind that there is, and a time that begins before it ends")
	}
	out := &v1.History{Series: s, StepSeconds: series.Step.Seconds(), Times: series.Times}
	for i, name := range series.Columns {
		out.Columns = append(out.Columns, &v1.HistoryColumn{Name: name, Values: series.Values[i]})
	}
	return connect.NewResponse(out), nil
}

// ListHistory returns which series there are.
func (a *api) ListHistory(ctx context.Context, r *connect.Request[v1.ListHistoryRequest]) (*connect.Response[v1.ListHistoryResponse], error) {
	if err := auth.Authorize(callerOf(ctx), "GetPoP"); err != nil {
		return nil, err
	}
	if a.options.History == nil {
		return nil, noHistory
	}
	out := &v1.ListHistoryResponse{}
	for _, k := range a.options.History.List() {
		if pop := r.Msg.GetPop(); pop == "" || pop == k.PoP {
			out.Series = append(out.Series, &v1.HistorySeries{Pop: k.PoP, Kind: k.Kind, Name: k.Name})
		}
	}
	return connect.NewResponse(out), nil
}
