package route

import (
	"slices"
	"time"

	"causeway/internal/mono"
)

// delays keeps round trips as RFC 6298 smooths them, and the spread of the
// one-way delay over its smallest.
type delays struct {
	srtt, rttvar time.Duration
	rttFloor     floor

	floor   floor         // of the one-way delay, offset and all
	current time.Duration // the one-way delay smoothed over about 8 samples
	known   bool          // current is set

	// recent one-way delays, one each 10 ms at most, newest overwriting oldest;
	// halves of round trips as long as no one-way delay has come.
	samples  [128]time.Duration
	count    int
	sampled  mono.Time
	oneWayed bool
}

const (
	sampleEvery = 10 * time.Millisecond
	floorOver   = time.Minute
)

// roundTrip folds a sample in (RFC 6298 section 2).
func (d *delays) roundTrip(now mono.Time, rtt time.Duration) {
	if d.srtt == 0 {
		d.srtt, d.rttvar = rtt, rtt/2
	} else {
		d.rttvar += ((d.srtt - rtt).Abs() - d.rttvar) / 4
		d.srtt += (rtt - d.srtt) / 8
	}
	d.rttFloor.add(now, rtt)
	if !d.oneWayed {
		d.sample(now, rtt/2)
	}
}

func (d *delays) oneWay(now mono.Time, delay time.Duration) {
	if !d.oneWayed {
		d.oneWayed, d.count, d.sampled = true, 0, 0
	}
	d.floor.add(now, delay)
	if !d.known {
		d.current, d.known = delay, true
	} else {
		d.current += (delay - d.current) / 8
	}
	d.sample(now, delay)
}

func (d *delays) sample(now mono.Time, delay time.Duration) {
	if d.count > 0 && now.Sub(d.sampled) < sampleEvery {
		return
	}
	d.samples[d.count%len(d.samples)] = delay
	d.count++
	d.sampled = now
}

// fill writes what is known of delay into q.
func (d *delays) fill(now mono.Time, q *Quality) {
	q.RTT, q.RTTVar, q.RTTMin = d.srtt, d.rttvar, d.rttFloor.min()
	q.OneWay = q.RTT / 2
	n := min(d.count, len(d.samples))
	if n == 0 {
		return
	}
	var sorted [len(d.samples)]time.Duration
	copy(sorted[:], d.samples[:n])
	slices.Sort(sorted[:n])
	median, p95 := sorted[n/2], sorted[(n-1)*95/100]
	q.Jitter = p95 - median
	if !d.oneWayed {
		q.OneWay = median
		return
	}
	q.OneWay = max(0, q.RTTMin/2+median-d.floor.min())
	q.Rise = max(0, d.current-d.floor.min())
}

// floor is the smallest value of the last minute, to within half a minute: that of
// the running half minute and of the one before.
type floor struct {
	since   mono.Time
	running time.Duration
	before  time.Duration
	halves  int
}

func (f *floor) add(now mono.Time, v time.Duration) {
	switch {
	case f.halves == 0:
		f.since, f.running, f.before, f.halves = now, v, v, 1
	case now.Sub(f.since) >= floorOver:
		f.since, f.running, f.before = now, v, v
	case now.Sub(f.since) >= floorOver/2:
		f.since, f.before, f.running = now, f.running, v
	}
	f.running = min(f.running, v)
}

func (f *floor) min() time.Duration { return min(f.running, f.before) }
