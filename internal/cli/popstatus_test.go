package cli

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/internal/report"
)

var update = flag.Bool("update", false, "rewrite the golden files; only commit what you meant to change")

// busy is the report of a PoP that has something of everything.
func busy() report.PoP {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ap := netip.MustParseAddrPort
	p := report.PoP{
		Name: "seoul", Region: "kr-seoul", Label: 2, PublicKey: "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		At: at, Started: at.Add(-3 * time.Hour), Uptime: 3 * 3600, Build: report.Build{Version: "v0.1.0"},
		Snapshot: report.Snapshot{Version: 7, Since: at.Add(-2 * time.Hour), Source: "file", File: "/etc/causeway/pop.yaml",
			Refused: &report.Refusal{At: at.Add(-5 * time.Minute), Reason: "pop.yaml:3:6: pop: found \"seoul\"\n     3 | pop: seoul"}},
		Passthroughs: []report.Passthrough{{Bind: netip.MustParseAddrPort("10.0.0.9:4711"), Public: netip.MustParseAddrPort("203.0.113.9:4711"), InKernel: true, Ends: [2]report.PassthroughEnd{
			{PoP: "tokyo", Sent: report.Counter{Packets: 9, Bytes: 12_345_678}}, {PoP: "osaka", Sent: report.Counter{Packets: 1, Bytes: 98}}}}},
		Segments: []report.Segment{
			{Peer: "shanghai", Through: "tokyo", Up: true, State: "up", Since: at.Add(-2 * time.Hour), KeysAge: 15, RTT: 58.1, Wires: []report.Wire{{Name: "ct", Local: netip.MustParseAddrPort("203.0.113.20:4600"), Remote: netip.MustParseAddrPort("203.0.113.30:4700"), Up: true, State: "up", Since: at, MTU: 1500}}},
			{Peer: "shanghai", Up: true, State: "up", Since: at.Add(-3 * time.Hour), KeysAge: 75, RTT: 51.23,
				Traffic: report.Traffic{BytesToPeer: 123_456_789, BytesFromPeer: 1_234},
				Repair:  report.Repair{ToPeer: report.RepairCost{RawLoss: 0.201, Overhead: 1.41}, ToHere: report.RepairResult{RawLoss: 0.02, ResidualLoss: 0.00002}},
				Wires: []report.Wire{
					{Name: "ct", Up: true, State: "up", Since: at.Add(-3 * time.Hour), RTT: 51.2, Jitter: 3.4, MTU: 1500, Share: 0.75,
						Local: ap("203.0.113.20:4600"), Remote: ap("203.0.113.10:4600"), ToPeer: report.Loss{Ratio: 0.3, BurstMean: 2.1}, ToHere: report.Loss{Ratio: 0.02, BurstMean: 1}},
					{Name: "v6", State: "down", Since: at.Add(-time.Minute), MTU: 1280, Flaps: 3,
						Local: ap("[2001:db8::20]:4600"), Remote: ap("[2001:db8::10]:4600")}}},
			{Peer: "tokyo", State: "handshaking", Since: at.Add(-1500 * time.Millisecond)},
		},
		Routes: []report.Route{
			{To: "shanghai", Policy: "measured", Up: true, Since: at.Add(-time.Hour), Switches: 4, Chosen: []string{"tokyo"}, Reason: "direct loses 20 %",
				Candidates: []report.Candidate{{Up: true, RTT: 51.2, Loss: 0.2}, {Via: []string{"tokyo"}, Up: true, Chosen: true, RTT: 70, Loss: 0.001, Why: "least delay at the target"}}},
			{To: "osaka", Policy: "fixed", Since: at.Add(-3 * time.Hour), Pinned: true},
		},
		Listeners: []report.Listener{{Name: "vpn", Public: []netip.AddrPort{ap("203.0.113.21:500"), ap("203.0.113.21:4500"), ap("[2001:db8::21]:500")},
			Egress: "shanghai", Sessions: 2, Repair: "balanced", Order: "ordered", Allowances: []string{"basic", "spec"},
			Groups: []report.Target{
				{EndpointGroup: "main", Egress: "shanghai", Reachable: true, Percentage: 100, Endpoints: []report.EndpointHealth{
					{Address: netip.MustParseAddr("198.51.100.17"), Weight: 128, Health: "down", Since: at.Add(-90 * time.Second)}}},
				{EndpointGroup: "spare", Egress: "tokyo", Percentage: 50, Allowances: []string{"crossing"}, Endpoints: []report.EndpointHealth{
					{Address: netip.MustParseAddr("198.51.100.27"), Weight: 128, Health: "unknown"}}}},
			Traffic: report.Traffic{BytesToPeer: 5000, BytesFromPeer: 70_000_000}}},
		Egresses: []report.Egress{{EndpointGroup: "office", Public: netip.MustParseAddr("203.0.113.22"),
			Endpoints: []report.Endpoint{
				{Address: netip.MustParseAddr("198.51.100.7"), Weight: 128, Healthy: true, Health: "up", RTT: 3.2, Sessions: 2},
				{Address: netip.MustParseAddr("198.51.100.8"), Health: "down"}, {Address: netip.MustParseAddr("198.51.100.9"), Healthy: true, Health: "unknown"}}}},
		Allowances: []report.Allowance{
			{Name: "basic", Rate: 20_000_000, Burst: 250_000, ToEndpoint: report.AllowanceLane{Used: 3_400_000}, ToClient: report.AllowanceLane{Used: 19_900_000, Dropped: report.Counter{Packets: 1234}},
				SessionsLimit: 5000, Sessions: 24},
			{Name: "crossing", Rate: 2_000_000, Burst: 64 << 10},
			{Name: "spec", SessionsLimit: 24, Sessions: 24, RefusedSessions: 7}},
		Alarms:   []report.Alarm{{Kind: "endpoints_lost", Object: "vpn", Since: at.Add(-90 * time.Second), Text: "no endpoint of listener vpn is well"}},
		Drops:    map[string]uint64{"stranger": 12, "late": 40000, "duplicate": 12, "never": 0},
		Features: map[string]bool{"udp_gso": true, "udp_gro": false},
		Runtime:  report.Runtime{PID: 4711, Goroutines: 12, HeapBytes: 5_000_000, RSSBytes: 21_000_000, CPUSeconds: 3.25, OpenFiles: 17},
	}
	p.Sessions = report.Sessions{Confirmed: 24, Unconfirmed: 3, Associations: 12}
	for i := range 22 {
		s := report.Session{ID: fmt.Sprintf("%04x", i), Listener: "vpn", Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(4500+i)),
			Accelerated: ap("203.0.113.21:4500"), Peer: "shanghai", Part: "ingress", State: "confirmed", Kinds: []string{"esp", "ike"}, Initiated: "client",
			Age: 3600, Idle: 0.02, ToClient: report.Counter{Packets: 10, Bytes: 1500}, ToEndpoint: report.Counter{Packets: 20, Bytes: 3_000_000}}
		if i%2 == 1 {
			s.State, s.Part, s.Endpoint, s.Egress = "unconfirmed", "egress", ap("198.51.100.7:4500"), ap("203.0.113.22:4501")
		}
		p.Sessions.List = append(p.Sessions.List, s)
	}
	return p
}

