package weather

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

const ms = time.Millisecond

// offerEvery offers count packets of 1000 bytes, one every gap, and returns the verdicts.
func offerEvery(l *Link, gap time.Duration, count int) []Verdict {
	out := make([]Verdict, count)
	for i := range out {
		out[i] = l.Offer(mono.Time(i)*mono.Time(gap), 1000)
	}
	return out
}

func countDrops(vs []Verdict, why DropReason) int {
	n := 0
	for _, v := range vs {
		if v.Drop == why {
			n++
		}
	}
	return n
}

// wantBinomial fails when hits of n trials are further from probability p than
// 4.5 standard deviations: once in 150,000 seeds, and the seeds here are fixed.
func wantBinomial(t *testing.T, what string, hits, n int, p float64) {
	t.Helper()
	sigma := math.Sqrt(float64(n) * p * (1 - p))
	if d := math.Abs(float64(hits) - float64(n)*p); d > 4.5*sigma+1e-9 {
		t.Errorf("%s: %d of %d, want %.4f of them within 4.5 sigma (%.0f)", what, hits, n, p, 4.5*sigma)
	}
}

func TestAPerfectWireDelaysAndLosesNothing(t *testing.T) {
	l := New(Profile{}, 1)
	for i, v := range offerEvery(l, ms, 100) {
		if want := (Verdict{N: 1, At: [2]mono.Time{mono.Time(i) * mono.Time(ms), mono.Time(i) * mono.Time(ms)}}); v != want {
			t.Fatalf("packet %d: %+v, want %+v", i, v, want)
		}
	}
}

func TestRandomLossIsBinomial(t *testing.T) {
	for _, p := range []float64{0.001, 0.05, 0.2, 0.5, 0.97} {
		vs := offerEvery(New(Profile{Loss: Loss{Random: p}}, 7), ms, 100000)
		wantBinomial(t, "lost", countDrops(vs, DropRandom), len(vs), p)
		both := 0 // packets lost after a lost one: independence
		for i := 1; i < len(vs); i++ {
			if vs[i].Drop == DropRandom && vs[i-1].Drop == DropRandom {
				both++
			}
		}
		if p < 0.9 {
			wantBinomial(t, "lost in pairs", both, len(vs), p*p)
		}
	}
}

func TestChoicesOfOnePartDoNotDependOnTheOthers(t *testing.T) {
	plain := offerEvery(New(Profile{Loss: Loss{Random: 0.3}}, 3), ms, 2000)
	rich := offerEvery(New(Profile{
		Delay: 10 * ms, Jitter: 5 * ms, JitterCorrelation: 0.5, Duplicate: 0.2,
		Spike:   Spike{Probability: 0.1, Scale: ms, Shape: 1.5, Max: 100 * ms},
		Reorder: Reorder{Probability: 0.1, Extra: 5 * ms}, Loss: Loss{Random: 0.3},
	}, 3), ms, 2000)
	for i := range plain {
		if plain[i].Drop != rich[i].Drop {
			t.Fatalf("packet %d: %v with loss alone, %v with delays too", i, plain[i].Drop, rich[i].Drop)
		}
	}
}

func TestEqualSeedsMeetEqualWeather(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProfile(t)
		seed := rapid.Uint64().Draw(t, "seed")
		a, b := NewNamed(p, seed, "sh>se"), NewNamed(p, seed, "sh>se")
		for _, now := range anyTimes(t) {
			size := rapid.IntRange(40, 1500).Draw(t, "size")
			if va, vb := a.Offer(now, size), b.Offer(now, size); va != vb {
				t.Fatalf("at %d: %+v and %+v", now, va, vb)
			}
		}
	})
}

func TestStartBeginsAgain(t *testing.T) {
	p := Profile{Delay: 20 * ms, Jitter: 3 * ms, JitterCorrelation: 0.9, Loss: Loss{Random: 0.1, Burst: &Gilbert{Good: 50 * ms, Bad: 20 * ms, LossBad: 0.8}}}
	l := New(p, 9)
	l.Follow(Swing(0.1, 0.5, 2*time.Second))
	run := func(t0 mono.Time) []Verdict {
		l.Start(t0)
		vs := make([]Verdict, 5000)
		for i := range vs {
			vs[i] = l.Offer(t0.Add(time.Duration(i)*ms), 500)
			for k := range vs[i].N {
				vs[i].At[k] -= t0
			}
			vs[i].At[1] = 0
		}
		return vs
	}
	first := run(mono.Time(time.Hour))
	if second := run(mono.Time(3 * time.Hour)); !slices.Equal(first, second) {
		t.Error("the same packets after Start met other weather")
	}
}

