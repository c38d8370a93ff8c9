package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"causeway/internal/lab/report/draw"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/style.css
	pageCSS string
	//go:embed page/page.js
	pageJS string

	page = template.Must(template.New("report").Parse(pageHTML))
)

// HTML renders report.html: one file that needs nothing else, not even a
// network, follows the reader's light or dark setting, and prints.
func HTML(d Data) ([]byte, error) {
	d = prepared(d)
	view, err := pageOf(d)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, view)
	return b.Bytes(), err
}

// pageView is what the template shows: words and pictures, nothing to compute.
type pageView struct {
	ChartNote, HopNote                                                     string
	Live                                                                   bool
	Title, Facts, About, Verdict, Headline, Again, Version, ThroughputNote string

	Style                                                               template.CSS
	Script                                                              template.JS
	Series                                                              template.JS
	DelayChart, AnsweredChart, RunsChart, ThroughputChart, OverlayChart template.HTML

	Many, HasEvents bool
	Tiles, Summary  []factView
	Sides           []sideView
	Segments        []segmentView
	Routes, Notes   []string
	Events          []eventView
	Checks          []Check
	Settings        []Setting
	Control         []string
	Commands        []commandView
}

type factView struct {
	Name, Direct, Accelerated, Change, Class string
	Detail, Long                             bool
}

type sideView struct {
	Name, How, Class string
	Hops             []hopView
}

type hopView struct {
	Host, Name, Loss, Class string
	Sent                    string
	Delays                  []string
}

type segmentView struct {
	Name, Raw, RawClass, Residual, ResidualClass, Packets, Bytes string
	Recovered, By, Added, RTT                                    string
}

type eventView struct{ At, What, Where string }

func pageOf(d Data) (pageView, error) {
	const wide, half = 1138.0, 540.0
	series, err := seriesJSON(d, wide)
	if err != nil {
		return pageView{}, err
	}
	v := pageView{
		Title: title(d), Facts: strings.Join(runFacts(d), " · "), About: plain(d.About),
		Verdict: verdict(d), Headline: Headline(d), Again: again(d), Version: versionOf(d, "causeway"),
		Style: template.CSS(stylesheet()), Script: template.JS(pageJS), Series: series,

		DelayChart:    inline(delayChart(d, wide, 470)),
		AnsweredChart: inline(answeredChart(d, half, 280)),
		RunsChart:     inline(runsChart(d, half, 280)),

		ChartNote: chartNote(d), HopNote: hopNote(d), Live: d.Live != nil,
		Many:      max(len(d.Direct.Series), len(d.Accelerated.Series)) > int(wide-chartLeft-chartRight),
		HasEvents: len(d.Events) > 0,
		Sides: []sideView{
			sideViewOf("Direct", "before", "Over the Internet"+peerWords(d.Direct)+".", d.Direct),
			sideViewOf("Accelerated", "after", "Over Causeway"+peerWords(d.Accelerated)+".", d.Accelerated),
		},
		Checks:   d.Checks,
		Notes:    notes(d),
		Settings: allSettings(d),
		Control:  controlWords(d.Control),
		Commands: commandViews(d.Control),
	}
	for _, f := range headlineFacts(d) {
		v.Tiles = append(v.Tiles, factViewOf(f))
	}
	for _, f := range summary(d) {
		v.Summary = append(v.Summary, factViewOf(f))
	}
	if len(d.Throughput) > 0 {
		v.ThroughputChart = inline(throughputChart(d, wide))
		v.ThroughputNote = throughputNote(d.Throughput)
	}
	if len(d.Overlay.PoPs) > 0 {
		v.OverlayChart = inline(overlayChart(d, wide))
	}
	for _, s := range d.Overlay.Segments {
		v.Segments = append(v.Segments, segmentViewOf(s))
	}
	for _, r := range d.Overlay.Routes {
		v.Routes = append(v.Routes, routeWords(r))
	}
	for _, e := range d.Events {
		at := fmt.Sprintf("%.1f s", e.TMs/1000)
		if e.EndMs > e.TMs {
			at += fmt.Sprintf(" to %.1f s", e.EndMs/1000)
		}
		v.Events = append(v.Events, eventView{at, plain(e.What), plain(e.Where)})
	}
	return v, nil
}

// throughputNote says what all iperf3 runs have in common.
func throughputNote(runs []Throughput) string {
	note := "iperf3 from one LAN to the other"
	if way := oneDirection(runs); way != "" {
		note += ", " + way
	}
	if s := runs[0].DurationS; s > 0 {
		note += ", " + span(s) + " each"
	}
	return note + "."
}

// inline is a chart as part of the page, its colours the page's.
func inline(s draw.Scene) template.HTML { return template.HTML(s.SVG(draw.CSS)) }

// stylesheet is style.css with both palettes as custom properties.
func stylesheet() string {
	properties := func(p draw.Palette) string {
		var b strings.Builder
		for _, ink := range slices.Sorted(maps.Keys(p)) {
			fmt.Fprintf(&b, "--%s: %s; ", ink, p.Hex(ink))
		}
		return b.String()
	}
	return strings.NewReplacer("{{.Light}}", properties(draw.Light), "{{.Dark}}", properties(draw.Dark)).Replace(pageCSS)
}

// seriesJSON is what the page's script needs to name the ping under the pointer.
func seriesJSON(d Data, chartWidth float64) (template.JS, error) {
	raw, err := json.Marshal(struct {
		End         float64     `json:"end"`
		Width       float64     `json:"width"`
		Left        float64     `json:"left"`
		Right       float64     `json:"right"`
		Direct      probesBrief `json:"direct"`
		Accelerated probesBrief `json:"accelerated"`
	}{seriesEnd(d), chartWidth, chartLeft, chartWidth - chartRight, brief(d.Direct, d.IntervalMs), brief(d.Accelerated, d.IntervalMs)})
	return template.JS(raw), err
}

