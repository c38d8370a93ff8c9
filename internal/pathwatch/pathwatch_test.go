package pathwatch

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"causeway/internal/history"
	"causeway/internal/report"
	"causeway/internal/trace"
)

var (
	seoul  = netip.MustParseAddr("203.0.113.20")
	router = netip.MustParseAddr("192.0.2.1")
)

func popReport() report.PoP {
	return report.PoP{
		Name: "sh1",
		Listeners: []report.Listener{
			{Name: "vpn", Repair: "latency", Groups: []report.Target{{Egress: "se1"}, {Egress: "sh1"}}},
			{Name: "other", Repair: "off", Groups: []report.Target{{Egress: "se1"}, {Egress: "tk1"}}},
		},
		Segments: []report.Segment{
			{Peer: "se1", Wires: []report.Wire{{Remote: netip.MustParseAddrPort("[2001:db8::1]:4600")}, {Remote: netip.AddrPortFrom(seoul, 4600)}}},
			{Peer: "xx1", Wires: []report.Wire{{Remote: netip.MustParseAddrPort("203.0.113.99:4600")}}},
		},
	}
}

func TestThosePoPsAreAskedThatListenersSendTo(t *testing.T) {
	got := targetsOf(popReport())
	want := []target{{"se1", seoul, 1}, {"tk1", netip.Addr{}, 0}}
	if len(got) != 2 || got[0].to != want[0].to || got[0].addr != want[0].addr || got[1].addr.IsValid() {
		t.Errorf("%+v", got)
	}
	if got[0].mode == got[1].mode {
		t.Errorf("modes of two listeners are both %d", got[0].mode)
	}
	var many report.PoP
	for i := range 100 {
		many.Listeners = append(many.Listeners, report.Listener{Groups: []report.Target{{Egress: string(rune('A' + i))}}})
	}
	if n := len(targetsOf(many)); n != most {
		t.Errorf("%d are asked", n)
	}
}

