package wan

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets an eighth of their size wide, from 1 µs to
// a minute, without allocating. Below 8 µs buckets are 1 µs wide.
type histogram struct {
	count   uint64
	max     time.Duration
	buckets [8 * 27]uint64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.count++
	h.max = max(h.max, d)
	h.buckets[min(bucketOf(d), len(h.buckets)-1)]++
}

// bucketOf takes three bits after the leading one of the microseconds.
func bucketOf(d time.Duration) int {
	us := uint64(d / time.Microsecond)
	if us < 8 {
		return int(us)
	}
	shift := bits.Len64(us) - 4
	return 8*(shift+1) + int(us>>shift) - 8
}

// upper returns the end of bucket i.
func upper(i int) time.Duration {
	if i < 8 {
		return time.Duration(i+1) * time.Microsecond
	}
	shift, part := i/8-1, i%8
	return time.Duration(9+part) << shift * time.Microsecond
}

// quantile returns a bound that the share q of the durations stays within, at most an
// eighth too high.
func (h *histogram) quantile(q float64) time.Duration {
	want, seen := uint64(q*float64(h.count)), uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen > want || seen == h.count && n > 0 {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// lateness is the loop's own account of how well it keeps time.
type lateness struct {
	packets histogram
	stalls  uint64
	stalled time.Duration
	longest time.Duration
}

// absent notes that the loop ran again that much after it wanted to.
func (l *lateness) absent(d time.Duration) {
	l.longest = max(l.longest, d)
	if d > StallLimit {
		l.stalls++
		l.stalled += d
	}
}

func (l *lateness) report() Lateness {
	h := &l.packets
	return Lateness{
		Packets: h.count, P50: h.quantile(0.5), P99: h.quantile(0.99), P999: h.quantile(0.999), Max: h.max,
		Stalls: l.stalls, Stalled: l.stalled, LongestGap: l.longest,
	}
}
