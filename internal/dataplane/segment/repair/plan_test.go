package repair

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/repair/limits"
	"causeway/internal/mono"
)

// The belief is checked against a population of receivers that live through the same.
func TestBeliefIsWhatAPopulationWouldShow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const many = 200_000
	population := make([]int, many)
	var b belief
	b.set(3)
	for i := range population {
		population[i] = 3
	}
	for step := range 60 {
		loss := 0.1 + 0.3*float64(step%3)/2
		if step%4 == 3 {
			b.repair(loss)
		} else {
			b.source(loss, 1)
		}
		for i := range population {
			hit := rng.Float64() < loss
			switch {
			case step%4 == 3 && !hit:
				population[i] = max(population[i]-1, 0)
			case step%4 != 3 && hit:
				population[i]++
			}
		}
	}
	none, sum := 0, 0
	for _, d := range population {
		sum += d
		if d == 0 {
			none++
		}
	}
	if got, want := b.mean(), float64(sum)/many; math.Abs(got-want) > 0.05 {
		t.Errorf("mean deficit %v, the population's is %v", got, want)
	}
	if got, want := b.none(), float64(none)/many; math.Abs(got-want) > 0.01 {
		t.Errorf("P[none] %v, the population's is %v", got, want)
	}
}

func TestBeliefStaysAProbability(t *testing.T) {
	var b belief
	b.set(0)
	for i := range 3000 {
		b.source(0.5, 1+i%7)
		if i%11 == 0 {
			b.repair(0.3)
		}
		sum := 0.0
		for _, p := range b.p {
			sum += p
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Fatalf("after %d steps probabilities sum to %v", i, sum)
		}
	}
}

func TestHealIsTheWalksFirstPassage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	events := make([]int8, 80)
	for i := range events {
		events[i] = 1
		if i%3 != 0 {
			events[i] = -1
		}
	}
	const loss = 0.25
	out := make([]float64, 12)
	heal(out, events, loss)
	for k := 1; k < 6; k++ {
		healed := 0
		const many = 100_000
		for range many {
			d := k
			for _, ev := range events {
				hit := rng.Float64() < loss
				if ev > 0 && !hit {
					d--
				} else if ev < 0 && hit {
					d++
				}
				if d == 0 {
					healed++
					break
				}
			}
		}
		if want := float64(healed) / many; math.Abs(out[k]-want) > 0.01 {
			t.Errorf("deficit %d heals with %v, simulated %v", k, out[k], want)
		}
	}
}

func TestClosingSizeIsTheCheapest(t *testing.T) {
	var scratch closingScratch
	for _, loss := range []float64{0.05, 0.2, 0.5} {
		for d := 1; d <= 12; d += 3 {
			c := closing{deficit: d, stake: 2, price: 1000, loss: loss, most: 200}
			got := c.size(&scratch)
			best, bestCost := 0, math.Inf(1)
			for m := 0; m <= 200; m++ {
				fails := 0.0
				for k, p := range limits.Binomial(m, 1-loss) {
					if k < d {
						fails += p
					}
				}
				if cost := float64(m) + 2000*fails; cost < bestCost {
					best, bestCost = m, cost
				}
			}
			if got != best {
				t.Errorf("loss %v deficit %d: %d symbols, want %d", loss, d, got, best)
			}
		}
	}
}

func TestArrivalsOfAStickyWire(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const m, loss, stick = 9, 0.3, 0.7
	var out, bad [m + 1]float64
	arrivalsOf(out[:], bad[:], m, loss, loss, stick)
	const many = 300_000
	var seen [m + 1]float64
	for range many {
		got := 0
		wasLost := rng.Float64() < loss
		for i := range m {
			if i > 0 {
				p := loss * (1 - stick)
				if wasLost {
					p = loss + (1-loss)*stick
				}
				wasLost = rng.Float64() < p
			}
			if !wasLost {
				got++
			}
		}
		seen[got] += 1.0 / many
	}
	for k := range out {
		if math.Abs(out[k]-seen[k]) > 0.005 {
			t.Errorf("P[%d arrive] = %v, simulated %v", k, out[k], seen[k])
		}
	}
}

func TestBlindRateLeavesTheResidual(t *testing.T) {
	for _, slots := range []int{20, 60, 120} {
		r := blindRate(0.2, slots, 1e-4)
		if got := blindResidual(0.2, r, slots); got > 1e-4 {
			t.Errorf("%d slots: rate %v leaves %v", slots, r, got)
		}
		if got := blindResidual(0.2, r-0.08, slots); got < 1e-4 {
			t.Errorf("%d slots: rate %v is more than needed, less leaves %v", slots, r, got)
		}
	}
}

// feed gives a meter n fates 1 ms apart.
func feed(m *lossMeter, from mono.Time, n int, lost func(i int) bool) mono.Time {
	for i := range n {
		m.add(from, lost(i))
		from = from.Add(time.Millisecond)
	}
	return from
}

func TestTheMeterFollowsAStepWithinAHundredPackets(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var m lossMeter
	at := feed(&m, mono.Time(time.Hour), 5000, func(int) bool { return rng.Float64() < 0.01 })
	if p, _ := m.mean(); math.Abs(p-0.01) > 0.005 {
		t.Errorf("calm: loss %v, want about 0.01", p)
	}
	at = feed(&m, at, 100, func(int) bool { return rng.Float64() < 0.2 })
	if p, _ := m.mean(); p < 0.06 {
		t.Errorf("100 packets after the step: loss %v, want above 0.06", p)
	}
	at = feed(&m, at, 3000, func(int) bool { return rng.Float64() < 0.2 })
	if p, _ := m.mean(); math.Abs(p-0.2) > 0.03 {
		t.Errorf("later: loss %v, want about 0.2", p)
	}
	feed(&m, at, 3000, func(int) bool { return false })
	if p, _ := m.mean(); p > 0.02 {
		t.Errorf("after the weather cleared: loss %v, want about 0", p)
	}
}

func TestTheMeterTellsBurstsFromChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	var chance lossMeter
	feed(&chance, mono.Time(time.Hour), 20_000, func(int) bool { return rng.Float64() < 0.2 })
	if b := chance.burstiness(); b.matters() {
		t.Errorf("independent losses look like bursts: %+v", b)
	}
	var bursts lossMeter
	bad := false
	feed(&bursts, mono.Time(time.Hour), 60_000, func(int) bool {
		if bad {
			bad = rng.Float64() > 1.0/20
		} else {
			bad = rng.Float64() < 1.0/80
		}
		return bad
	})
	b := bursts.burstiness()
	if !b.matters() || b.near < 0.8 {
		t.Errorf("bursts of 20 ms look like chance: %+v", b)
	}
	if b.lasting < 8*time.Millisecond || b.lasting > 35*time.Millisecond {
		t.Errorf("correlation lasts %v, want about 16 ms", b.lasting)
	}
}

func TestSteadyLimitIsFarFromChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, bins := range []int{12, 24, 40} {
		below := 0
		for range 20_000 {
			var sum, sq float64
			for range bins {
				x := rng.NormFloat64()
				sum += x
				sq += x * x
			}
			n := float64(bins)
			if (sq-sum*sum/n)/(n-1) < steadyLimit(bins-1) {
				below++
			}
		}
		if below > 0 {
			t.Errorf("%d bins of chance looked too steady %d times in 20000", bins, below)
		}
	}
}
