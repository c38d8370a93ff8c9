package trace

import (
	"math"
	"slices"
	"time"
)

// Summary is a row in numbers. Durations are zero when nothing came back.
type Summary struct {
	Sent, Received           int
	Loss                     float64 // share lost, 0–1
	Last, Min, Avg, Max      time.Duration
	StdDev                   time.Duration // of the population, as mtr prints it
	P50, P95, P99            time.Duration
	Jitter                   time.Duration // mean difference of neighbouring answers
	LossRuns                 int           // how often a loss began
	LongestRun               int           // most probes lost in a row
	MeanRun                  float64       // probes lost in a row, on average
	RunLengths               map[int]int   // length in probes → how often
	Duplicates, Late, Failed int           // see Row
}

// Summary counts the row.
func (r Row) Summary() Summary {
	s := Summary{Sent: len(r.Samples), Duplicates: r.Duplicates, Late: r.Late, Failed: r.SendErrors}
	rtts := make([]time.Duration, 0, len(r.Samples))
	for _, x := range r.Samples {
		if x.Answered() {
			rtts = append(rtts, x.RTT)
		}
	}
	s.Received = len(rtts)
	if s.Sent > 0 {
		s.Loss = float64(s.Sent-s.Received) / float64(s.Sent)
	}
	s.countRuns(r.Samples)
	s.describe(rtts)
	return s
}

// describe fills the delays from the answers in the order they were sent.
func (s *Summary) describe(rtts []time.Duration) {
	if len(rtts) == 0 {
		return
	}
	s.Last = rtts[len(rtts)-1]
	var sum, squares, steps float64
	for i, d := range rtts {
		sum += float64(d)
		if i > 0 {
			steps += math.Abs(float64(d - rtts[i-1]))
		}
	}
	mean := sum / float64(len(rtts))
	for _, d := range rtts {
		squares += (float64(d) - mean) * (float64(d) - mean)
	}
	s.Avg = time.Duration(mean)
	s.StdDev = time.Duration(math.Sqrt(squares / float64(len(rtts))))
	if len(rtts) > 1 {
		s.Jitter = time.Duration(steps / float64(len(rtts)-1))
	}
	slices.Sort(rtts)
	s.Min, s.Max = rtts[0], rtts[len(rtts)-1]
	s.P50, s.P95, s.P99 = quantile(rtts, 0.50), quantile(rtts, 0.95), quantile(rtts, 0.99)
}

// countRuns finds the stretches of losses.
func (s *Summary) countRuns(samples []Sample) {
	s.RunLengths = make(map[int]int)
	run, lost := 0, 0
	end := func() {
		if run > 0 {
			s.RunLengths[run]++
			s.LossRuns++
			s.LongestRun = max(s.LongestRun, run)
			run = 0
		}
	}
	for _, x := range samples {
		if x.Answered() {
			end()
			continue
		}
		run++
		lost++
	}
	end()
	if s.LossRuns > 0 {
		s.MeanRun = float64(lost) / float64(s.LossRuns)
	}
}

// quantile is the smallest value that at least share q of sorted do not exceed
// (nearest rank), so it is always a delay that was really seen.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
