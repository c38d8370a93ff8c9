package report

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func probes(rtts ...float64) []Probe {
	out := make([]Probe, len(rtts))
	for i, r := range rtts {
		out[i].TMs = float64(i) * 100
		if r >= 0 {
			out[i].RTTMs = new(r)
		}
	}
	return out
}

const lost = -1.0

func TestSideTellsWhatItsProbesSaw(t *testing.T) {
	tests := []struct {
		name           string
		probes         []Probe
		received       int
		loss           float64
		p50, p99, last float64 // RTT is nil when p50 is 0
		runs           []LossRun
	}{
		{"nothing sent is no loss", nil, 0, 0, 0, 0, 0, []LossRun{}},
		{"one answer is every percentile", probes(7), 1, 0, 7, 7, 7, []LossRun{}},
		{"one lost probe is all lost", probes(lost), 0, 1, 0, 0, 0, []LossRun{{1, 1}}},
		{"the median of an even number is the lower middle", probes(4, 1, 3, 2), 4, 0, 2, 4, 2, []LossRun{}},
		{"a run at the end counts", probes(5, lost, lost), 1, 2. / 3, 5, 5, 5, []LossRun{{2, 1}}},
		{"runs are counted by length, shortest first",
			probes(lost, 1, lost, lost, 1, lost, 1, lost, lost, lost), 3, 0.7, 1, 1, 1, []LossRun{{1, 2}, {2, 1}, {3, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSide(tt.probes)
			if s.Sent != len(tt.probes) || s.Received != tt.received || math.Abs(s.Loss-tt.loss) > 1e-12 {
				t.Errorf("sent %d, received %d, loss %v", s.Sent, s.Received, s.Loss)
			}
			if !slices.Equal(s.LossRuns, tt.runs) {
				t.Errorf("loss runs %v, want %v", s.LossRuns, tt.runs)
			}
			if (s.RTT == nil) != (tt.p50 == 0) {
				t.Fatalf("rtt %v", s.RTT)
			}
			if s.RTT != nil && (s.RTT.P50 != tt.p50 || s.RTT.P99 != tt.p99) {
				t.Errorf("p50 %v, p99 %v; want %v, %v", s.RTT.P50, s.RTT.P99, tt.p50, tt.p99)
			}
			h := NewHop("10.0.0.1", "", tt.probes)
			if h.Loss != s.Loss || h.Received != s.Received || h.Last != tt.last {
				t.Errorf("hop: loss %v, received %d, last %v; want last %v", h.Loss, h.Received, h.Last, tt.last)
			}
		})
	}
}

func TestStdevIsOfTheSampleAsMtrPrintsIt(t *testing.T) {
	if got := NewSide(probes(2, 4, 4, 4, 5, 5, 7, 9)).RTT.Stdev; got != 2.138 {
		t.Errorf("stdev %v, want 2.138", got)
	}
}

// A percentile is a value that was seen, at least that share of all values is
// no larger, and no smaller value would do.
func TestPercentileIsByNearestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1000), 1, 200).Draw(t, "values")
		q := rapid.SampledFrom([]float64{0, 0.1, 0.25, 0.5, 0.95, 0.99, 1}).Draw(t, "q")
		slices.Sort(values)
		got := percentile(values, q)
		share := func(limit float64) float64 {
			n := 0
			for _, v := range values {
				if v <= limit {
					n++
				}
			}
			return float64(n) / float64(len(values))
		}
		if !slices.Contains(values, got) || share(got) < q-1e-9 {
			t.Fatalf("percentile %v of %v is %v", q, values, got)
		}
		for _, v := range values {
			if v < got && share(v) >= q && q > 0 {
				t.Fatalf("percentile %v of %v is %v, but %v would do", q, values, got, v)
			}
		}
	})
}

func TestLossRunsAddUpToTheLosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rtts := rapid.SliceOf(rapid.SampledFrom([]float64{lost, 10})).Draw(t, "rtts")
		s := NewSide(probes(rtts...))
		sum := 0
		for _, r := range s.LossRuns {
			sum += r.Length * r.Count
		}
		if sum != s.Sent-s.Received {
			t.Fatalf("runs %v hold %d probes, %d were lost", s.LossRuns, sum, s.Sent-s.Received)
		}
	})
}

func TestBinsHoldEveryProbeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "probes")
		cols := rapid.IntRange(1, 300).Draw(t, "bins")
		step := rapid.SampledFrom([]float64{0.1, 1, 200, 1000.0 / 3}).Draw(t, "interval")
		series := make([]Probe, n)
		for i := range series {
			series[i].TMs = float64(i) * step
		}
		all, empty := 0, 0
		for _, b := range bins(series, cols, float64(n)*step) {
			all += b.sent
			if b.sent == 0 {
				empty++
			}
		}
		if all != n || cols <= n && empty > 0 {
			t.Fatalf("%d probes in bins, %d bins empty", all, empty)
		}
	})
}

func TestProbesAreMilliseconds(t *testing.T) {
	p := Answered(1500*time.Millisecond, 62_345_678*time.Nanosecond)
	if p.TMs != 1500 || *p.RTTMs != 62.346 {
		t.Errorf("t %v, rtt %v", p.TMs, *p.RTTMs)
	}
	if u := Unanswered(time.Second); u.TMs != 1000 || u.RTTMs != nil {
		t.Errorf("unanswered %v", u)
	}
}
