package limits

import (
	"fmt"
	"math"
	"testing"
)

// The figures are those of the published hybrid scheme of generations, which rounds
// its policies where ours mixes two: ours may be lower by a little, and where a
// single packet makes the generation by more.
func TestBestAgreesWithKnownBounds(t *testing.T) {
	for _, c := range []struct {
		loss     float64
		rounds   int
		pool     int
		overhead float64
	}{
		{0.05, 1, 64, 1.076}, {0.05, 2, 64, 1.056},
		{0.2, 0, 64, 1.594}, {0.2, 1, 16, 1.418}, {0.2, 1, 64, 1.319}, {0.2, 1, 128, 1.293},
		{0.2, 2, 64, 1.273}, {0.2, 3, 64, 1.259},
		{0.5, 1, 64, 2.197}, {0.5, 2, 64, 2.081},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			got := Hybrid{c.loss, c.rounds, c.pool}.Best(1e-5)
			if r := got.Overhead / c.overhead; r < 0.98 || r > 1.005 {
				t.Errorf("overhead %.4f, want about %.3f", got.Overhead, c.overhead)
			}
			if math.Abs(got.Residual-1e-5) > 2e-7 {
				t.Errorf("residual %v, want 1e-5", got.Residual)
			}
		})
	}
}

func TestALonePacketIsRepetition(t *testing.T) {
	// No feedback: copies until 0.2^n <= 1e-5, mixed between 7 and 8.
	got := Hybrid{Loss: 0.2, Rounds: 0, Pool: 1}.Best(1e-5).Overhead
	if got < 7 || got > 8 {
		t.Errorf("overhead %v, want 7 to 8 copies", got)
	}
}

func TestMoreRoundsAndLargerPoolsNeverCostMore(t *testing.T) {
	for _, loss := range []float64{0.01, 0.1, 0.3, 0.6} {
		for _, pool := range []int{1, 4, 16} {
			last := math.Inf(1)
			for rounds := range 4 {
				b := Hybrid{loss, rounds, pool}.Best(1e-4)
				if b.Overhead > last+1e-9 {
					t.Errorf("loss %v pool %d: %d rounds cost %v, one less %v", loss, pool, rounds, b.Overhead, last)
				}
				if b.Overhead < Capacity(loss, b.Residual)-1e-6 {
					t.Errorf("loss %v pool %d rounds %d: %v is below capacity %v", loss, pool, rounds, b.Overhead, Capacity(loss, b.Residual))
				}
				last = b.Overhead
			}
		}
	}
}

func TestNoLossCostsNothing(t *testing.T) {
	if got := (Hybrid{Loss: 0, Rounds: 1, Pool: 8}).Best(1e-5); got.Overhead != 1 {
		t.Errorf("got %v, want 1", got)
	}
}

func TestBinomialSumsToOne(t *testing.T) {
	for _, n := range []int{0, 1, 10, 500} {
		for _, p := range []float64{0, 1e-6, 0.3, 1} {
			sum, mean := 0.0, 0.0
			for k, v := range Binomial(n, p) {
				sum += v
				mean += float64(k) * v
			}
			if math.Abs(sum-1) > 1e-9 || math.Abs(mean-float64(n)*p) > 1e-6*float64(n+1) {
				t.Errorf("n %d p %v: sum %v mean %v", n, p, sum, mean)
			}
		}
	}
}