func TestOrderIsKeptUnlessReordered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProfile(t)
		p.Reorder = Reorder{}
		l := New(p, rapid.Uint64().Draw(t, "seed"))
		var last mono.Time
		for _, now := range anyTimes(t) {
			v := l.Offer(now, 1000)
			for _, at := range v.At[:v.N] {
				if at < last || at < now.Add(p.Delay) {
					t.Fatalf("offered at %d, arrives at %d after one that arrives at %d; delay %v", now, at, last, p.Delay)
				}
				last = at
			}
		}
	})
}

func TestReorderedPacketsAreOvertaken(t *testing.T) {
	vs := offerEvery(New(Profile{Delay: 10 * ms, Reorder: Reorder{Probability: 0.1, Extra: 5 * ms}}, 5), ms, 20000)
	late := 0
	for i, v := range vs {
		switch wait := v.At[0].Sub(mono.Time(i) * mono.Time(ms)); wait {
		case 10 * ms:
		case 15 * ms:
			late++
		default:
			t.Fatalf("packet %d waits %v, want 10ms or 15ms", i, wait)
		}
	}
	wantBinomial(t, "reordered", late, len(vs), 0.1)
}

func TestDuplicates(t *testing.T) {
	twice := 0
	vs := offerEvery(New(Profile{Duplicate: 0.05}, 5), ms, 20000)
	for _, v := range vs {
		twice += v.N - 1
	}
	wantBinomial(t, "duplicated", twice, len(vs), 0.05)
}

func TestRateSpacesPacketsAndQueueDropsTheRest(t *testing.T) {
	// 8 Mbit/s carries one 1000-byte packet a millisecond; four come in that time.
	for _, queue := range []Queue{{Delay: 20 * ms}, {Bytes: 20000}, {Delay: 20 * ms, Bytes: 50000}} {
		vs := offerEvery(New(Profile{Rate: 8 * Mbit, Queue: queue}, 5), ms/4, 40000)
		var kept []mono.Time
		for i, v := range vs {
			if v.Drop == DropQueue {
				continue
			}
			if wait := v.At[0].Sub(mono.Time(i) * mono.Time(ms/4)); wait > 21*ms {
				t.Fatalf("%+v: packet %d waits %v, want at most the 20ms queue and its own 1ms", queue, i, wait)
			}
			if n := len(kept); n > 0 && v.At[0].Sub(kept[n-1]) != ms {
				t.Fatalf("%+v: packet %d comes %v after the one before, want 1ms", queue, i, v.At[0].Sub(kept[n-1]))
			}
			kept = append(kept, v.At[0])
		}
		if n := len(kept); n < 10000 || n > 10021 {
			t.Errorf("%+v: %d packets in 10 s, want 10000 and what the queue holds", queue, n)
		}
	}
}

func TestPolicerPassesItsRateAndBurst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pol := Policer{Rate: Rate(rapid.IntRange(10_000, 50_000_000).Draw(t, "rate")), Burst: rapid.IntRange(1500, 100000).Draw(t, "burst")}
		l := New(Profile{Policer: pol}, 1)
		passed, fullest := 0.0, 0.0
		for _, now := range anyTimes(t) {
			size := rapid.IntRange(40, 1500).Draw(t, "size")
			allowed := float64(pol.Burst) + bytesIn(time.Duration(now), pol.Rate)
			v := l.Offer(now, size)
			if v.N == 1 {
				passed += float64(size)
			} else if v.Drop != DropPolicer {
				t.Fatalf("%+v", v)
			}
			fullest = max(fullest, passed-allowed)
		}
		if fullest > 1 {
			t.Fatalf("%.0f bytes more than burst and rate allow", fullest)
		}
	})
	vs := offerEvery(New(Profile{Policer: Policer{Rate: 8 * Mbit, Burst: 10000}}, 1), ms/2, 20000)
	if n := len(vs) - countDrops(vs, DropPolicer); n < 10000 || n > 10011 {
		t.Errorf("%d packets passed in 10 s, want 10000 and the bucket's 10", n)
	}
}

func TestMTUAndOutage(t *testing.T) {
	l := New(Profile{MTU: 1400}, 1)
	if v := l.Offer(1, 1400); v.N != 1 {
		t.Errorf("a packet of the MTU's size: %+v", v)
	}
	if v := l.Offer(2, 1401); v.Drop != DropMTU {
		t.Errorf("a byte more: %+v", v)
	}
	l.Set(3, Profile{Down: true})
	if v := l.Offer(4, 100); v.Drop != DropOutage {
		t.Errorf("while down: %+v", v)
	}
}