func TestPoPStatus(t *testing.T) {
	idle := report.PoP{Name: "seoul", Label: 2, At: busy().At, Snapshot: report.Snapshot{Version: 1, Since: busy().At, Source: "last-good"}}
	for _, c := range []struct {
		golden string
		report report.PoP
		view   StatusView
	}{
		{"all", busy(), StatusView{}},
		{"wide", busy(), StatusView{Wide: true, Features: true}},
		{"parts", busy(), StatusView{Parts: []string{"sessions", "drops"}}},
		{"colour", busy(), StatusView{Colour: true, Parts: []string{"segments", "wires"}, Features: true}},
		{"idle", idle, StatusView{Features: true}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			var b strings.Builder
			if err := PoPStatus(&b, c.report, c.view); err != nil {
				t.Fatal(err)
			}
			file := "testdata/status-" + c.golden + ".txt"
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("differs from %s; got\n%s", file, b.String())
			}
		})
	}
}

func TestRouteExplained(t *testing.T) {
	var b strings.Builder
	found, err := RouteExplained(&b, busy(), "shanghai", false)
	const want = `to shanghai: over tokyo, for 1h0m, after 4 switches; policy measured
because direct loses 20 %

WAYS TO shanghai
WAY         STATE  USE         RTT    LOSS  SCORE  WHY
direct      up     -       51.2 ms  20.0 %      -  -
over tokyo  up     chosen  70.0 ms  0.10 %      -  least delay at the target

RTT and loss are those of the whole way, before repair. The score is what is compared, in ms; smaller is better.
`
	if !found || err != nil || b.String() != want {
		t.Errorf("%v, %v, got\n%s", found, err, b.String())
	}
	if found, err := RouteExplained(&b, busy(), "busan", false); found || err != nil {
		t.Errorf("a route that is not there: %v, %v", found, err)
	}
}

// failing is a pipe whose reader has gone.
type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

func TestPoPStatusReportsAFailedWrite(t *testing.T) {
	for n := range 12 {
		if err := PoPStatus(&failing{after: n}, busy(), StatusView{}); err == nil {
			t.Errorf("a write that failed after %d went unnoticed", n)
		}
	}
}
