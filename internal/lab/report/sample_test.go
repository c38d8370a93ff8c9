package report

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Samples the tests and golden files render. Everything is made from a seed, so
// every run of the tests sees the same numbers.

// probesOf makes n probes a path with bursty loss would give: in its bad state
// most are lost, delay is base plus half-normal jitter.
func probesOf(rng *rand.Rand, n int, intervalMs, loss, base, jitter float64) []Probe {
	out := make([]Probe, n)
	bad := false
	for i := range out {
		if rng.Float64() < 0.25 {
			bad = rng.Float64() < loss
		}
		out[i].TMs = toMicro(float64(i) * intervalMs)
		if p := 0.1 * loss; rng.Float64() < p || bad && rng.Float64() < 0.9 {
			continue
		}
		rtt := base + math.Abs(rng.NormFloat64())*jitter
		if rng.Float64() < 0.02*math.Min(jitter, 1) {
			rtt += rng.Float64() * 8 * jitter
		}
		out[i].RTTMs = new(toMicro(rtt))
	}
	return out
}

func sideOf(rng *rand.Rand, n int, intervalMs, loss, base, jitter float64, far string) Side {
	s := NewSide(probesOf(rng, n, intervalMs, loss, base, jitter))
	near := probesOf(rng, n, intervalMs, 0, 0.15, 0.05)
	gateway := make([]Probe, n)
	for i, p := range s.Series {
		gateway[i] = p
		if p.RTTMs != nil {
			gateway[i].RTTMs = new(*p.RTTMs - 0.1)
		}
	}
	s.Hops = []Hop{
		NewHop("10.1.0.1", "Shanghai gateway", near),
		NewHop("10.2.0.1", "Seoul gateway", gateway),
		NewHop("10.2.0.10", "Seoul host", s.Series),
	}
	s.Peers = []Peer{{"shanghai", far}}
	return s
}

func sample(n int, intervalMs float64) Data {
	rng := rand.New(rand.NewPCG(1, 2))
	d := Data{
		Scenario:   "seoul-shanghai",
		Title:      "Seoul to Shanghai over a bad Internet",
		About:      "Two unmodified VPN gateways. The direct path loses half of all pings in bursts; the PoPs have a good crossing between them.",
		Seed:       1,
		Started:    time.Date(2026, 11, 22, 20, 15, 0, 0, time.UTC),
		DurationS:  float64(n) * intervalMs / 1000,
		IntervalMs: intervalMs,
		Valid:      true,
		Together:   true,

		Direct:      sideOf(rng, n, intervalMs, 0.5, 88, 22, "198.19.1.2"),
		Accelerated: sideOf(rng, n, intervalMs, 0, 61.4, 0.9, "203.0.113.10"),
		Throughput: []Throughput{
			{Name: "TCP CUBIC", Tunnel: TunnelDirect, Protocol: "tcp", CongestionControl: "cubic", Direction: "Shanghai → Seoul", DurationS: 10, MbitS: 0.06, Retransmits: new(311)},
			{Name: "TCP CUBIC", Tunnel: TunnelAccelerated, Protocol: "tcp", CongestionControl: "cubic", Direction: "Shanghai → Seoul", DurationS: 10, MbitS: 41.8, Retransmits: new(12)},
			{Name: "TCP BBR", Tunnel: TunnelDirect, Protocol: "tcp", CongestionControl: "bbr", Direction: "Shanghai → Seoul", DurationS: 10, MbitS: 1.9, Retransmits: new(5120)},
			{Name: "TCP BBR", Tunnel: TunnelAccelerated, Protocol: "tcp", CongestionControl: "bbr", Direction: "Shanghai → Seoul", DurationS: 10, MbitS: 88.3, Retransmits: new(40)},
		},
		Overlay: Overlay{
			Client: "Shanghai gateway", Endpoint: "Seoul gateway",
			PoPs: []PoP{
				{"shanghai", "cn-shanghai", RoleIngress},
				{"tokyo", "jp-tokyo", RoleRelay},
				{"seoul", "kr-seoul", RoleEgress},
			},
			Routes: []Route{
				{[]string{"shanghai", "tokyo", "seoul"}, 0.9},
				{[]string{"shanghai", "seoul"}, 0.1},
				{[]string{"seoul", "shanghai"}, 1},
			},
			Segments: []Segment{
				segmentOf("shanghai", "tokyo", 0.201, 1.34, 29.1),
				segmentOf("tokyo", "shanghai", 0.022, 1.06, 29.1),
				segmentOf("tokyo", "seoul", 0.0004, 1.01, 31.8),
				segmentOf("seoul", "tokyo", 0.0005, 1.01, 31.8),
				segmentOf("shanghai", "seoul", 0.262, 1.52, 52.4),
				segmentOf("seoul", "shanghai", 0.031, 1.08, 52.4),
			},
		},
		Control: &Control{
			Commands: []Command{
				{Step: "4.1 the accelerator", Command: "causeway accelerator create office", Ms: 33.4, Said: `accelerator "office" created`},
				{Step: "4.1 the accelerator", Command: "causeway bandwidth-package bind office-basic office", Ms: 28},
				{Step: "4.9 the endpoint", Command: "causeway endpoint-group update seoul --endpoint 198.19.1.2 --wait", Ms: 138, Error: "exit code 5"},
			},
			ReadyMs: 1460, AcceleratedIP: "203.0.113.10", EndpointGroup: "seoul", EgressBefore: "203.0.113.20", EgressAfter: "203.0.113.20",
			Endpoints: "198.19.1.99 → 198.19.1.2",
			Restarts:  []Start{{PoP: "seoul", AtMs: 8500, CarryingMs: new(61.0)}, {PoP: "shanghai", AtMs: 9000, Controller: true}},
		},
		Events: []Event{{TMs: float64(n) * intervalMs * 0.5, EndMs: float64(n) * intervalMs * 0.55, What: "outage", Where: "shanghai–seoul"}},
		Checks: []Check{
			{"accelerated: at most 0 probes lost", "0 of 600", true},
			{"accelerated: median round trip from 60ms to 61ms", "62ms", false},
		},
		Environment: Environment{
			Kernel: "6.18.0", CPU: "example CPU", Cores: 2, IPsec: "kernel-libipsec",
			Versions: []Version{{"causeway", "0.1.0"}, {"strongSwan", "5.9.8"}, {"iperf3", "3.12"}},
			Emulator: &Lateness{P50: 0.02, P99: 0.21, Max: 2.6, Limit: 15},
		},
		Settings: []Setting{
			{"Links", "direct, each way", "delay 40 ms, jitter 20 ms, bursts of 150 ms losing 75 %"},
			{"Links", "PoP to PoP", "delay 24 ms, loss 0.01 %"},
			{"Measurement", "probe", "ICMP echo through the tunnel, 64 bytes"},
		},
	}
	d.Direct.PathLoss, d.Accelerated.PathLoss = new(0.506), new(0.0002)
	d.Direct.PathRTTMs, d.Accelerated.PathRTTMs = new(102.5), new(61.8)
	d.Direct.SetupMs, d.Accelerated.SetupMs = new(3214.0), new(66.2)
	return d
}

