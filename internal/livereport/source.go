package livereport

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/history"
	"causeway/internal/popagent"
	"causeway/internal/report"
)

// AtPoP reads from a PoP on this machine, which has every ping.
type AtPoP struct{ Client popagent.Client }

// Keys implements Source.
func (s AtPoP) Keys(ctx context.Context) ([]history.Key, error) {
	body, err := s.Client.Get(ctx, "/history")
	if err != nil {
		return nil, err
	}
	var list struct {
		Series []history.Key `json:"series"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("read the PoP's list of history: %w", err)
	}
	return list.Series, nil
}

// Series implements Source.
func (s AtPoP) Series(ctx context.Context, q history.Query) (out history.Series, err error) {
	body, err := s.Client.Get(ctx, "/history"+q.URL())
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return out, fmt.Errorf("read the PoP's history: %w", err)
	}
	return out, nil
}

// Report implements Source.
func (s AtPoP) Report(ctx context.Context, pop string) (report.PoP, error) {
	p, err := s.Client.Status(ctx)
	if err == nil && p.Name != pop {
		err = fmt.Errorf("the PoP at %s is %s, not %s", s.Client.Socket, p.Name, pop)
	}
	return p, err
}

// AtController reads from a controller, which has what PoPs report every few seconds.
type AtController struct{ Client *apiclient.Client }

// Keys implements Source.
func (s AtController) Keys(ctx context.Context) ([]history.Key, error) {
	answer, err := s.Client.Call(ctx, "HistoryService", "ListHistory", &v1.ListHistoryRequest{})
	if err != nil {
		return nil, err
	}
	var keys []history.Key
	for _, k := range answer.(*v1.ListHistoryResponse).GetSeries() {
		keys = append(keys, history.Key{PoP: k.GetPop(), Kind: k.GetKind(), Name: k.GetName()})
	}
	return keys, nil
}

// Series implements Source.
func (s AtController) Series(ctx context.Context, q history.Query) (out history.Series, err error) {
	points := q.Points
	if points == 0 {
		points = 1 << 20
	}
	answer, err := s.Client.Call(ctx, "HistoryService", "GetHistory", &v1.GetHistoryRequest{
		Series:      &v1.HistorySeries{Pop: q.PoP, Kind: q.Kind, Name: q.Name},
		FromSeconds: q.From.Unix(), ToSeconds: q.To.Unix(), Points: int32(points),
	})
	if err != nil {
		return out, err
	}
	h := answer.(*v1.History)
	out = history.Series{Key: q.Key, Step: time.Duration(h.GetStepSeconds() * float64(time.Second)), Times: h.GetTimes()}
	for _, c := range h.GetColumns() {
		if len(c.GetValues()) != len(out.Times) {
			return out, fmt.Errorf("the controller's history of %v has %d times and %d values of %s", q.Key, len(out.Times), len(c.GetValues()), c.GetName())
		}
		out.Columns = append(out.Columns, c.GetName())
		out.Values = append(out.Values, c.GetValues())
	}
	return out, nil
}

// Report implements Source.
func (s AtController) Report(ctx context.Context, pop string) (p report.PoP, err error) {
	answer, err := s.Client.Call(ctx, "ControlService", "GetPoPReport", &v1.GetRequest{Name: pop})
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(answer.(*v1.PoPReport).GetJson(), &p)
	p.Name = pop // as the controller knows it
	return p, err
}
