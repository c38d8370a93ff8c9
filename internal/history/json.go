package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

type seriesJSON struct {
	PoP     string       `json:"pop"`
	Kind    string       `json:"kind"`
	Name    string       `json:"name"`
	Step    float64      `json:"step_seconds"`
	Columns []string     `json:"columns"`
	Times   []int64      `json:"times"`
	Values  [][]*float64 `json:"values"`
}

// MarshalJSON writes values that are not there as null.
func (s Series) MarshalJSON() ([]byte, error) {
	out := seriesJSON{s.PoP, s.Kind, s.Name, s.Step.Seconds(), s.Columns, s.Times, make([][]*float64, len(s.Values))}
	if out.Times == nil {
		out.Times = []int64{}
	}
	for i, column := range s.Values {
		out.Values[i] = make([]*float64, len(column))
		for j := range column {
			if !math.IsNaN(column[j]) {
				out.Values[i][j] = &column[j]
			}
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Series) UnmarshalJSON(text []byte) error {
	var in seriesJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = Series{Key: Key{in.PoP, in.Kind, in.Name}, Step: time.Duration(in.Step * float64(time.Second)), Columns: in.Columns, Times: in.Times}
	if len(in.Values) != len(in.Columns) {
		return errors.New("history: as many columns as names are needed")
	}
	for _, column := range in.Values {
		if len(column) != len(in.Times) {
			return errors.New("history: as many values as times are needed")
		}
		values := make([]float64, len(column))
		for j, v := range column {
			values[j] = math.NaN()
			if v != nil {
				values[j] = *v
			}
		}
		s.Values = append(s.Values, values)
	}
	return nil
}

// ServeHTTP answers GET …/history with the list of series, and GET
// …/history?kind=KIND&name=NAME&from=SECONDS&to=SECONDS&points=N with one.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	if r.URL.Query().Get("kind") == "" {
		answer = struct {
			Series []Key `json:"series"`
		}{s.List()}
	} else {
		q, err := parseQuery(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		series, err := s.Read(q)
		switch {
		case errors.Is(err, ErrNone):
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		answer = series
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// URL is the request for q, below the handler's path.
func (q Query) URL() string {
	v := url.Values{"pop": {q.PoP}, "kind": {q.Kind}, "name": {q.Name}, "points": {strconv.Itoa(q.Points)},
		"from": {strconv.FormatInt(q.From.Unix(), 10)}, "to": {strconv.FormatInt(q.To.Unix(), 10)}}
	return "?" + v.Encode()
}

func parseQuery(v url.Values) (q Query, err error) {
	q.Key = Key{PoP: v.Get("pop"), Kind: v.Get("kind"), Name: v.Get("name")}
	seconds := func(field string) time.Time {
		n, bad := strconv.ParseInt(v.Get(field), 10, 64)
		if bad != nil && err == nil {
			err = fmt.Errorf("history: %s is %q; allowed: seconds since 1970", field, v.Get(field))
		}
		return time.Unix(n, 0)
	}
	q.From, q.To = seconds("from"), seconds("to")
	if points := v.Get("points"); points != "" {
		if q.Points, err = strconv.Atoi(points); err != nil || q.Points < 0 {
			err = fmt.Errorf("history: points is %q; allowed: a whole number from 0 on", points)
		}
	}
	return q, err
}
