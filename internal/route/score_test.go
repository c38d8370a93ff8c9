package route

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func segmentOf(rtt time.Duration, loss, conditional float64) Quality {
	return Quality{Known: true, RTT: rtt, OneWay: rtt / 2, Loss: loss, Conditional: max(loss, conditional)}
}

// The wanted values are from a packet-level prototype with real elimination and
// feedback: its overhead, and the delay in order of its slow packets (99 %).
func TestPredictionsAgreeWithAPrototype(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name     string
		loss     float64
		rtt      time.Duration
		budget   time.Duration
		alpha    Redundancy
		delay    time.Duration
		overhead float64
		residual float64 // at most
	}{
		{"5 %, one round", .05, 100 * ms, 150 * ms, 1.5, 103 * ms, 1.125, 2e-5},
		{"5 %, two rounds", .05, 100 * ms, 220 * ms, 1.0, 138 * ms, 1.096, 2e-5},
		{"20 %, no round", .2, 100 * ms, 30 * ms, 2.0, 21 * ms, 1.50, 3e-3},
		{"20 %, one round", .2, 100 * ms, 150 * ms, 1.3, 102 * ms, 1.428, 2e-5},
		{"20 %, two rounds", .2, 100 * ms, 220 * ms, 1.1, 129 * ms, 1.358, 2e-5},
		{"50 %, one round", .5, 100 * ms, 150 * ms, 1.2, 104 * ms, 2.43, 2e-5},
		{"20 %, 30 ms round trip, one round", .2, 30 * ms, 60 * ms, 1.2, 37 * ms, 1.57, 2e-5},
		{"20 %, 30 ms round trip, three rounds", .2, 30 * ms, 100 * ms, 1.0, 65 * ms, 1.37, 2e-5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Predictor
			q := segmentOf(tt.rtt, tt.loss, 0)
			got := p.Segment(q, Policy{Budget: tt.budget, Redundancy: tt.alpha, Cap: 4})
			wait := got.Delay - q.OneWay
			if r := float64(wait) / float64(tt.delay); r < .5 || r > 1.5 {
				t.Errorf("slow packets wait %v, the prototype's %v", wait, tt.delay)
			}
			if math.Abs(got.Overhead-tt.overhead) > .12*tt.overhead {
				t.Errorf("overhead %.3f, the prototype's %.3f", got.Overhead, tt.overhead)
			}
			if got.Residual > tt.residual {
				t.Errorf("residual %.2g, the prototype's below %.2g", got.Residual, tt.residual)
			}
			if least := (1 - got.Residual) / (1 - tt.loss); got.Overhead < least*.99 {
				t.Errorf("overhead %.3f is below what any scheme can do, %.3f", got.Overhead, least)
			}
		})
	}
}

func TestPredictionsFollowSense(t *testing.T) {
	var p Predictor
	const ms = time.Millisecond
	tests := []struct {
		name          string
		better, worse func() Prediction
	}{
		{"less loss is better", one(&p, segmentOf(60*ms, .05, 0), Policy{}), one(&p, segmentOf(60*ms, .2, 0), Policy{})},
		{"a shorter way is better at the same loss", one(&p, segmentOf(30*ms, .2, 0), Policy{}), one(&p, segmentOf(120*ms, .2, 0), Policy{})},
		{"scattered loss is better than bursts", one(&p, segmentOf(60*ms, .1, 0), Policy{}), one(&p, segmentOf(60*ms, .1, .8), Policy{})},
		{"more redundancy waits less", one(&p, segmentOf(100*ms, .2, 0), Policy{Redundancy: Latency}), one(&p, segmentOf(100*ms, .2, 0), Policy{Redundancy: Economy})},
		{"two short stretches beat one long at the same loss", func() Prediction {
			return p.Route([]Quality{segmentOf(20*ms, 0, 0), segmentOf(60*ms, .2, 0), segmentOf(20*ms, 0, 0)}, Policy{})
		}, one(&p, segmentOf(100*ms, .2, 0), Policy{})},
		{"feedback that gets through is better", one(&p, segmentOf(60*ms, .2, 0), Policy{Redundancy: Economy}), func() Prediction {
			q := segmentOf(60*ms, .2, 0)
			q.ReverseLoss = .8
			return p.Segment(q, Policy{Redundancy: Economy})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, b := tt.better(), tt.worse(); a.Delay >= b.Delay {
				t.Errorf("%+v is not better than %+v", a, b)
			}
		})
	}
}