// Probes of both ways are counted, reported and kept, and asking stops when the
// listener goes.
func TestBothWaysAreAskedCountedAndKept(t *testing.T) {
	store, err := history.Open(t.TempDir(), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var echoes, stopped atomic.Int64
	began := time.Now().Add(-time.Minute)
	w := &Watcher{History: store, Plain: true, Log: slog.New(slog.DiscardHandler), every: time.Millisecond,
		Echo: func(_ context.Context, to string, over []string, _ int, _ uint8) (time.Duration, error) {
			if echoes.Add(1)%4 == 0 {
				return 0, context.DeadlineExceeded
			}
			return 31 * time.Millisecond, nil
		},
		watch: func(ctx context.Context, c trace.Watching, each func(trace.Settled)) error {
			if c.Target != seoul {
				t.Errorf("%v is asked", c.Target)
			}
			for i := range 10 {
				rtt := 40 * time.Millisecond
				if i%2 == 0 {
					rtt = trace.Lost
				}
				each(trace.Settled{Host: seoul, At: began.Add(time.Duration(i) * time.Second), RTT: rtt, Sent: true})
			}
			each(trace.Settled{TTL: 1, Host: router, At: began, RTT: time.Millisecond, Sent: true})
			each(trace.Settled{TTL: 1, At: began.Add(time.Second), RTT: trace.Lost, Sent: true})
			each(trace.Settled{TTL: 2, At: began, RTT: trace.Lost, Sent: true})
			<-ctx.Done()
			stopped.Add(1)
			return nil
		}}
	ctx, cancel := context.WithCancel(t.Context())
	w.Start(ctx)
	w.Look(popReport())
	amended := func() report.Path {
		var p report.PoP
		w.Amend(&p)
		if len(p.Paths) == 0 {
			return report.Path{}
		}
		return p.Paths[0]
	}
	deadline := time.Now().Add(30 * time.Second)
	for p := amended(); time.Now().Before(deadline) && (p.Plain.Sent < 10 || len(p.Hops) == 0 || p.Accelerated.Lost < 2); p = amended() {
		time.Sleep(time.Millisecond)
	}
	p := amended()
	if p.To != "se1" || p.Plain.Lost != 5 || p.Plain.Loss != .5 || p.Plain.RTT != 40 || p.Accelerated.RTT != 31 || p.Accelerated.Lost == 0 {
		t.Errorf("%+v", p)
	}
	if len(p.Hops) != 1 || p.Hops[0].Host != router || p.Hops[0].Sent != 2 || p.Hops[0].Lost != 1 {
		t.Errorf("hops %+v", p.Hops)
	}
	w.Look(popReport()) // writes what is old enough
	series, err := store.Read(history.Query{Key: history.Key{PoP: "sh1", Kind: "plain", Name: "se1"}, From: began.Add(-time.Second), To: time.Now()})
	if err != nil || len(series.Times) != 10 || series.Column("lost")[0] != 1 || series.Column("rtt_ms")[1] != 40 || !math.IsNaN(series.Column("rtt_ms")[0]) {
		t.Errorf("kept: %+v, %v", series, err)
	}
	w.Look(report.PoP{Name: "sh1"})
	for time.Now().Before(deadline) && stopped.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if len(w.paths) != 0 || stopped.Load() != 1 {
		t.Errorf("%d are still asked, %d stopped", len(w.paths), stopped.Load())
	}
	cancel()
	w.Wait()
	if _, err := store.Read(history.Query{Key: history.Key{PoP: "sh1", Kind: "accelerated", Name: "se1"}, From: began, To: time.Now().Add(time.Second)}); err != nil {
		t.Error(err)
	}
	to, ttl, host, ok := ParseHopName(HopName("se1", 1, router))
	if !ok || to != "se1" || ttl != 1 || host != router {
		t.Errorf("a hop's name is read as %s %d %v", to, ttl, host)
	}
	if _, _, _, ok := ParseHopName("se1"); ok {
		t.Error("a name that is none is read")
	}
}

func TestWithoutTheCapabilityTheRestGoesOn(t *testing.T) {
	asked := make(chan bool, 1000)
	w := &Watcher{Plain: true, Log: slog.New(slog.DiscardHandler), every: time.Millisecond,
		Echo: func(context.Context, string, []string, int, uint8) (time.Duration, error) {
			select {
			case asked <- true:
			default:
			}
			return 1, nil
		},
		watch: func(context.Context, trace.Watching, func(trace.Settled)) error { return errors.New("not permitted") }}
	ctx, cancel := context.WithCancel(t.Context())
	w.Start(ctx)
	w.Look(popReport())
	<-asked
	cancel()
	w.Wait()
	var p report.PoP
	w.Amend(&p)
	if len(p.Paths) != 2 || p.Paths[0].Plain.Problem == "" {
		t.Errorf("%+v", p.Paths)
	}
}

func TestAskedForOneEchoTheSocketAnswers(t *testing.T) {
	w := &Watcher{Echo: func(ctx context.Context, to string, over []string, size int, _ uint8) (time.Duration, error) {
		switch {
		case to == "nobody":
			return 0, errors.New("there is no route")
		case over == nil && size == 56:
			return 31 * time.Millisecond, nil
		case len(over) == 0 || over[0] == "tk1" && len(over) == 1:
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return 0, errors.New("unexpected")
	}}
	for path, want := range map[string]struct {
		code int
		a    Answer
	}{
		"/echo?to=se1&size=56&timeout=1s&mode=balanced":           {200, Answer{RTT: 31}},
		"/echo?to=se1&size=56&timeout=1ms&mode=balanced&over=tk1": {200, Answer{Lost: true}},
		"/echo?to=se1&size=56&timeout=1ms&mode=balanced&over=":    {200, Answer{Lost: true}},
		"/echo?to=nobody&size=56&timeout=1s&mode=balanced":        {422, Answer{}},
		"/echo?to=se1&size=56&timeout=1h&mode=balanced":           {400, Answer{}},
		"/echo?to=se1&size=99999&timeout=1s&mode=balanced":        {400, Answer{}},
		"/echo?to=se1&size=1&timeout=1s&mode=x":                   {400, Answer{}},
		"/echo":                                                   {400, Answer{}},
	} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		var a Answer
		_ = json.Unmarshal(rec.Body.Bytes(), &a)
		if rec.Code != want.code || a != want.a {
			t.Errorf("%s: %d %+v %s", path, rec.Code, a, rec.Body)
		}
	}
}
