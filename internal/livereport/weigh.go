package livereport

import (
	"math"
	"slices"

	"causeway/internal/history"
)

// weights are delays, each with how many answers it stands for.
type weights struct {
	values      []weight // in order of time
	sorted      []weight
	last        float64
	best, worst float64
}

type weight struct{ value, n float64 }

// weighed reads the delays of a series: of points that stand for many answers,
// the mean counts as often as there were.
func weighed(s *history.Series) weights {
	w := weights{best: math.Inf(1)}
	sent, lost, rtt := s.Column("sent"), s.Column("lost"), s.Column("rtt_ms")
	low, high := s.Column("rtt_min_ms"), s.Column("rtt_max_ms")
	for i := range rtt {
		n := sent[i] - lost[i]
		if math.IsNaN(rtt[i]) || !(n > 0) {
			continue
		}
		w.values = append(w.values, weight{rtt[i], n})
		w.last = rtt[i]
		w.best, w.worst = math.Min(w.best, low[i]), math.Max(w.worst, high[i])
	}
	w.sorted = slices.Clone(w.values)
	slices.SortFunc(w.sorted, func(a, b weight) int {
		if a.value < b.value {
			return -1
		}
		return 1
	})
	return w
}

func (w *weights) count() (n float64) {
	for _, v := range w.values {
		n += v.n
	}
	return n
}

func (w *weights) mean() float64 {
	sum := 0.0
	for _, v := range w.values {
		sum += v.value * v.n
	}
	return sum / w.count()
}

func (w *weights) deviation() float64 {
	mean, sum := w.mean(), 0.0
	for _, v := range w.values {
		sum += (v.value - mean) * (v.value - mean) * v.n
	}
	if n := w.count(); n > 1 {
		return math.Sqrt(sum / (n - 1))
	}
	return 0
}

// percentile is by nearest rank.
func (w *weights) percentile(p float64) float64 {
	rank, seen := math.Ceil(p*w.count()), 0.0
	for _, v := range w.sorted {
		if seen += v.n; seen >= rank {
			return v.value
		}
	}
	return w.sorted[len(w.sorted)-1].value
}
