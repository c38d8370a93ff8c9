package lab

import (
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/trace"
	scenarios "causeway/lab"
)

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(scenarios.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshotsSurviveTheirYAML(t *testing.T) {
	weight := 0
	for _, name := range scenario.Names(scenarios.FS) {
		for pop, shot := range load(t, name).Snapshots(map[string]string{"sh1": "k", "se1": "l"}) {
			shot.Listeners = append(slices.Clone(shot.Listeners), snapshot.Listener{
				Name: "all", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("10.0.0.1"), Public: netip.MustParseAddr("2001:db8::1")}},
				Ports: []uint16{1, 2}, IdleTimeout: 90 * time.Second, Order: snapshot.Unordered, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
			shot.EndpointGroups = append(slices.Clone(shot.EndpointGroups), snapshot.EndpointGroup{Name: "w",
				Endpoints: []snapshot.Endpoint{{Address: netip.MustParseAddr("10.0.0.9"), Weight: &weight}}})
			shot.Routes = append(slices.Clone(shot.Routes), snapshot.Route{To: "x", Candidates: [][]string{{}, {"a", "b"}}})
			var back snapshot.Snapshot
			text := toYAML(shot)
			if err := strictyaml.Decode("snapshot.yaml", []byte(text), &back); err != nil {
				t.Fatalf("%s/%s: %v\n%s", name, pop, err, text)
			}
			if !reflect.DeepEqual(shot, back) {
				t.Errorf("%s/%s:\nwrote %+v\nread  %+v\n%s", name, pop, shot, back, text)
			}
		}
	}
}

func TestTheEmulatorTakesEveryScenario(t *testing.T) {
	for _, name := range scenario.Names(scenarios.FS) {
		if err := wanConfig("x", load(t, name), "").Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOutageTakesDownAllLinksOfItsPlaces(t *testing.T) {
	down := func(name string) (pairs []string) {
		s := load(t, name)
		for _, e := range s.Script {
			for _, p := range outagePairs(wanConfig("x", s, ""), s, wanAddrs(s), e.Outage) {
				pairs = append(pairs, p.from+">"+p.to)
			}
		}
		slices.Sort(pairs)
		return pairs
	}
	if got := down("wire-death"); !slices.Equal(got, []string{"203.0.113.10>203.0.113.20", "203.0.113.20>203.0.113.10"}) {
		t.Errorf("one carrier: %v", got)
	}
	want := []string{"203.0.113.10>203.0.113.20", "203.0.113.11>203.0.113.21", "203.0.113.20>203.0.113.10", "203.0.113.21>203.0.113.11", "se1>sh1", "sh1>se1"}
	if got := down("blackhole"); !slices.Equal(got, want) {
		t.Errorf("two nodes: %v, want %v", got, want)
	}
	// An address that no link names gets one of its own, with its node's weather.
	s := load(t, "clean")
	s.Script = []scenario.Event{{Outage: &scenario.Outage{From: "sh1/ct", To: "se1/ct", For: time.Second}}}
	c := wanConfig("x", s, "")
	i := slices.IndexFunc(c.Links, func(l wan.Link) bool { return l.From == "203.0.113.10" && l.To == "203.0.113.20" })
	if i < 0 || c.Links[i].Profile.Delay != 26*time.Millisecond {
		t.Errorf("the address's own link: %v", c.Links)
	}
}

func TestTheDirectPathLosesHalfOfAllPings(t *testing.T) {
	// 1,500 probes of every seed must land within the band that the default
	// scenario promises; this plays them in virtual time.
	s := load(t, "seoul-shanghai")
	plan := Plan{Interval: s.Measure.Interval, Count: int(s.Measure.Duration / s.Measure.Interval)}
	outside := 0
	for seed := range uint64(100) {
		s.Seed = seed + 1
		truth, ok := truthOf(s, scenario.Direct, plan)
		if !ok {
			t.Fatal("the direct tunnel's way is not known")
		}
		if truth.loss < 0.45 || truth.loss > 0.55 {
			t.Logf("seed %d: %.1f %%", s.Seed, 100*truth.loss)
			outside++
		}
		if truth.p50 < 95*time.Millisecond || truth.p50 > 140*time.Millisecond {
			t.Errorf("seed %d: median round trip %v", s.Seed, truth.p50)
		}
	}
	if outside > 0 {
		t.Errorf("%d of 100 seeds are outside 45–55 %%", outside)
	}
}

func TestTheWayOfATunnelFollowsPoPsAndRelays(t *testing.T) {
	for _, c := range []struct {
		scenario string
		want     string
	}{
		{"seoul-shanghai", "198.18.1.2 203.0.113.10 203.0.113.10 203.0.113.20 203.0.113.20 198.19.1.2"},
		{"relay", "198.18.1.2 203.0.113.10 203.0.113.10 203.0.113.30 203.0.113.30 203.0.113.20 203.0.113.20 198.19.1.2"},
		{"two-clients", "198.18.1.9 203.0.113.10 203.0.113.10 203.0.113.20 203.0.113.20 198.19.1.2"},
	} {
		s := load(t, c.scenario)
		tunnel, _ := s.Tunnel(scenario.Accelerated)
		var way []string
		for _, a := range wayOf(s, tunnel) {
			way = append(way, a.String())
		}
		if got := strings.Join(way, " "); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.scenario, got, c.want)
		}
	}
	s := load(t, "clean")
	for _, tunnel := range []string{scenario.Direct, scenario.Accelerated} {
		truth, _ := truthOf(s, tunnel, Plan{Interval: time.Second, Count: 10})
		if truth.loss != 0 || truth.p50 != 60*time.Millisecond {
			t.Errorf("%s of the clean scenario: %+v, want 60 ms and no loss", tunnel, truth)
		}
	}
}

func TestTheTunnelsOfAComparisonDifferByPeerAndLANOnly(t *testing.T) {
	for _, site := range []string{"sh", "se"} {
		c := connections(load(t, "seoul-shanghai"), site)
		if len(c) != 2 {
			t.Fatalf("%s has %d connections, want 2", site, len(c))
		}
		if c[0].Remote == c[1].Remote || c[0].LocalID == c[1].LocalID {
			t.Errorf("%s: the tunnels share a peer or an identity: %+v", site, c)
		}
		for i := range c {
			c[i].Name, c[i].Remote, c[i].LocalNets, c[i].RemoteNets = "", netip.Addr{}, nil, nil
			c[i].LocalID, c[i].RemoteID, c[i].PSK = "", "", ""
		}
		if !reflect.DeepEqual(c[0], c[1]) {
			t.Errorf("%s: the tunnels differ by more than they may:\n%+v\n%+v", site, c[0], c[1])
		}
	}
}

func TestPlanFollowsWhatWasAskedFor(t *testing.T) {
	s := load(t, "seoul-shanghai")
	for _, c := range []struct {
		name string
		o    RunOptions
		want Plan
		err  bool
	}{
		{"nothing: the scenario's own", RunOptions{}, Plan{100 * time.Millisecond, 1500}, false},
		{"quick", RunOptions{Quick: true}, Plan{100 * time.Millisecond, 300}, false},
		{"the tutorial's count at its interval", RunOptions{Count: 17280, Interval: time.Second}, Plan{time.Second, 17280}, false},
		{"a count in a time", RunOptions{Count: 600, Duration: time.Minute}, Plan{100 * time.Millisecond, 600}, false},
		{"a time at an interval", RunOptions{Duration: time.Minute, Interval: time.Second}, Plan{time.Second, 60}, false},
		{"all three", RunOptions{Count: 5, Duration: time.Minute, Interval: time.Second}, Plan{}, true},
		{"too dense", RunOptions{Interval: time.Millisecond}, Plan{}, true},
		{"too many in a time", RunOptions{Count: 1e6, Duration: time.Second}, Plan{}, true},
		{"a negative count", RunOptions{Count: -1}, Plan{}, true},
		{"shorter than one interval", RunOptions{Duration: time.Millisecond}, Plan{}, true},
	} {
		got, err := PlanFor(s, c.o)
		if (err != nil) != c.err || err == nil && got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestLongestGapCountsTheEndsToo(t *testing.T) {
	row := func(answered ...bool) (r trace.Row) {
		for i, ok := range answered {
			s := trace.Sample{At: time.Duration(i) * time.Second, RTT: trace.Lost}
			if ok {
				s.RTT = time.Millisecond
			}
			r.Samples = append(r.Samples, s)
		}
		return r
	}
	for _, c := range []struct {
		row  trace.Row
		want time.Duration
	}{
		{row(true, true, true), time.Second},
		{row(true, false, false, true), 3 * time.Second},
		{row(true, true, false, false), 2 * time.Second},
		{row(false, false, true), 2 * time.Second},
		{row(false, false, false), 2 * time.Second},
		{trace.Row{}, 0},
	} {
		if got := longestGap(c.row); got != c.want {
			t.Errorf("%+v: %v, want %v", c.row.Samples, got, c.want)
		}
	}
}

func TestRekeysAndNegotiationsAreJudged(t *testing.T) {
	zero := 0
	e := scenario.Expect{Tunnel: "x", Rekeys: 3, Negotiations: &zero}
	for _, c := range []struct {
		tally gateway.Tally
		want  [2]bool
	}{
		{gateway.Tally{IKERekeys: 1, ChildRekeys: 2}, [2]bool{true, true}},
		{gateway.Tally{IKERekeys: 1, ChildRekeys: 1, Negotiations: 1}, [2]bool{false, false}},
	} {
		j := judge{of: "x"}
		j.tally(e, c.tally)
		if len(j.found) != 2 || j.found[0].OK != c.want[0] || j.found[1].OK != c.want[1] {
			t.Errorf("%+v: %+v", c.tally, j.found)
		}
	}
}

func TestExpectationsCanFail(t *testing.T) {
	s := load(t, "clean")
	trouble := func(answered bool) *trace.Result {
		r := &trace.Result{}
		for i := range 100 {
			x := trace.Sample{At: time.Duration(i) * 100 * time.Millisecond, RTT: trace.Lost}
			if answered && i%10 != 0 {
				x.RTT = 70 * time.Millisecond
			}
			r.Target.Samples = append(r.Target.Samples, x)
		}
		return r
	}
	limit, none := 0.05, 0
	for name, e := range map[string]scenario.Expect{
		"loss too high":    {Loss: &scenario.Range{Max: &limit}},
		"loss too low":     {Loss: &scenario.Range{Min: 0.5}},
		"too many lost":    {MaxLost: &none},
		"too slow":         {P50: &scenario.DurationRange{Max: 69 * time.Millisecond}},
		"too fast":         {P50: &scenario.DurationRange{Min: 71 * time.Millisecond}},
		"silent too long":  {MaxGap: 150 * time.Millisecond},
		"far from path":    {NearPath: &scenario.Near{Delay: 9 * time.Millisecond}},
		"same SAs, not up": {SameSAs: true},
		"new SAs, not up":  {NewSAs: true},
	} {
		e.Tunnel = scenario.Accelerated
		l := &Lab{Scenario: &scenario.Scenario{}}
		*l.Scenario = *s
		l.Scenario.Expect = []scenario.Expect{e}
		m := &Measurement{Plan: Plan{100 * time.Millisecond, 100}, Traces: map[string]*trace.Result{scenario.Accelerated: trouble(true)}}
		failed := false
		for _, c := range l.Judge(m) {
			failed = failed || !c.OK
		}
		if !failed {
			t.Errorf("%s: nothing failed: %+v", name, l.Judge(m))
		}
	}
}

func TestSAsAreComparedByTheirSPIs(t *testing.T) {
	sa := func(ike, in string) gateway.SA {
		return gateway.SA{InitiatorSPI: ike, Children: []gateway.Child{{State: "INSTALLED", SPIIn: in, SPIOut: "o" + in}}}
	}
	for _, c := range []struct {
		e             scenario.Expect
		before, after gateway.SA
		ok            bool
	}{
		{scenario.Expect{SameSAs: true}, sa("a", "1"), sa("a", "1"), true},
		{scenario.Expect{SameSAs: true}, sa("a", "1"), sa("a", "2"), false},
		{scenario.Expect{SameSAs: true}, sa("a", "1"), sa("b", "1"), false},
		{scenario.Expect{NewSAs: true}, sa("a", "1"), sa("b", "2"), true},
		{scenario.Expect{NewSAs: true}, sa("a", "1"), sa("b", "1"), false},
	} {
		j := judge{}
		j.sas(c.e, c.before, c.after)
		if len(j.found) != 1 || j.found[0].OK != c.ok {
			t.Errorf("%+v, before %+v, after %+v: %+v", c.e, c.before, c.after, j.found)
		}
	}
}

func TestIperfIsReadEvenWhenTheClientDidNotFinish(t *testing.T) {
	tcp := IperfResult{Run: scenario.Iperf{Protocol: "tcp", Duration: 8 * time.Second}}
	err := tcp.read([]byte(`{"error":"interrupt - the client has terminated"}`),
		[]byte(`{"intervals":[{"sum":{"bytes":1000000}},{"sum":{"bytes":1000000}}],"error":"the client has terminated"}`), nil)
	if err != nil || math.Abs(tcp.Mbit-2) > 1e-9 {
		t.Errorf("got %v Mbit/s, %v; want 2", tcp.Mbit, err)
	}
	udp := IperfResult{Run: scenario.Iperf{Protocol: "udp", Duration: time.Second}}
	err = udp.read(nil, []byte(`{"intervals":[{"sum":{"bytes":1000,"packets":30,"lost_packets":6}},{"sum":{"bytes":1000,"packets":10,"lost_packets":4}}]}`), nil)
	if err != nil || udp.Sent != 40 || udp.Loss != 0.25 {
		t.Errorf("got %+v, %v; want 40 sent, a quarter lost", udp, err)
	}
	if err := tcp.read([]byte(`{"error":"unable to connect to server: Connection refused"}`), nil, nil); err == nil {
		t.Error("a run that never connected has a rate")
	}
	if err := tcp.read(nil, nil, nil); err == nil {
		t.Error("silence has a rate")
	}
}

func TestLabNamesAreMadeOfScenarioNames(t *testing.T) {
	for in, want := range map[string]string{"seoul-shanghai": "seoulshanghai", "Größe!": "gre", "---": "lab", "a-very-long-scenario-name": "averylongscena"} {
		if got := freeName(in); !strings.HasPrefix(got, want) {
			t.Errorf("%q became %q, want %q or that with a number", in, got, want)
		}
	}
}