// probesBrief is a side's series in few bytes: a run of two days has 172,800 probes.
type probesBrief struct {
	Step float64    `json:"step"`        // milliseconds between probes
	T    []float64  `json:"t,omitempty"` // when each was sent, where Step does not say it
	RTT  []*float64 `json:"rtt"`
}

func brief(s Side, step float64) probesBrief {
	out := probesBrief{Step: step, RTT: make([]*float64, len(s.Series))}
	regular := step > 0
	for i, p := range s.Series {
		if p.RTTMs != nil {
			out.RTT[i] = new(math.Round(min(*p.RTTMs, 1e9)*100) / 100)
		}
		regular = regular && abs(p.TMs-float64(i)*step) <= step/4
	}
	if !regular {
		for _, p := range s.Series {
			out.T = append(out.T, toMicro(p.TMs))
		}
	}
	return out
}

func factViewOf(f fact) factView {
	v := factView{Name: f.name, Direct: f.direct, Accelerated: f.accelerated, Change: f.change, Detail: f.detail,
		Long: columns(f.direct)+columns(f.accelerated) > 17}
	switch f.better {
	case 1:
		v.Class = "better"
	case -1:
		v.Class = "worse"
	}
	return v
}

func sideViewOf(name, class, how string, s Side) sideView {
	v := sideView{Name: name, Class: class, How: how}
	hops := s.Hops
	if len(hops) == 0 {
		hops = targetOnly(s)
	}
	for _, h := range hops {
		row := hopView{Host: plain(h.Host), Name: plain(h.Name), Loss: mtrLoss(h.Loss), Class: lossClass(h.Loss), Sent: count(h.Sent)}
		if row.Host == "" {
			row.Host = "???"
		}
		for _, ms := range []float64{h.Last, h.Avg, h.Best, h.Worst, h.Stdev, h.P50, h.P95, h.P99} {
			if h.Received == 0 {
				row.Delays = append(row.Delays, none)
			} else {
				row.Delays = append(row.Delays, fmt.Sprintf("%.1f", ms))
			}
		}
		v.Hops = append(v.Hops, row)
	}
	return v
}

func lossClass(loss float64) string {
	switch lossStyle(loss) {
	case good:
		return "clean"
	case poor:
		return "some"
	}
	return "lossy"
}

func segmentViewOf(s Segment) segmentView {
	ratio := func(f float64) string {
		if f <= 0 {
			return none
		}
		return fmt.Sprintf("%.2f", f)
	}
	v := segmentView{
		Name: plain(s.From) + " → " + plain(s.To),
		Raw:  percent(s.RawLoss), RawClass: lossClass(s.RawLoss),
		Residual: percent(s.Residual), ResidualClass: lossClass(s.Residual),
		Packets: ratio(s.OverheadPackets), Bytes: ratio(s.OverheadBytes),
		Recovered: count(s.Recovered.Total),
		By:        count(s.Recovered.Coded) + " · " + count(s.Recovered.Resent) + " · " + count(s.Recovered.Copies),
		Added:     none, RTT: millisOf(s.RTTMs),
	}
	if a := s.AddedDelay; a != nil {
		v.Added = millis(a.P50) + " · " + millis(a.P95) + " · " + millis(a.P99) + " ms"
	}
	return v
}

// runFacts is the line under the title.
func runFacts(d Data) []string {
	var out []string
	if d.Scenario != "" && d.Title != "" {
		out = append(out, plain(d.Scenario))
	}
	if d.Live == nil {
		out = append(out, fmt.Sprintf("seed %d", d.Seed))
	} else {
		out = append(out, d.Live.between())
	}
	out = append(out, span(d.DurationS))
	if d.IntervalMs > 0 {
		out = append(out, "a ping every "+interval(d.IntervalMs))
	}
	if !d.Started.IsZero() {
		out = append(out, moment(d.Started))
	}
	return out
}

// again is the command that repeats the run.
func again(d Data) string {
	if d.Live != nil {
		return d.Live.again()
	}
	if d.Scenario == "" || d.Scenario != plain(d.Scenario) || strings.ContainsAny(d.Scenario, " '\"$`\\<>|&;") {
		return ""
	}
	s := fmt.Sprintf("causeway lab run %s --seed %d", d.Scenario, d.Seed)
	if d.DurationS > 0 {
		s += " --duration " + trimZeros(fmt.Sprintf("%.3f", d.DurationS)) + "s"
	}
	if d.IntervalMs > 0 {
		s += " --interval " + trimZeros(fmt.Sprintf("%.3f", d.IntervalMs)) + "ms"
	}
	return s
}

func versionOf(d Data, name string) string {
	for _, v := range d.Environment.Versions {
		if v.Name == name {
			return plain(v.Version)
		}
	}
	return ""
}

// allSettings is what was configured and the machine it ran on.
func allSettings(d Data) []Setting {
	var out []Setting
	add := func(group, name, value string) {
		if value != "" {
			out = append(out, Setting{group, name, plain(value)})
		}
	}
	for _, s := range d.Settings {
		add(plain(s.Group), plain(s.Name), s.Value)
	}
	e := d.Environment
	add("Machine", "kernel", e.Kernel)
	add("Machine", "CPU", e.CPU)
	if e.Cores > 0 {
		add("Machine", "cores", fmt.Sprint(e.Cores))
	}
	add("Machine", "IPsec back end", e.IPsec)
	for _, v := range e.Versions {
		add("Programs", plain(v.Name), v.Version)
	}
	return out
}
