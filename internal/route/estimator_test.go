package route

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"causeway/internal/mono"

	"pgregory.net/rapid"
)

// gilbert loses packets in bursts of mean length bad, a share loss of the time.
type gilbert struct {
	r      *rand.Rand
	loss   float64
	bad    time.Duration
	losing bool
	until  mono.Time
}

func (g *gilbert) lost(at mono.Time) bool {
	if g.bad == 0 {
		return g.r.Float64() < g.loss
	}
	for !at.Before(g.until) {
		g.losing = !g.losing
		mean := float64(g.bad)
		if !g.losing {
			mean *= (1 - g.loss) / g.loss
		}
		if g.until.IsZero() {
			g.until = at
		}
		g.until = g.until.Add(1 + time.Duration(mean*g.r.ExpFloat64()))
	}
	return g.losing
}

func TestEstimatorFindsLossAndBursts(t *testing.T) {
	tests := []struct {
		name        string
		loss        float64
		bad         time.Duration
		gap         time.Duration
		conditional float64
		burst       float64
	}{
		{"independent loss", .2, 0, time.Millisecond, .2, 1.25},
		{"a clean way", 0, 0, time.Millisecond, 0, 0},
		// 5 ms after a loss the way still loses with p + (1-p) exp(-5 ms/τ), τ = bad (1-p).
		{"bursts of 20 ms", .2, 20 * time.Millisecond, time.Millisecond, .785, 20},
		{"bursts of 20 ms, sampled each 5 ms", .2, 20 * time.Millisecond, 5 * time.Millisecond, .785, 4.65},
		{"everything is lost", 1, 0, time.Millisecond, 1, 20000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var loss, conditional, burst float64
			const runs = 40
			for seed := range uint64(runs) {
				g := &gilbert{r: rand.New(rand.NewPCG(seed, 7)), loss: tt.loss, bad: tt.bad}
				var e Estimator
				at := epoch
				for range 20000 {
					at = at.Add(tt.gap)
					e.Fate(at, g.lost(at))
				}
				q := e.Quality(at)
				loss += q.LossLong / runs
				_, long := e.losses.recent(at)
				conditional += long.conditional() / runs
				burst += q.Burst / runs
				if q.Loss < q.LossLong || q.Loss < q.LossShort || q.Conditional < q.Loss || q.Loss > 1 {
					t.Fatalf("planned loss below the measured: %+v", q)
				}
				if q.Fates < 1999 || q.Fates > 4000 {
					t.Fatalf("the long window holds %d packets", q.Fates)
				}
			}
			near := func(what string, got, want, by float64) {
				if math.Abs(got-want) > by*want+1e-9 {
					t.Errorf("%s %.3f, want %.3f", what, got, want)
				}
			}
			near("loss", loss, tt.loss, .15)
			near("conditional loss", conditional, tt.conditional, .15)
			if tt.burst < 100 {
				near("burst", burst, tt.burst, .2)
			}
		})
	}
}

func TestLossRisesFastAndFallsSlowly(t *testing.T) {
	var e Estimator
	at := epoch
	feed := func(n int, every int) {
		for i := range n {
			at = at.Add(10 * time.Millisecond)
			e.Fate(at, every > 0 && i%every == 0)
		}
	}
	feed(2000, 0)
	if q := e.Quality(at); q.Loss != 0 {
		t.Fatalf("loss %v before anything was lost", q.Loss)
	}
	feed(50, 4)
	if q := e.Quality(at); q.Loss < .05 {
		t.Errorf("half a second into 25 %% loss it plans with %v", q.Loss)
	}
	feed(450, 4)
	feed(200, 0)
	if q := e.Quality(at); q.LossShort > .02 || q.Loss < .05 {
		t.Errorf("two seconds after the loss: short %v, planned %v", q.LossShort, q.Loss)
	}
	feed(1900, 0)
	if q := e.Quality(at); q.LossLong != 0 || q.Loss < .01 || q.Loss-q.Doubt != 0 {
		t.Errorf("twenty seconds after: %+v", q)
	}
	feed(30000, 0)
	if q := e.Quality(at); q.Loss > 1e-3 {
		t.Errorf("five minutes after: %v", q.Loss)
	}
}