func TestTraceIsReplayed(t *testing.T) {
	vs := offerEvery(New(Profile{Loss: Loss{Trace: Trace{true, false, false}}}, 1), ms, 9)
	for i, v := range vs {
		if lost := v.Drop == DropTrace; lost != (i%3 == 0) {
			t.Errorf("packet %d lost: %v", i, lost)
		}
	}
}

func TestSettingTheSameProfileChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProfile(t)
		a, b := New(p, 11), New(p, 11)
		for i, now := range anyTimes(t) {
			if i%3 == 1 {
				b.Set(now, p)
			}
			if va, vb := a.Offer(now, 1000), b.Offer(now, 1000); va != vb {
				t.Fatalf("packet %d: %+v untouched, %+v after Set", i, va, vb)
			}
		}
	})
}

func TestOfferAllocatesNothing(t *testing.T) {
	l := New(Profile{
		Delay: 20 * ms, Jitter: 5 * ms, JitterCorrelation: 0.7, Rate: 50 * Mbit, Duplicate: 0.1,
		Spike:   Spike{Probability: 0.1, Scale: ms, Shape: 1.5, Max: 100 * ms},
		Loss:    Loss{Random: 0.1, Burst: &Gilbert{Good: 5 * ms, Bad: ms, LossBad: 0.5, Shared: "cable", Correlation: 0.5}},
		Policer: Policer{Rate: 100 * Mbit, Burst: 30000}, Reorder: Reorder{Probability: 0.1, Extra: ms},
	}, 1)
	l.Follow(Swing(0.05, 0.4, time.Minute))
	now := mono.Time(0)
	if n := testing.AllocsPerRun(20000, func() {
		now = now.Add(ms)
		l.Offer(now, 1000)
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkOffer(b *testing.B) {
	l := New(Profile{Delay: 20 * ms, Jitter: ms, JitterCorrelation: 0.7, Rate: Gbit, Loss: Loss{Random: 0.01, Burst: &Gilbert{Good: 300 * ms, Bad: 20 * ms, LossBad: 0.8}}}, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Offer(mono.Time(i)*50000, 1000)
	}
}

// anyTimes draws up to 200 rising instants with gaps from nothing to half a second.
func anyTimes(t *rapid.T) []mono.Time {
	gaps := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 100_000), rapid.IntRange(0, 500_000_000)), 1, 200).Draw(t, "gaps")
	times := make([]mono.Time, len(gaps))
	now := mono.Time(0)
	for i, g := range gaps {
		now += mono.Time(g)
		times[i] = now
	}
	return times
}

// anyProfile draws a valid profile.
func anyProfile(t *rapid.T) Profile {
	span := func(name string, lo, hi time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(lo), int64(hi)).Draw(t, name))
	}
	share := func(name string) float64 { return rapid.Float64Range(0, 1).Draw(t, name) }
	p := Profile{Delay: span("delay", 0, 200*ms), Duplicate: share("duplicate"), Loss: Loss{Random: share("random")}}
	if rapid.Bool().Draw(t, "jittery") {
		p.Jitter, p.JitterCorrelation = span("jitter", 0, 50*ms), min(share("correlation"), 0.99)
		p.JitterEvery = rapid.SampledFrom([]time.Duration{0, ms, 20 * ms}).Draw(t, "every")
		p.Spike = Spike{Probability: share("spikes"), Scale: ms, Shape: 1.2, Max: 300 * ms}
	}
	if rapid.Bool().Draw(t, "bursty") {
		p.Loss.Burst = &Gilbert{Good: span("good", ms, time.Second), Bad: span("bad", ms, 400*ms), LossGood: 0.01, LossBad: 0.02 + 0.98*share("in"),
			Shared: "cable", Correlation: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "shared")}
	}
	if rapid.Bool().Draw(t, "slow") {
		p.Rate, p.Queue = Rate(rapid.IntRange(100_000, 100_000_000).Draw(t, "bits")), Queue{Delay: span("queue", 0, 100*ms)}
	}
	if rapid.Bool().Draw(t, "reordering") {
		p.Reorder = Reorder{Probability: share("reorder"), Extra: span("extra", 1, 20*ms)}
	}
	if err := p.Validate(); err != nil {
		t.Fatalf("the test draws an invalid profile: %v", err)
	}
	return p
}
