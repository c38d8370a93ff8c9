package weather

import (
	"math"
	"testing"
	"time"

	"causeway/internal/mono"
)

// extras returns the delays beyond the profile's own of packets so far apart
// that order never makes one wait.
func extras(p Profile, count int) []float64 {
	l := New(p, 21)
	out := make([]float64, count)
	for i := range out {
		now := mono.Time(i) * mono.Time(time.Second)
		out[i] = float64(l.Offer(now, 100).At[0].Sub(now) - p.Delay)
	}
	return out
}

func meanOf(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s / float64(len(v))
}

func TestJitterIsHalfNormal(t *testing.T) {
	for _, rho := range []float64{0, 0.7} {
		v := extras(Profile{Delay: 40 * ms, Jitter: 20 * ms, JitterCorrelation: rho}, 200000)
		want := float64(20*ms) * math.Sqrt(2/math.Pi)
		if got := meanOf(v); math.Abs(got-want) > 0.015*want {
			t.Errorf("rho %v: mean %.2f ms, want sigma × sqrt(2/π) = %.2f", rho, got/1e6, want/1e6)
		}
		within := 0
		for _, x := range v {
			if x < float64(20*ms) {
				within++
			}
		}
		if got := float64(within) / float64(len(v)); math.Abs(got-0.6827) > 0.01 {
			t.Errorf("rho %v: %.4f of the packets within sigma, want 0.6827", rho, got)
		}
	}
}

func TestJitterCorrelates(t *testing.T) {
	j := jitter{noise: stream(Derive(4, "jitter"))}
	const n = 200000
	x := make([]float64, n)
	for i := range x {
		x[i] = j.at(uint64(i), 0.7)
	}
	for lag, want := range map[int]float64{1: 0.7, 2: 0.49, 5: math.Pow(0.7, 5)} {
		var s float64
		for i := lag; i < n; i++ {
			s += x[i] * x[i-lag]
		}
		if got := s / float64(n-lag); math.Abs(got-want) > 0.02 {
			t.Errorf("lag %d: correlation %.3f, want %.3f", lag, got, want)
		}
	}
}

func TestJitterWithASpanDependsOnTimeAlone(t *testing.T) {
	p := Profile{Jitter: 20 * ms, JitterCorrelation: 0.9, JitterEvery: 10 * ms, Spike: Spike{Probability: 0.05, Scale: 5 * ms, Shape: 1.5, Max: 80 * ms},
		Reorder: Reorder{Probability: 1, Extra: 1}} // order not kept, so each packet shows its own delay
	dense, sparse := New(p, 6), New(p, 6)
	for i := range 40000 {
		now := mono.Time(i) * mono.Time(ms)
		d := dense.Offer(now, 100).At[0]
		if i%997 != 0 {
			continue
		}
		if s := sparse.Offer(now, 100).At[0]; s-d > 10 || d-s > 10 {
			t.Fatalf("at %d ms: %v with dense packets, %v with sparse ones", i, d.Sub(now), s.Sub(now))
		}
	}
}

func TestSpikesHaveAParetoTail(t *testing.T) {
	v := extras(Profile{Spike: Spike{Probability: 0.02, Scale: 10 * ms, Shape: 1.5, Max: 400 * ms}}, 200000)
	spikes, above := 0, 0
	for _, x := range v {
		if x == 0 {
			continue
		}
		if x < float64(10*ms) || x > float64(400*ms) {
			t.Fatalf("a spike of %.1f ms, want 10 to 400", x/1e6)
		}
		spikes++
		if x > float64(40*ms) {
			above++
		}
	}
	wantBinomial(t, "spikes", spikes, len(v), 0.02)
	wantBinomial(t, "spikes above four times the scale", above, spikes, math.Pow(4, -1.5))
}