func TestWhatIsOldIsForgotten(t *testing.T) {
	var e Estimator
	for i := range 100 {
		e.Fate(epoch.Add(time.Duration(i)*time.Millisecond), true)
	}
	e.RTT(epoch, time.Millisecond)
	if q := e.Quality(epoch.Add(19 * time.Second)); !q.Known || q.Loss != 1 {
		t.Errorf("after 19 s: %+v", q)
	}
	if q := e.Quality(epoch.Add(21 * time.Second)); q.Known || q.Fates != 0 {
		t.Errorf("after 21 s: %+v", q)
	}
	if !e.Silent(epoch.Add(time.Second), 500*time.Millisecond) || e.Silent(epoch.Add(300*time.Millisecond), 500*time.Millisecond) {
		t.Error("silence is not told")
	}
	e.Fate(epoch.Add(time.Hour), false)
	if q := e.Quality(epoch.Add(time.Hour)); q.Fates != 1 || q.Loss > 1e-9 {
		t.Errorf("after an hour: %+v", q)
	}
}

func TestDelays(t *testing.T) {
	ms := time.Millisecond
	t.Run("without one-way delays, half the round trip", func(t *testing.T) {
		var e Estimator
		for i := range 200 {
			e.RTT(epoch.Add(time.Duration(i)*20*ms), 80*ms)
		}
		q := e.Quality(epoch)
		if q.OneWay != 40*ms || q.RTT != 80*ms || q.RTTMin != 80*ms || q.RTTVar > ms || q.Jitter != 0 || q.Rise != 0 {
			t.Errorf("%+v", q)
		}
	})
	t.Run("an offset between clocks does not matter", func(t *testing.T) {
		for _, offset := range []time.Duration{-time.Hour, 0, 3 * time.Second} {
			var e Estimator
			for i := range 300 {
				at := epoch.Add(time.Duration(i) * 20 * ms)
				e.RTT(at, 80*ms)
				e.OneWay(at, offset+time.Duration(i%10)*ms)
			}
			q := e.Quality(epoch)
			if q.OneWay != 45*ms || q.Jitter != 4*ms {
				t.Errorf("offset %v: one way %v, jitter %v", offset, q.OneWay, q.Jitter)
			}
		}
	})
	t.Run("a queue that fills is seen to rise", func(t *testing.T) {
		var e Estimator
		for i := range 100 {
			at := epoch.Add(time.Duration(i) * 20 * ms)
			e.RTT(at, 80*ms)
			e.OneWay(at, time.Second+time.Duration(max(0, i-50))*ms)
		}
		if q := e.Quality(epoch); q.Rise < 35*ms || q.Rise > 50*ms {
			t.Errorf("rise %v", q.Rise)
		}
	})
	t.Run("the smallest delay is forgotten after a minute", func(t *testing.T) {
		var f floor
		f.add(epoch, 10*ms)
		for i := range 100 {
			f.add(epoch.Add(time.Duration(i)*time.Second), 50*ms)
			if i == 29 && f.min() != 10*ms {
				t.Errorf("forgotten within half a minute: %v", f.min())
			}
		}
		if f.min() != 50*ms {
			t.Errorf("still %v", f.min())
		}
	})
	t.Run("no round trip, no delay", func(t *testing.T) {
		var e Estimator
		e.RTT(epoch, 0)
		e.Fate(epoch, false)
		if q := e.Quality(epoch); q.Known {
			t.Errorf("%+v", q)
		}
	})
}

