package server

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/agentlink"
	"causeway/internal/history"
	"causeway/internal/livereport"
	"causeway/internal/report"
	"causeway/internal/resource"
)

// told has a controller take a PoP's reports, ten seconds apart, each of ten
// pings of which four were lost before, and none after.
func (r *running) told(t *testing.T, pop string, clock time.Duration) {
	t.Helper()
	began := time.Now().Add(-30 * time.Second)
	for i := range uint64(4) {
		p := report.PoP{Name: "what it calls itself", Started: began, At: began.Add(time.Duration(10*i)*time.Second + clock)}
		p.Listeners = []report.Listener{{Name: "vpn", Accelerator: "office", Groups: []report.Target{{Egress: "seoul"}}, Traffic: report.Traffic{BytesFromPeer: 1000 * i}}}
		p.Paths = []report.Path{{To: "seoul", Plain: report.PathSide{Sent: 10 * i, Lost: 4 * i, RTT: 60, RTTMin: 55, RTTMax: 70}, Accelerated: report.PathSide{Sent: 10 * i, RTT: 31, RTTMin: 30, RTTMax: 33}}}
		text, err := json.Marshal(p)
		must(t, err)
		must(t, r.server.controller.Report(context.Background(), pop, agentlink.Report{JSON: text}))
		if clock != 0 {
			time.Sleep(2 * time.Millisecond) // two reports at one instant have no rate
		}
	}
}

// What PoPs report is kept under the name that the controller knows them by, and
// told by the API; a report of an accelerator is made of it.
func TestHistoryIsKeptOfWhatPoPsReport(t *testing.T) {
	store, err := history.Open(t.TempDir(), history.Options{})
	must(t, err)
	defer store.Close()
	r := startWith(t, store)
	c := r.client(r.admin)
	r.tutorial(c)
	r.told(t, "shanghai", 0)
	source := livereport.AtController{Client: c}
	keys, err := source.Keys(t.Context())
	must(t, err)
	kinds := map[string]bool{}
	for _, k := range keys {
		if k.PoP != "shanghai" {
			t.Errorf("there is a series of %v", k)
		}
		kinds[k.Kind] = true
	}
	for _, kind := range []string{"plain", "accelerated", "listener", "accelerator", "pop"} {
		if !kinds[kind] {
			t.Errorf("there is no series of kind %s among %v", kind, keys)
		}
	}
	now := time.Now()
	d, err := livereport.Make(t.Context(), source, livereport.Options{Accelerator: "office", From: now.Add(-time.Hour), To: now.Add(time.Minute)})
	must(t, err)
	if d.Direct.Sent != 30 || d.Direct.Received != 18 || d.Accelerated.Sent != 30 || d.Accelerated.Received != 30 || d.Live.PointS != 10 {
		t.Errorf("before %d of %d, after %d of %d, points of %v s", d.Direct.Received, d.Direct.Sent, d.Accelerated.Received, d.Accelerated.Sent, d.Live.PointS)
	}
}

// A PoP whose clock is off by hours is kept under the controller's time.
func TestAPoPsClockIsNotBelievedWhenItIsOff(t *testing.T) {
	store, err := history.Open(t.TempDir(), history.Options{})
	must(t, err)
	defer store.Close()
	r := startWith(t, store)
	r.tutorial(r.client(r.admin))
	r.told(t, "shanghai", -5*time.Hour)
	now := time.Now()
	s, err := store.Read(history.Query{Key: history.Key{PoP: "shanghai", Kind: "plain", Name: "seoul"}, From: now.Add(-time.Minute), To: now.Add(time.Minute)})
	if err != nil || len(s.Times) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func startWith(t *testing.T, store *history.Store) *running {
	r := start(t)
	r.stop()
	r.history = store
	r.run()
	return r
}

func TestHistoryIsRefusedWithReasons(t *testing.T) {
	store, err := history.Open(t.TempDir(), history.Options{})
	must(t, err)
	defer store.Close()
	r := startWith(t, store)
	for name, c := range map[string]struct {
		request *v1.GetHistoryRequest
		code    resource.Code
	}{
		"nothing is kept": {&v1.GetHistoryRequest{Series: &v1.HistorySeries{Pop: "x", Kind: "pop"}}, resource.CodeNotFound},
		"no such kind":    {&v1.GetHistoryRequest{Series: &v1.HistorySeries{Pop: "x", Kind: "zzz"}}, resource.CodeInvalidField},
		"no time":         {&v1.GetHistoryRequest{Series: &v1.HistorySeries{Pop: "x", Kind: "pop"}, FromSeconds: 20, ToSeconds: 10}, resource.CodeInvalidField},
	} {
		_, err := r.client(r.admin).Call(t.Context(), "HistoryService", "GetHistory", c.request)
		if resource.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger := r.admin
	stranger.AccessKey = "nobody.nothing"
	if _, err := r.client(stranger).Call(t.Context(), "HistoryService", "ListHistory", &v1.ListHistoryRequest{}); resource.CodeOf(err) != resource.CodeUnauthenticated {
		t.Errorf("a stranger is told: %v", err)
	}
	none := start(t)
	if _, err := none.client(none.admin).Call(t.Context(), "HistoryService", "ListHistory", &v1.ListHistoryRequest{}); resource.CodeOf(err) != resource.CodeUnsupported {
		t.Errorf("a controller without history: %v", err)
	}
}

func TestReadinessAndFactsOfAController(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	r.tutorial(c)
	if f := r.server.Facts(t.Context()); f.PoPs["not-enrolled"] != 2 || f.Revision == 0 || f.Authority.Before(time.Now()) {
		t.Errorf("%+v", f)
	}
	for _, check := range r.server.Ready(t.Context()) {
		if check.Reason != "" {
			t.Errorf("%+v", check)
		}
	}
	must(t, r.store.Close())
	eventually(t, "a store that is gone to be noticed", func() bool {
		for _, check := range r.server.Ready(t.Context()) {
			if check.Name == "store" && check.Reason != "" && check.Fix != "" {
				return true
			}
		}
		return false
	})
}