func segmentOf(from, to string, raw, overhead, rtt float64) Segment {
	const carried = 48_000
	recovered := uint64(raw * carried)
	return Segment{
		From: from, To: to, Wires: 1, Mode: "balanced",
		Carried: carried, Lost: 0, RawLoss: raw, Residual: 0,
		OverheadPackets: overhead, OverheadBytes: overhead + 0.03,
		Recovered:  Recovered{Total: recovered, Coded: recovered * 7 / 10, Resent: recovered / 4, Copies: recovered - recovered*7/10 - recovered/4},
		AddedDelay: &Delay{P50: 0, P95: 4.1, P99: 18.2 * raw / 0.2, P999: 60 * raw / 0.2},
		RTTMs:      new(rtt),
	}
}

// samples are the runs every renderer is tested with, sensible and not. Nobody
// may change them.
var samples = sync.OnceValue(makeSamples)

func makeSamples() map[string]Data {
	good := sample(600, 200)

	busy := sample(120, 200)
	busy.Valid = false
	busy.InvalidReason = "the WAN emulator was up to 160 ms late, and a run counts up to 15 ms"
	busy.Environment.Emulator.Max = 160

	noReplies := sample(50, 200)
	noReplies.Direct = NewSide(probesOf(rand.New(rand.NewPCG(3, 3)), 50, 200, 0, 1, 1))
	for i := range noReplies.Direct.Series {
		noReplies.Direct.Series[i].RTTMs = nil
	}
	noReplies.Direct = NewSide(noReplies.Direct.Series)
	noReplies.Throughput = []Throughput{
		{Name: "TCP CUBIC", Tunnel: TunnelDirect, Protocol: "tcp", CongestionControl: "cubic", Error: "no connection within 15 s"},
		{Name: "TCP CUBIC", Tunnel: TunnelAccelerated, Protocol: "tcp", CongestionControl: "cubic", MbitS: 41.8},
	}

	wrong := sample(30, 100)
	wrong.Direct.RTT.Avg = math.NaN()
	wrong.Direct.Loss = math.Inf(1)
	wrong.Overlay.Segments[0].RTTMs = new(math.NaN())
	wrong.Scenario = "\x1b[31m<script>alert(1)</script>\nsecond line"
	wrong.Title = wrong.Scenario
	wrong.Control.Commands[0].Command, wrong.Control.EgressAfter = wrong.Scenario, wrong.Scenario

	noOverlay := sample(200, 100)
	noOverlay.Overlay = Overlay{}
	noOverlay.Throughput = nil
	noOverlay.Events = nil
	noOverlay.Control = nil

	return map[string]Data{
		"good":       good,
		"busy":       busy,
		"no-replies": noReplies,
		"wrong":      wrong,
		"no-overlay": noOverlay,
		"one-probe":  sample(1, 1000),
		"long":       sample(17_280, 1000),
		"empty":      {},
	}
}