func TestJoint(t *testing.T) {
	feed := func(n int, f func(i int) (bool, bool)) *Joint {
		j := &Joint{}
		for i := range n {
			a, b := f(i)
			j.Pair(epoch.Add(time.Duration(i)*10*time.Millisecond), a, b)
		}
		return j
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > .1*want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("nothing known, a tenth each", new(Joint).Both(.1, .1), .06)
	near("nothing known, the better decides", new(Joint).Both(.1, .01), .006)
	near("nothing known, but independence assumed", (&Joint{AssumeIndependence: true}).Both(.1, .1), .01)
	apart := feed(20000, func(i int) (bool, bool) { return i%10 == 0, i/10%10 == 0 })
	near("apart: phi", apart.Phi(), 1)
	near("apart: both", apart.Both(.1, .1), .01)
	same := feed(20000, func(i int) (bool, bool) { return i%10 == 0, i%10 == 0 })
	near("the same: phi", same.Phi(), 10)
	near("the same: both", same.Both(.1, .1), .1)
	never := feed(20000, func(i int) (bool, bool) { return i%10 == 0, i%10 == 5 })
	if got := never.Both(.1, .1); got < .01-1e-12 {
		t.Errorf("never together is believed: %v", got)
	}
	clean := feed(20000, func(i int) (bool, bool) { return false, false })
	near("nothing lost tells nothing", clean.Both(.1, .1), .06)
	// After ten minutes of another kind the first is forgotten.
	for i := range 60000 {
		same.Pair(epoch.Add(time.Duration(20000+i)*10*time.Millisecond), i%10 == 0, i/10%10 == 0)
	}
	near("changed: both", same.Both(.1, .1), .01)
}

// The sums over slices equal those over a list of all packets.
func TestTheWindowsCountWhatAListCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Estimator
		type fate struct {
			at   mono.Time
			lost bool
		}
		var all []fate
		at := epoch
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 4, 6, 30, 500, 9000}).Draw(t, "gap")) * time.Millisecond)
			f := fate{at, rapid.Bool().Draw(t, "lost")}
			all = append(all, f)
			e.Fate(f.at, f.lost)
		}
		now := at.Add(time.Duration(rapid.IntRange(0, 25000).Draw(t, "later")) * time.Millisecond)
		in := func(t mono.Time, n int64) bool { return int64(now)/int64(slice)-int64(t)/int64(slice) < n }
		var sent, lost, short, shortLost uint32
		for i := len(all) - 1; i >= 0; i-- {
			f := all[i]
			if in(f.at, slices20s) {
				sent++
				lost += uint32(b2i(f.lost))
			}
			if in(f.at, slices2s) {
				short++
				shortLost += uint32(b2i(f.lost))
			}
		}
		s, l := e.losses.recent(now)
		if l.sent != sent || l.lost != lost {
			t.Fatalf("long: %d of %d, the list says %d of %d", l.lost, l.sent, lost, sent)
		}
		if short <= shortFates && (s.sent != short || s.lost != shortLost) {
			t.Fatalf("short: %d of %d, the list says %d of %d", s.lost, s.sent, shortLost, short)
		}
	})
}

func TestFeedingAllocatesNothing(t *testing.T) {
	var e Estimator
	var j Joint
	at := epoch
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(time.Millisecond)
		e.Fate(at, at%7 == 0)
		e.RTT(at, 50*time.Millisecond)
		e.OneWay(at, 20*time.Millisecond)
		j.Pair(at, at%3 == 0, false)
		e.Quality(at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFate(b *testing.B) {
	b.ReportAllocs()
	var e Estimator
	at := epoch
	for i := 0; b.Loop(); i++ {
		at = at.Add(100 * time.Microsecond)
		e.Fate(at, i%50 == 0)
	}
}

func BenchmarkQuality(b *testing.B) {
	var e Estimator
	for i := range 20000 {
		e.Fate(epoch.Add(time.Duration(i)*time.Millisecond), i%50 == 0)
		e.OneWay(epoch.Add(time.Duration(i)*time.Millisecond), time.Duration(i*7919%1000)*time.Microsecond)
	}
	for b.Loop() {
		e.Quality(epoch.Add(20 * time.Second))
	}
}