func one(p *Predictor, q Quality, policy Policy) func() Prediction {
	return func() Prediction { return p.Segment(q, policy) }
}

func TestTheSegmentsOfARouteShareItsTarget(t *testing.T) {
	var p Predictor
	c := Candidate{Segments: []Quality{segmentOf(40*time.Millisecond, .2, 0), segmentOf(50*time.Millisecond, .1, 0), segmentOf(30*time.Millisecond, .2, 0)}}
	if s := p.Score(c, Policy{}); !s.Meets || s.Residual > 1.01e-5 {
		t.Errorf("three lossy segments leave %.3g, the route may lose 1e-5", s.Residual)
	}
}

func TestTheCapIsKeptAndCostsResidual(t *testing.T) {
	var p Predictor
	got := p.Segment(segmentOf(60*time.Millisecond, .5, 0), Policy{Cap: 1.5})
	if got.Overhead > 1.5 || got.Residual < .25-.02 {
		t.Errorf("half lost, sent 1.5 times: %+v; at least a quarter must be lost", got)
	}
	if s := p.Score(Candidate{Segments: []Quality{segmentOf(60*time.Millisecond, .5, 0)}}, Policy{Cap: 1.5}); s.Meets {
		t.Error("and that is said to meet the target")
	}
}

func TestNoRepairLosesWhatTheWayLoses(t *testing.T) {
	var p Predictor
	got := p.Segment(segmentOf(60*time.Millisecond, .2, 0), Policy{Redundancy: None})
	if got.Overhead != 1 || math.Abs(got.Residual-.2) > .01 || got.Delay != 30*time.Millisecond {
		t.Errorf("%+v", got)
	}
}

func TestMissingTheTargetWeighsMoreThanDelay(t *testing.T) {
	var p Predictor
	lossy := Candidate{Segments: []Quality{segmentOf(40*time.Millisecond, .6, 0)}}
	slow := Candidate{Segments: []Quality{segmentOf(250*time.Millisecond, 0, 0)}}
	if a, b := p.Score(lossy, Policy{Cap: 1.5}), p.Score(slow, Policy{Cap: 1.5}); a.Cost <= b.Cost {
		t.Errorf("a route that loses %.2g costs %v, a slow one %v", a.Residual, a.Cost, b.Cost)
	}
}

// The model must stay within reason for all that can be measured, and near
// neighbours must not differ wildly.
func TestPredictionsAreSaneEverywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Predictor
		loss := rapid.Float64Range(0, 1).Draw(t, "loss")
		q := segmentOf(time.Duration(rapid.IntRange(0, 800).Draw(t, "rtt"))*time.Millisecond, loss, rapid.Float64Range(loss, 1).Draw(t, "conditional"))
		q.ReverseLoss = rapid.Float64Range(0, 1).Draw(t, "reverse")
		policy := Policy{
			Cap:        rapid.Float64Range(1, 8).Draw(t, "cap"),
			Budget:     time.Duration(rapid.IntRange(0, 500).Draw(t, "budget")) * time.Millisecond,
			Redundancy: rapid.SampledFrom([]Redundancy{Balanced, Latency, Economy, None}).Draw(t, "redundancy"),
			Rate:       rapid.Float64Range(1, 100000).Draw(t, "rate"),
		}
		got := p.Segment(q, policy)
		budget := policy.Budget
		if budget == 0 {
			budget = maxBudget
		}
		if got.Delay < q.OneWay || got.Delay > q.OneWay+budget+time.Millisecond {
			t.Fatalf("delay %v with a budget of %v on top of %v", got.Delay, budget, q.OneWay)
		}
		if !(got.Residual >= 0 && got.Residual <= max(loss*1.05, 1e-5)) {
			t.Fatalf("residual %v of loss %v", got.Residual, loss)
		}
		most := policy.Cap
		if policy.Rate*max(q.RTT.Seconds(), 1e-6) < pooled && policy.Redundancy != None {
			most = mostCopies * mostRounds // sparse traffic is small, and not held to the cap
		}
		if !(got.Overhead >= 1 && got.Overhead <= most+1e-9) {
			t.Fatalf("overhead %v, at most %v", got.Overhead, most)
		}
		if s := p.Score(Candidate{Segments: []Quality{q, q}}, policy); s.Cost < 0 || !s.Known {
			t.Fatalf("score %+v", s)
		}
	})
}

