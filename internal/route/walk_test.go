package route

import "testing"

// crossing returns the first slot at which tail is at most target.
func crossing(tail []float64, target float64) int {
	for i, p := range tail {
		if p <= target {
			return i
		}
	}
	return len(tail)
}

// The reference values come from simulating ideal sliding windows packet by packet,
// 10^6 packets and more; they are this model's second opinion.
func TestRepairTailsAgreeWithSimulation(t *testing.T) {
	tests := []struct {
		name             string
		c                channel
		rate             float64
		to3, to5         int // slots until 1e-3 and 1e-5 of all packets are missing
		tolerance, slack float64
	}{
		{"5 % loss, 16 % repairs", channel{loss: .05}, .16, 31, 85, .1, 2},
		{"5 % loss, 26 % repairs", channel{loss: .05}, .26, 11, 30, .1, 1},
		{"5 % loss, 50 % repairs", channel{loss: .05}, .5, 3, 9, .1, 1},
		{"20 % loss, 38 % repairs", channel{loss: .2}, .38, 118, 270, .1, 2},
		{"20 % loss, 50 % repairs", channel{loss: .2}, .5, 37, 84, .1, 1},
		{"20 % loss, 75 % repairs", channel{loss: .2}, .75, 12, 26, .1, 1},
		{"50 % loss, 150 % repairs", channel{loss: .5}, 1.5, 65, 144, .1, 1},
		{"50 % loss, 200 % repairs", channel{loss: .5}, 2, 19, 40, .1, 1},
		// One packet in five ends a burst; with as many repairs as packets, half a slot is one packet.
		{"20 % loss in bursts of five, 100 % repairs", channel{loss: .2, stick: .75}, 1, 58, 120, .15, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := repairTails(tt.c, tt.rate, 2000, 600, 256)
			for _, x := range []struct {
				target float64
				want   int
			}{{1e-3, tt.to3}, {1e-5, tt.to5}} {
				slots := crossing(got.missing, x.target)
				if off := float64(slots - x.want); off > tt.tolerance*float64(x.want)+tt.slack || -off > tt.tolerance*float64(x.want)+tt.slack {
					t.Errorf("%g missing after %d slots, simulation says %d", x.target, slots, x.want)
				}
			}
		})
	}
}

func TestTailsFallAndMissingIsWithinWaiting(t *testing.T) {
	for _, loss := range []float64{.001, .05, .2, .6, .95} {
		for _, stick := range []float64{0, .5, .99} {
			for _, rate := range []float64{0, .3, 1, 2.5} {
				got := repairTails(channel{loss, stick}, rate, 50, 100, 64)
				for i := range got.waiting {
					if got.missing[i] > got.waiting[i]+1e-9 || got.waiting[i] > 1+1e-9 || got.missing[i] < 0 {
						t.Fatalf("loss %v stick %v rate %v slot %d: waiting %v, missing %v", loss, stick, rate, i, got.waiting[i], got.missing[i])
					}
					if i > 0 && (got.waiting[i] > got.waiting[i-1]+1e-9 || got.missing[i] > got.missing[i-1]+1e-9) {
						t.Fatalf("loss %v stick %v rate %v: tails rise at slot %d", loss, stick, rate, i)
					}
				}
				if off := got.missing[0] - loss; off > 1e-9 || off < -1e-9 {
					t.Fatalf("%v of the packets are missing at once, %v were lost", got.missing[0], loss)
				}
			}
		}
	}
}
