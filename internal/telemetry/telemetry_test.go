package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

var nowhere = slog.New(slog.DiscardHandler)

// fullPoP is a report with everything in it; big repeats each list n times.
func fullPoP(n int) report.PoP {
	p := report.PoP{
		Name: "sh1", At: time.Unix(1_800_000_000, 0), Started: time.Unix(1_790_000_000, 0),
		Build:    report.Build{Version: "v1.2.3", Revision: "abc", Go: "go1.26"},
		Snapshot: report.Snapshot{Version: 7, Since: time.Unix(1_799_000_000, 0), Source: "file", Controller: &report.Link{Connected: true, Heard: time.Unix(1_799_000_100, 0)}, Refused: &report.Refusal{At: time.Unix(1, 0), Reason: "no"}},
		Drops:    map[string]uint64{"no_route": 3, "client_not_allowed": 4},
		Sessions: report.Sessions{Confirmed: 2, Opened: 5, List: []report.Session{{Client: client, Listener: "l0"}}},
		Alarms:   []report.Alarm{{Kind: "endpoints_down", Object: "g0"}},
		Runtime:  report.Runtime{Goroutines: 9, OpenFiles: 8},
	}
	for i := range n {
		name := fmt.Sprintf("%d", i)
		p.Segments = append(p.Segments, report.Segment{
			Peer: "pop" + name, Up: true, RTT: 31.5, Refused: map[string]uint64{"replayed": 2},
			Repair: report.Repair{ToHere: report.RepairResult{RawLoss: .3, ResidualLoss: .001, Mended: 12}},
			Wires:  []report.Wire{{Name: "main", Up: true, MTU: 1400, Remote: netip.MustParseAddrPort("192.0.2.9:4600")}},
		})
		p.Segments = append(p.Segments, report.Segment{Peer: "pop" + name, Through: "relay", Up: true})
		p.Passthroughs = append(p.Passthroughs, report.Passthrough{
			Bind: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(4700+len(p.Passthroughs))), Ends: [2]report.PassthroughEnd{{PoP: "x"}, {PoP: "pop" + name}},
		})
		p.Routes = append(p.Routes, report.Route{To: "pop" + name, Up: true, Candidates: []report.Candidate{{Chosen: true, RTT: 31, Loss: .2}}})
		p.Listeners = append(p.Listeners, report.Listener{Name: "l" + name, Accelerator: "a", Sessions: 2, Traffic: report.Traffic{PacketsToPeer: 10}})
		p.Egresses = append(p.Egresses, report.Egress{EndpointGroup: "g" + name, Endpoints: []report.Endpoint{{Healthy: true, Health: "up", RTT: 3}}})
		p.Allowances = append(p.Allowances, report.Allowance{Name: "b" + name, Rate: 1000})
	}
	return p
}

var client = netip.MustParseAddrPort("198.51.100.77:4500")

func scrape(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, _ := io.ReadAll(w.Body)
	return w.Code, string(body)
}

func popServer(p report.PoP) *Server {
	c := NewPoPCollector(func() (report.PoP, bool) { return p, true })
	c.Observe(p)
	return &Server{Collectors: []prometheus.Collector{c}, Ready: func() []Check { return PoPReady(p, true) }, Log: nowhere}
}

func gatewayServer() *Server {
	g := report.Gateway{
		Name: "gw", Started: time.Unix(9, 0), Snapshot: report.Snapshot{Since: time.Unix(10, 0)}, Daemon: report.Daemon{Up: true}, Findings: []vpn.Finding{{Severity: "error"}}, Routes: []report.VPNRoute{{Installed: true}},
		Connections: []report.VPNConnection{{Name: "office", State: report.IPsecEstablished, Tunnels: []report.VPNTunnel{{Name: "t1", State: report.IPsecEstablished,
			Children: []report.ChildSA{{FromPeer: report.Counter{Bytes: 4}}}}}}},
	}
	return &Server{Collectors: []prometheus.Collector{NewGatewayCollector(func() (report.Gateway, bool) { return g, true })}, Log: nowhere,
		Ready: func() []Check { return GatewayReady(g, true) }}
}

func controllerServer() *Server {
	c := NewControllerCollector(func() ControllerFacts {
		return ControllerFacts{Started: time.Unix(9, 0), PoPs: map[string]int{"active": 2}, Authority: time.Unix(99, 0), Throttled: map[string]uint64{"rate": 3}}
	}, etcdLike())
	c.requests.WithLabelValues("ListPoPs", "ok").Observe(.01)
	h := HistoryCollector{Stats: func() (int, uint64) { return 3, 1 }}
	return &Server{Collectors: []prometheus.Collector{c, h}, Log: nowhere, Ready: func() []Check { return nil }}
}

