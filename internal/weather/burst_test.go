package weather

import (
	"math"
	"testing"
	"time"

	"causeway/internal/mono"
)

// states samples a link's burst state every step.
func states(l *Link, step time.Duration, count int) []bool {
	bad := make([]bool, count)
	for i := range bad {
		bad[i] = l.Offer(mono.Time(i)*mono.Time(step), 100).Drop == DropBurst
	}
	return bad
}

// spells returns the mean length, in samples, of runs of value v, and their number.
func spells(s []bool, v bool) (mean float64, runs int) {
	n := 0
	for i, b := range s {
		if b != v {
			continue
		}
		n++
		if i == 0 || s[i-1] != v {
			runs++
		}
	}
	return float64(n) / float64(runs), runs
}

func TestBurstSpellsLastAsLongAsTheySay(t *testing.T) {
	for _, shared := range []float64{0, 0.6, 1} {
		g := Gilbert{Good: 300 * ms, Bad: 150 * ms, LossBad: 1, Shared: "cable", Correlation: shared}
		s := states(NewNamed(Profile{Loss: Loss{Burst: &g}}, 42, "a"), ms, 1_000_000)
		for _, want := range []struct {
			bad  bool
			mean float64
		}{{false, 300}, {true, 150}} {
			mean, runs := spells(s, want.bad)
			// Sampling each ms misses spells below that, which lengthens the others by well under 1 %.
			if tolerance := want.mean * (4.5/math.Sqrt(float64(runs)) + 0.01); math.Abs(mean-want.mean) > tolerance {
				t.Errorf("correlation %v: bad=%v spells last %.1f ms (%d of them), want %.0f ± %.1f", shared, want.bad, mean, runs, want.mean, tolerance)
			}
		}
		// Exponential spells: the share longer than twice the mean is e^-2.
		long, runs, n := 0, 0, 0
		for i, b := range s {
			if b {
				n++
			} else if i > 0 && s[i-1] {
				runs++
				if n > 300 {
					long++
				}
				n = 0
			}
		}
		wantBinomial(t, "bad spells above twice the mean", long, runs, math.Exp(-2))
	}
}

func TestBurstStateDoesNotDependOnPackets(t *testing.T) {
	p := Profile{Loss: Loss{Burst: &Gilbert{Good: 30 * ms, Bad: 15 * ms, LossBad: 1, Shared: "cable", Correlation: 0.5}}}
	dense := states(New(p, 8), ms, 20000)
	sparse := New(p, 8)
	for i := 0; i < len(dense); i += 7 + i%13 {
		if got := sparse.Offer(mono.Time(i)*mono.Time(ms), 1400).Drop == DropBurst; got != dense[i] {
			t.Fatalf("at %d ms: bad is %v for sparse packets, %v for dense ones", i, got, dense[i])
		}
	}
}

func TestLossInsideSpells(t *testing.T) {
	g := Gilbert{Good: 300 * ms, Bad: 150 * ms, LossGood: 0.07, LossBad: 0.75}
	vs := offerEvery(New(Profile{Loss: Loss{Burst: &g}}, 1), 10*ms, 300000)
	got := float64(countDrops(vs, DropBurst)) / float64(len(vs))
	// 3000 s hold about 6,700 cycles; the mean's deviation follows from their scatter.
	if want := (0.75 + 2*0.07) / 3; math.Abs(got-want) > 0.02 || math.Abs(g.MeanLoss()-want) > 1e-12 {
		t.Errorf("lost %.4f, MeanLoss says %.4f, want %.4f", got, g.MeanLoss(), want)
	}
}

func TestLinksThatShareAProcessCorrelate(t *testing.T) {
	for _, rho := range []float64{0, 0.3, 0.6, 0.9, 1} {
		g := Gilbert{Good: 60 * ms, Bad: 20 * ms, LossBad: 1, Shared: "cable", Correlation: rho}
		p := Profile{Loss: Loss{Burst: &g}}
		a := states(NewNamed(p, 5, "carrier a"), 2*ms, 1_000_000)
		b := states(NewNamed(p, 5, "carrier b"), 2*ms, 1_000_000)
		if got := correlation(a, b); math.Abs(got-rho) > 0.02 {
			t.Errorf("correlation %.3f, want %.2f", got, rho)
		}
		g.Shared = "another cable"
		c := states(NewNamed(p, 5, "carrier c"), 2*ms, 1_000_000)
		if got := correlation(a, c); math.Abs(got) > 0.02 {
			t.Errorf("links on two cables correlate by %.3f (rho %v)", got, rho)
		}
	}
}

func correlation(a, b []bool) float64 {
	var na, nb, nab float64
	for i := range a {
		if a[i] {
			na++
		}
		if b[i] {
			nb++
		}
		if a[i] && b[i] {
			nab++
		}
	}
	n := float64(len(a))
	pa, pb := na/n, nb/n
	return (nab/n - pa*pb) / math.Sqrt(pa*(1-pa)*pb*(1-pb))
}

func TestStationaryFromTheStart(t *testing.T) {
	bad := 0
	const links = 20000
	for i := range links {
		g := Gilbert{Good: 3 * time.Second, Bad: time.Second, LossBad: 1}
		if New(Profile{Loss: Loss{Burst: &g}}, uint64(i)).Offer(0, 100).Drop == DropBurst {
			bad++
		}
	}
	wantBinomial(t, "links bad at the origin", bad, links, 0.25)
}

func TestChangedMeansKeepTheState(t *testing.T) {
	for _, rho := range []float64{0, 0.5} {
		slow := Gilbert{Good: 40 * ms, Bad: 40 * ms, LossBad: 1, Shared: "cable", Correlation: rho}
		fast := slow
		fast.Good, fast.Bad = 10*ms, 30*ms
		l := New(Profile{Loss: Loss{Burst: &slow}}, 3)
		total, same, bad := 0, 0, 0
		for i := 0; i < 200000; i++ {
			t1 := mono.Time(i) * mono.Time(100*ms)
			before := l.Offer(t1, 100).Drop
			g := &slow
			if i%2 == 0 {
				g = &fast
			}
			l.Set(t1, Profile{Loss: Loss{Burst: g}})
			if l.Offer(t1, 100).Drop == before {
				same++
			}
			// 90 ms later the new law has long taken over.
			if i%2 == 0 {
				total++
				if l.Offer(t1.Add(90*ms), 100).Drop == DropBurst {
					bad++
				}
			}
		}
		if same != 200000 {
			t.Errorf("the state turned at %d of 200000 changes", 200000-same)
		}
		wantBinomial(t, "bad after the change", bad, total, 0.75)
	}
}
