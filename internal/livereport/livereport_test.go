package livereport

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"image/png"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway/internal/history"
	labreport "causeway/internal/lab/report"
	"causeway/internal/pathwatch"
	"causeway/internal/report"
)

// office is a source with two PoPs' hour of pings: half of them are lost over the
// Internet, one in a hundred through the overlay.
type office struct {
	store *history.Store
	pops  map[string]report.PoP
}

func (o office) Keys(context.Context) ([]history.Key, error) { return o.store.List(), nil }
func (o office) Series(_ context.Context, q history.Query) (history.Series, error) {
	return o.store.Read(q)
}
func (o office) Report(_ context.Context, pop string) (report.PoP, error) {
	p, ok := o.pops[pop]
	if !ok {
		return p, errors.New("it is away")
	}
	return p, nil
}

var noon = time.Unix(1_800_000_000, 0).Truncate(time.Hour)

const hour = 3600

func newOffice(t *testing.T, pings int) office {
	t.Helper()
	now := noon.Add(time.Duration(max(pings, 600)) * time.Second)
	s, err := history.Open(t.TempDir(), history.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	row := func(lost bool, rtt float64) []float64 {
		if lost {
			return []float64{1, 1, math.NaN(), math.NaN(), math.NaN()}
		}
		return []float64{1, 0, rtt, rtt, rtt}
	}
	add := func(kind, name string, at time.Time, row []float64) {
		if err := s.Add(history.Key{PoP: "sh1", Kind: kind, Name: name}, at, row); err != nil {
			t.Fatal(err)
		}
	}
	for i := range pings {
		at := noon.Add(time.Duration(i) * time.Second)
		add("plain", "se1", at, row(i%2 == 0, 60+float64(i%10)))
		add("accelerated", "se1", at, row(i%100 == 50, 31))
		if i%10 == 0 {
			add("hop", pathwatch.HopName("se1", 1, netip.MustParseAddr("192.0.2.1")), at, row(false, 1))
			add("hop", pathwatch.HopName("se1", 3, netip.MustParseAddr("192.0.2.3")), at, row(i%20 == 0, 20))
		}
	}
	sh := report.PoP{Name: "sh1",
		Listeners: []report.Listener{{Name: "vpn", Accelerator: "office", Groups: []report.Target{{Egress: "se1"}, {Egress: "tk1"}}}},
		Routes:    []report.Route{{To: "se1", Chosen: []string{"tk1"}, Up: true}},
		Segments:  []report.Segment{{Peer: "tk1", RTT: 15, Repair: report.Repair{ToHere: report.RepairResult{RawLoss: .4, ResidualLoss: .001, Arrived: 90, Mended: 10}}}},
		Paths:     []report.Path{{To: "se1", Address: netip.MustParseAddr("203.0.113.20")}},
	}
	return office{s, map[string]report.PoP{"sh1": sh}}
}

func options(seconds int) Options {
	return Options{Accelerator: "office", From: noon, To: noon.Add(time.Duration(seconds) * time.Second)}
}

func TestTheReportSaysWhatThePingsSaw(t *testing.T) {
	d, err := Make(t.Context(), newOffice(t, hour), options(hour))
	if err != nil {
		t.Fatal(err)
	}
	if d.Direct.Sent != hour || d.Direct.Loss != .5 || d.Direct.RTT.P50 != 65 || d.Direct.RTT.Min != 61 || d.Direct.RTT.Max != 69 {
		t.Errorf("before: %d sent, loss %v, %+v", d.Direct.Sent, d.Direct.Loss, d.Direct.RTT)
	}
	if d.Accelerated.Sent != hour || math.Abs(d.Accelerated.Loss-.01) > 1e-9 || d.Accelerated.RTT.P50 != 31 {
		t.Errorf("after: %d sent, loss %v, %+v", d.Accelerated.Sent, d.Accelerated.Loss, d.Accelerated.RTT)
	}
	if len(d.Direct.LossRuns) != 1 || d.Direct.LossRuns[0] != (labreport.LossRun{Length: 1, Count: 1800}) {
		t.Errorf("losses in a row: %+v", d.Direct.LossRuns)
	}
	var hosts []string
	for _, h := range d.Direct.Hops {
		hosts = append(hosts, h.Host)
	}
	if strings.Join(hosts, " ") != "192.0.2.1  192.0.2.3 se1" || d.Direct.Hops[2].Loss != .5 || d.Direct.Hops[0].Sent != 360 {
		t.Errorf("hops %q: %+v", hosts, d.Direct.Hops)
	}
	if got := d.Accelerated.Hops[0].Host; got != "sh1 → tk1 → se1" {
		t.Errorf("the way is %q", got)
	}
	if d.DurationS != hour || d.Live.PointS != 1 || len(d.Overlay.Segments) != 1 {
		t.Errorf("%v s, points of %v s, %d segments", d.DurationS, d.Live.PointS, len(d.Overlay.Segments))
	}
}

// Further back than single pings are kept, counts are exact all the same.
func TestALongPeriodIsMadeOfMeans(t *testing.T) {
	const days = 2 * 86400
	source := newOffice(t, days/100)
	o := options(days / 100)
	o.From = noon.AddDate(0, 0, -20)
	d, err := Make(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	if d.Live.PointS != 300 || d.Direct.Sent != days/100 || d.Direct.Loss != .5 || len(d.Direct.LossRuns) != 0 || math.Abs(d.Direct.RTT.Avg-65) > .1 {
		t.Errorf("points of %v s, %d sent, loss %v, %+v", d.Live.PointS, d.Direct.Sent, d.Direct.Loss, d.Direct.RTT)
	}
	if !strings.Contains(strings.Join(d.Live.Notes, "\n"), "each 300 s") {
		t.Errorf("notes: %q", d.Live.Notes)
	}
	if !d.Started.Equal(noon) && d.Started.Before(noon.Add(-5*time.Minute)) {
		t.Errorf("it begins at %v", d.Started)
	}
}

// A controller is told every ten seconds of what was asked in them.
func TestWhatAControllerWasToldIsSpreadOverTheTimeBefore(t *testing.T) {
	source := newOffice(t, 0)
	for i := range 30 {
		for _, kind := range []string{"plain", "accelerated"} {
			row := []float64{10, 4, 60, 55, 70}
			if err := source.store.Add(history.Key{PoP: "sh1", Kind: kind, Name: "se1"}, noon.Add(time.Duration(10*i+9)*time.Second), row); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := options(300)
	o.From, o.To = noon.Add(-time.Minute), noon.Add(10*time.Minute)
	d, err := Make(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	if d.Live.PointS != 10 || d.Direct.Sent != 300 || d.Direct.Received != 180 || len(d.Direct.Series) != 300 || d.DurationS != 300 {
		t.Errorf("points of %v s, %d of %d, %d drawn, %v s", d.Live.PointS, d.Direct.Received, d.Direct.Sent, len(d.Direct.Series), d.DurationS)
	}
	for i, p := range d.Direct.Series {
		if p.TMs < 0 || i > 0 && p.TMs <= d.Direct.Series[i-1].TMs {
			t.Fatalf("ping %d at %v ms", i, p.TMs)
		}
	}
}

func TestEveryFormIsWritten(t *testing.T) {
	d, err := Make(t.Context(), newOffice(t, 600), options(600))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats {
		b, err := Render(d, format)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", format, len(b), err)
			continue
		}
		text := string(b)
		switch format {
		case "png":
			if _, err := png.Decode(bytes.NewReader(b)); err != nil {
				t.Error(err)
			}
		case "csv":
			rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
			if err != nil || len(rows) != 1201 || rows[1][1] != "direct" || rows[1][2] != "" || rows[2][2] != "61.000" {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		case "html":
			for _, never := range []string{"http://", "https://", "IPsec tunnel", "seed 0"} {
				if strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/", ""), never) {
					t.Errorf("the page has %q", never)
				}
			}
			for _, needed := range []string{"@media print", "causeway report office --from", "192.0.2.3", "sh1 – se1", "50 %"} {
				if !strings.Contains(text, needed) {
					t.Errorf("the page lacks %q", needed)
				}
			}
		case "json":
			if back, err := labreport.Parse(b); err != nil || back.Live == nil || back.Live.Accelerator != "office" {
				t.Errorf("came back as %+v, %v", back.Live, err)
			}
		case "txt":
			if !strings.Contains(text, "192.0.2.1") || strings.Contains(text, "seed") {
				t.Errorf("%s", text)
			}
		}
	}
	if _, err := Render(d, "doc"); err == nil {
		t.Error("an unknown form is written")
	}
}

func TestWrongQuestionsGetReasons(t *testing.T) {
	source := newOffice(t, 60)
	o := options(60)
	o.Accelerator = "offise"
	if _, err := Make(t.Context(), source, o); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "office") {
		t.Errorf("a name that is not: %v", err)
	}
	o = options(60)
	o.From, o.To = noon.AddDate(0, 0, -3), noon.AddDate(0, 0, -2)
	if _, err := Make(t.Context(), source, o); !errors.Is(err, ErrNothing) {
		t.Errorf("a time before: %v", err)
	}
	o = options(60)
	o.Egress = "tk1"
	if _, err := Make(t.Context(), source, o); !errors.Is(err, ErrNothing) {
		t.Errorf("an egress that was not asked: %v", err)
	}
	for file, want := range map[string]string{"a.html": "html", "b/C.PNG": "png", "x.pdf": "", "x": "", "x.doc": ""} {
		if got, err := FormatOf(file); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}

// A controller has the segments of all PoPs: the accelerated way is told PoP by PoP.
func TestTheAcceleratedWayIsToldSegmentBySegment(t *testing.T) {
	o := newOffice(t, 120)
	segment := func(pop, peer string, raw, residual, rtt float64) {
		for i := range 120 {
			row := []float64{1, rtt + float64(i%2), rtt + 1, raw, residual, 0.3, 1000, 1000} // as history.Kinds has the columns
			if err := o.store.Add(history.Key{PoP: pop, Kind: "segment", Name: peer}, noon.Add(time.Duration(i)*time.Second), row); err != nil {
				t.Fatal(err)
			}
		}
	}
	segment("sh1", "tk1", .2, 0, 15)
	segment("tk1", "sh1", .1, 0, 15)
	segment("tk1", "se1", 0, 0, 10)
	segment("se1", "tk1", 0, .01, 10)
	o.pops["tk1"] = report.PoP{Name: "tk1", Segments: []report.Segment{{Peer: "sh1", RTT: 15}, {Peer: "se1", RTT: 10}, {Peer: "elsewhere"}}}
	d, err := Make(t.Context(), o, Options{Accelerator: "office", From: noon, To: noon.Add(2 * time.Minute), Egress: "se1"})
	if err != nil {
		t.Fatal(err)
	}
	hops := d.Accelerated.Hops
	if len(hops) != 3 || hops[0].Host != "tk1" || hops[1].Host != "se1" || hops[2].Host != "sh1 → tk1 → se1" {
		t.Fatalf("the rows are %+v", hops)
	}
	near := func(have, want float64) bool { return math.Abs(have-want) < 1e-6 }
	if !near(hops[0].Avg, 15.5) || !near(hops[1].Avg, 26) || !near(hops[1].Best, 25) || !near(hops[1].Worst, 27) {
		t.Errorf("delays along the way: %+v", hops[:2])
	}
	if !near(hops[0].Loss, 0) || !near(hops[1].Loss, .01) {
		t.Errorf("what is left of loss along the way: %v, %v", hops[0].Loss, hops[1].Loss)
	}
	if hops[0].Name != "segment from sh1: 28 % lost, 0 % after repair" || hops[1].Name != "segment from tk1: 0 % lost, 1 % after repair" {
		t.Errorf("the segments are told as %q and %q", hops[0].Name, hops[1].Name)
	}
	if n := len(d.Overlay.Segments); n != 3 { // sh1 of tk1, tk1 of both; se1 is away
		t.Errorf("%d ends of segments are told of: %+v", n, d.Overlay.Segments)
	}
}
