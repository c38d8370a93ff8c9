package report

import (
	"math"
	"slices"
	"time"
)

// Milliseconds is d as Data wants it, to the microsecond.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// Answered returns a probe sent at t after the start and answered after rtt.
func Answered(t, rtt time.Duration) Probe {
	return Probe{TMs: Milliseconds(t), RTTMs: new(Milliseconds(rtt))}
}

// Unanswered returns a probe sent at t after the start whose answer never came.
func Unanswered(t time.Duration) Probe { return Probe{TMs: Milliseconds(t)} }

// NewSide works out everything about a side that its probes tell: counts, loss,
// delays, loss runs. The probes stand in the order sent and become the side's
// Series. The side is valid; the caller knows better or not.
func NewSide(probes []Probe) Side {
	s := Side{
		Valid:    true,
		Sent:     len(probes),
		LossRuns: lossRuns(probes),
		Series:   probes,
	}
	rtts := answeredRTTs(probes)
	s.Received = len(rtts)
	s.Loss = lossOf(s.Sent, s.Received)
	s.RTT = summarise(rtts)
	return s
}

// NewHop works out one row of the mtr-like table from the probes sent with that
// row's TTL, in the order sent.
func NewHop(host, name string, probes []Probe) Hop {
	rtts := answeredRTTs(probes)
	h := Hop{
		Host: host, Name: name,
		Sent: len(probes), Received: len(rtts),
		Loss: lossOf(len(probes), len(rtts)),
	}
	if len(rtts) == 0 {
		return h
	}
	h.Last = rtts[len(rtts)-1]
	r := summarise(rtts)
	h.Avg, h.Best, h.Worst, h.Stdev = r.Avg, r.Min, r.Max, r.Stdev
	h.P50, h.P95, h.P99 = r.P50, r.P95, r.P99
	return h
}

func lossOf(sent, received int) float64 {
	if sent <= 0 {
		return 0
	}
	return max(0, 1-float64(received)/float64(sent))
}

// answeredRTTs returns the delays of the probes that came back, in the order sent.
func answeredRTTs(probes []Probe) []float64 {
	rtts := make([]float64, 0, len(probes))
	for _, p := range probes {
		if p.RTTMs != nil {
			rtts = append(rtts, *p.RTTMs)
		}
	}
	return rtts
}

// summarise returns nil for no values at all.
func summarise(values []float64) *RTT {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	var sum float64
	for _, v := range sorted {
		sum += v
	}
	mean := sum / float64(len(sorted))
	var squares float64
	for _, v := range sorted {
		squares += (v - mean) * (v - mean)
	}
	r := &RTT{
		Min: sorted[0], Max: sorted[len(sorted)-1],
		Avg: toMicro(mean),
		P50: percentile(sorted, 0.50),
		P95: percentile(sorted, 0.95),
		P99: percentile(sorted, 0.99),
	}
	if len(sorted) > 1 {
		r.Stdev = toMicro(math.Sqrt(squares / float64(len(sorted)-1)))
	}
	return r
}

// percentile is the nearest-rank percentile of ascending values: the smallest
// value that at least the share q of all values does not exceed.
func percentile(sorted []float64, q float64) float64 {
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// toMicro rounds milliseconds to whole microseconds.
func toMicro(ms float64) float64 { return math.Round(ms*1000) / 1000 }

// lossRuns counts runs of consecutive lost probes by their length, ascending.
// It is empty and not nil when nothing was lost.
func lossRuns(probes []Probe) []LossRun {
	counts := map[int]int{}
	run := 0
	for _, p := range probes {
		if p.RTTMs == nil {
			run++
			continue
		}
		if run > 0 {
			counts[run]++
		}
		run = 0
	}
	if run > 0 {
		counts[run]++
	}
	runs := make([]LossRun, 0, len(counts))
	for length, count := range counts {
		runs = append(runs, LossRun{length, count})
	}
	slices.SortFunc(runs, func(a, b LossRun) int { return a.Length - b.Length })
	return runs
}