func TestCandidates(t *testing.T) {
	mesh := func(pops ...string) (links []Link) {
		for i, a := range pops {
			for j, b := range pops {
				if i != j {
					links = append(links, Link{a, b, time.Duration((i+1)*(j+1)) * time.Millisecond})
				}
			}
		}
		return links
	}
	tests := []struct {
		name   string
		links  []Link
		relays int
		limits Limits
		want   []string
	}{
		{"two PoPs have one route", mesh("cn", "kr"), 2, Limits{}, []string{"direct"}},
		{"no link, no route", nil, 2, Limits{}, nil},
		{"links are directed", []Link{{From: "kr", To: "cn"}}, 2, Limits{}, nil},
		{"a relay that reaches only one end is of no use", append(mesh("cn", "kr"), Link{From: "cn", To: "jp"}), 2, Limits{}, []string{"direct"}},
		{"without a direct link the relays remain", []Link{{From: "cn", To: "jp"}, {From: "jp", To: "kr"}}, 2, Limits{}, []string{"jp"}},
		{"the shorter relay comes first", mesh("cn", "kr", "jp", "hk"), 1, Limits{}, []string{"direct", "jp", "hk"}},
		{"two relays, both ways round", mesh("cn", "kr", "jp", "hk"), 2, Limits{}, []string{"direct", "jp", "hk", "hk > jp", "jp > hk"}},
		{"at most four and two", mesh("cn", "kr", "a", "b", "c", "d", "e", "f"), 2, Limits{}, []string{"direct", "a", "b", "c", "d", "b > a", "a > b"}},
		{"the limits can be set", mesh("cn", "kr", "a", "b", "c"), 2, Limits{OneRelay: 1, TwoRelay: 1}, []string{"direct", "a", "b > a"}},
		{"no relays, if so wanted", mesh("cn", "kr", "a", "b"), 0, Limits{}, []string{"direct"}},
		{"what was never measured comes last, by name", append(mesh("cn", "kr", "x"), Link{From: "cn", To: "b"}, Link{From: "b", To: "kr"}, Link{From: "cn", To: "a"}, Link{From: "a", To: "kr"}),
			1, Limits{}, []string{"direct", "x", "a", "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, r := range Candidates("cn", "kr", tt.links, tt.relays, tt.limits) {
				got = append(got, r.String())
				if r.To != "kr" {
					t.Errorf("%v goes to %s", r, r.To)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
	if Candidates("cn", "cn", mesh("cn", "kr"), 2, Limits{}) != nil {
		t.Error("there is a route from a PoP to itself")
	}
}

func BenchmarkChoose(b *testing.B) {
	b.ReportAllocs()
	var c Chooser
	var all []Candidate
	for i := range 7 {
		route := Route{To: "kr", Via: []string{"a", "b"}[:i%3]}
		if i > 2 {
			route.Via = append([]string{string(rune('a' + i))}, route.Via...)
		}
		segments := make([]Quality, len(route.Via)+1)
		for k := range segments {
			segments[k] = segmentOf(time.Duration(20+i)*time.Millisecond, float64(k+i)/50, .3)
		}
		all = append(all, Candidate{Route: route, Segments: segments, Alive: true})
	}
	now := epoch
	for b.Loop() {
		now = now.Add(100 * time.Millisecond)
		c.Choose(now, all)
	}
}
