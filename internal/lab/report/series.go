package report

import (
	"math"
	"slices"
)

// bin is the probes of one slice of time.
type bin struct {
	sent int
	rtts []float64 // of the answered ones, ascending
}

func (b bin) lost() int { return b.sent - len(b.rtts) }

// bins cuts the time from 0 to end milliseconds into n equal slices. Probes
// outside go to the nearest slice.
func bins(series []Probe, n int, end float64) []bin {
	out := make([]bin, n)
	if n == 0 {
		return out
	}
	for _, p := range series {
		i := 0
		if end > 0 {
			i = int(math.Floor(p.TMs/end*float64(n) + 1e-6))
		}
		b := &out[min(max(i, 0), n-1)]
		b.sent++
		if p.RTTMs != nil {
			b.rtts = append(b.rtts, *p.RTTMs)
		}
	}
	for i := range out {
		slices.Sort(out[i].rtts)
	}
	return out
}

// seriesEnd is where both sides' time axis ends, in milliseconds: one interval
// after the last probe, and at least the run's duration.
func seriesEnd(d Data) float64 {
	end := d.DurationS * 1000
	for _, s := range []Side{d.Direct, d.Accelerated} {
		for _, p := range s.Series {
			end = max(end, p.TMs+d.IntervalMs)
		}
	}
	if end <= 0 {
		end = 1000
	}
	return end
}