// etcdLike has the three metrics of etcd that are passed on, under etcd's names.
func etcdLike() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	leader := prometheus.NewGauge(prometheus.GaugeOpts{Name: "etcd_server_has_leader"})
	leader.Set(1)
	size := prometheus.NewGauge(prometheus.GaugeOpts{Name: "etcd_mvcc_db_total_size_in_bytes"})
	size.Set(4096)
	commit := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "etcd_disk_backend_commit_duration_seconds", Buckets: []float64{.001, .1}})
	commit.Observe(.01)
	r.MustRegister(leader, size, commit)
	return r
}

func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: run scripts/setup.sh, or apt-get install -y prometheus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, tool, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Everything that daemons give out is as Prometheus wants it, and everything in
// the catalogue is given out by each daemon that it names.
func TestMetricsAreAsPrometheusWantsThemAndAsTheCatalogueSays(t *testing.T) {
	for daemon, s := range map[string]*Server{PoP: popServer(fullPoP(3)), Gateway: gatewayServer(), Controller: controllerServer()} {
		status, text := scrape(t, s, "/metrics")
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", daemon, status, text)
		}
		promtool(t, text, "check", "metrics")
		for _, m := range Catalog() {
			if !slices.Contains(m.From, daemon) || daemon == PoP && strings.HasPrefix(m.Name, Prefix+"history") {
				continue
			}
			if !strings.Contains(text, "# TYPE "+m.Name+" "+m.Kind+"\n") {
				t.Errorf("a %s gives out no %s %s", daemon, m.Kind, m.Name)
			}
		}
	}
}

func TestNoLabelHasAnAddress(t *testing.T) {
	_, text := scrape(t, popServer(fullPoP(2)), "/metrics")
	if found := regexp.MustCompile(`"[^"]*\d+\.\d+\.\d+\.\d+[^"]*"`).FindString(text); found != "" {
		t.Errorf("a label is %s", found)
	}
}

func TestThereAreNeverMoreThanTenThousandSeries(t *testing.T) {
	_, text := scrape(t, popServer(fullPoP(3000)), "/metrics")
	series := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	if series > SeriesLimit || series < SeriesLimit*9/10 {
		t.Errorf("%d series", series)
	}
	if m := regexp.MustCompile(`(?m)^causeway_metrics_series_left_out (\S+)$`).FindStringSubmatch(text); m == nil || m[1] == "0" {
		t.Errorf("what was left out is told as %v", m)
	}
}

func TestTwoHundredPoPsAndAThousandListenersFitIntoTheLimit(t *testing.T) {
	p := fullPoP(200)
	for i := 200; i < 1000; i++ {
		p.Listeners = append(p.Listeners, report.Listener{Name: fmt.Sprint("l", i), Accelerator: "a"})
	}
	if _, text := scrape(t, popServer(p), "/metrics"); !strings.Contains(text, "causeway_metrics_series_left_out") {
		t.Error("what was left out is not told")
	}
}

// A name that is no UTF-8 or that a report has twice spoils nothing else.
func TestAStrangeReportStillGivesMetrics(t *testing.T) {
	p := fullPoP(1)
	p.Listeners = append(p.Listeners, p.Listeners[0], report.Listener{Name: "\xff" + strings.Repeat("界", 100)})
	status, text := scrape(t, popServer(p), "/metrics")
	if status != http.StatusOK || !strings.Contains(text, `listener="l0"`) || !strings.Contains(text, "�界") {
		t.Errorf("%d\n%s", status, text)
	}
	promtool(t, text, "check", "metrics")
}

func TestRefusedSnapshotsAreCountedOnce(t *testing.T) {
	p := fullPoP(1)
	c := NewPoPCollector(func() (report.PoP, bool) { return p, true })
	c.Observe(p)
	c.Observe(p)
	p.Snapshot.Refused = &report.Refusal{At: time.Unix(2, 0)}
	c.Observe(p)
	p.Segments = nil
	c.Observe(p)
	_, text := scrape(t, &Server{Collectors: []prometheus.Collector{c}, Log: nowhere}, "/metrics")
	if !strings.Contains(text, "causeway_config_apply_failures_total 2\n") {
		t.Errorf("not 2 failures in\n%s", text)
	}
	if strings.Contains(text, "overlay_path_rtt_seconds_bucket") {
		t.Error("a peer that is gone is still given out")
	}
}

func TestReadyzSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	well := report.PoP{
		Segments:  []report.Segment{{Peer: "a", Up: true}, {Peer: "b"}},
		Listeners: []report.Listener{{Groups: []report.Target{{Egress: "a"}}}},
		Routes:    []report.Route{{To: "a", Up: true}},
	}
	for name, c := range map[string]struct {
		change  func(*report.PoP)
		running bool
		failed  string
	}{
		"all is well":                        {func(*report.PoP) {}, true, ""},
		"it does not run":                    {func(*report.PoP) {}, false, "running"},
		"it runs from its own copy":          {func(p *report.PoP) { p.Snapshot.Source = "last-good" }, true, "snapshot"},
		"a snapshot is refused":              {func(p *report.PoP) { p.Snapshot.Refused = &report.Refusal{Reason: "line 3\nmore"} }, true, "snapshot"},
		"no segment is up":                   {func(p *report.PoP) { p.Segments[0].Up = false }, true, "segments"},
		"no egress can be reached":           {func(p *report.PoP) { p.Routes[0].Up = false }, true, "routes"},
		"a listener has lost its endpoints":  {func(p *report.PoP) { p.Alarms = []report.Alarm{{Kind: "endpoints_lost", Text: "all gone"}} }, true, "endpoints"},
		"a group is down, others carry work": {func(p *report.PoP) { p.Alarms = []report.Alarm{{Kind: "endpoints_down"}} }, true, ""},
	} {
		p := well
		p.Segments, p.Routes = slices.Clone(well.Segments), slices.Clone(well.Routes)
		c.change(&p)
		s := &Server{Ready: func() []Check { return PoPReady(p, c.running) }, Log: nowhere}
		status, text := scrape(t, s, "/readyz?verbose")
		if ok := c.failed == ""; ok != (status == http.StatusOK) || ok != strings.HasSuffix(text, "\nready\n") {
			t.Errorf("%s: %d\n%s", name, status, text)
		}
		if c.failed != "" && !regexp.MustCompile(`\[-\] `+c.failed+` failed: .+\n    fix: .+\n`).MatchString(text) {
			t.Errorf("%s: %s is not told:\n%s", name, c.failed, text)
		}
		if _, brief := scrape(t, s, "/readyz"); strings.Contains(brief, "[") {
			t.Errorf("%s: asked for no more than a word, got\n%s", name, brief)
		}
	}
	if status, _ := scrape(t, &Server{Log: nowhere}, "/livez"); status != http.StatusOK {
		t.Errorf("livez: %d", status)
	}
	for _, c := range GatewayReady(report.Gateway{Daemon: report.Daemon{Problem: "it is gone"}}, true) {
		if (c.Name == "daemon") != (c.Reason != "") {
			t.Errorf("gateway: %+v", c)
		}
	}
}

func TestTheSamplerForgetsWhenThePoPStops(t *testing.T) {
	got := make(chan report.PoP)
	s := &Sampler{every: time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	s.Each = append(s.Each, func(p report.PoP) {
		select {
		case got <- p:
		case <-ctx.Done():
		}
	})
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx, func() report.PoP { return report.PoP{Name: "x"} }) }()
	for range 3 {
		if p := <-got; p.Name != "x" {
			t.Errorf("sampled %+v", p)
		}
	}
	if _, ok := s.Latest(); !ok {
		t.Error("there is no newest report")
	}
	cancel()
	<-done
	if _, ok := s.Latest(); ok {
		t.Error("a PoP that stopped has a report")
	}
}

// Traces go where the environment says, and only then.
func TestTracesAreSentOnlyWhenAsked(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	if TracingWanted() {
		t.Error("traces are on by default")
	}
	received := make(chan int, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- len(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	if !TracingWanted() {
		t.Fatal("traces are off though they were asked for")
	}
	interceptor, stop, err := Tracing(t.Context(), "causeway-controller", "v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := callThrough(t, interceptor); err != nil {
		t.Fatal(err)
	}
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-received; n == 0 {
		t.Error("an empty trace was sent")
	}
}

func TestAPICallsAreTimedByMethodAndOutcome(t *testing.T) {
	c := NewControllerCollector(func() ControllerFacts { return ControllerFacts{} }, nil)
	if err := callThrough(t, c.Interceptor()); err != nil {
		t.Fatal(err)
	}
	_, text := scrape(t, &Server{Collectors: []prometheus.Collector{c}, Log: nowhere}, "/metrics")
	if !strings.Contains(text, `causeway_api_request_duration_seconds_count{action="WhoAmI",code="ok"} 1`) {
		t.Errorf("the call is not there:\n%s", text)
	}
}

func TestLinesOfLogsAreJournalEntries(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newJournalHandler(&b, slog.LevelInfo))
	log.Warn("the store is slow", "part", "pop", "took", time.Second)
	log.Debug("not this")
	log.With("part", "x").WithGroup("g").Error("two\nlines", "a", 1)
	if got, want := b.String(), "<4>the store is slow part=pop took=1s\n<3>\"two\\nlines\" part=x g.a=1\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
