package route

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// Quality is what is known of one direction of a wire or a segment.
type Quality struct {
	// Known says that Loss and RTT rest on measurements. Everything else is
	// meaningless without.
	Known bool

	// Loss is the share of packets to plan with, 0 to 1: the worst of the short, the
	// long and the fading mean, and one standard deviation of the short. It rises fast
	// and falls slowly.
	Loss float64
	// Doubt is how much of Loss may be chance: with two standard deviations of luck
	// only Loss - Doubt would be the way's own. A single lost probe is all doubt. It is
	// more than Loss where nothing was lost among few packets: what the loss would be
	// if one had been.
	Doubt float64
	// LossShort and LossLong are the plain means over the last 200 packets or 2 s, and
	// 2000 packets or 20 s, whichever is less (in steps of 100 ms).
	LossShort, LossLong float64
	// LossFading is the mean of all packets, those of a minute ago counting a third.
	LossFading float64
	// Conditional is the probability that a packet is lost when one sent at most 5 ms
	// earlier was: the measure of bursts. At least Loss.
	Conditional float64
	// Burst is the mean number of packets lost in a row, at least 1 if any was.
	Burst float64
	// ReverseLoss is the share of feedback lost on the way back; 0 if not known.
	ReverseLoss float64

	RTT, RTTVar, RTTMin time.Duration
	// OneWay is the usual (median) delay in this direction, as far as can be said
	// without clocks in step: half the smallest round trip, and what this direction
	// has shown beyond its own smallest.
	OneWay time.Duration
	// Jitter is how far the 95th percentile of the one-way delay is above the median.
	Jitter time.Duration
	// Rise is how far the one-way delay of the last moments is above its smallest of
	// the last minute: a queue that fills.
	Rise time.Duration

	// Fates is how many packets of the last 20 s this rests on.
	Fates int
}

// Estimator learns the quality of one direction of one wire. Feed it what became
// of packets (the wire's own packet numbers tell, or probes do) and the delays seen.
// The zero Estimator is ready; it takes about 5 KB and allocates nothing.
type Estimator struct {
	losses losses
	delays delays
}

// Fate takes note of what became of a packet. Call it once for each, in the order
// of sending, when the fate is known; a loss is known when a later packet has
// come and reordering is ruled out.
func (e *Estimator) Fate(sentAt mono.Time, lost bool) { e.losses.add(sentAt, lost) }

// RTT takes note of a round trip that ended now.
func (e *Estimator) RTT(now mono.Time, rtt time.Duration) {
	if rtt > 0 {
		e.delays.roundTrip(now, rtt)
	}
}

// OneWay takes note of a packet's delay in this direction. It may contain any
// constant offset, such as the difference of two clocks; only changes count.
func (e *Estimator) OneWay(now mono.Time, delay time.Duration) { e.delays.oneWay(now, delay) }

// Quality returns what is known now.
func (e *Estimator) Quality(now mono.Time) Quality {
	q := Quality{}
	short, long := e.losses.recent(now)
	q.LossShort, q.LossLong, q.Fates = short.share(), long.share(), int(long.sent)
	q.LossFading = e.losses.fading(now)
	q.Loss = min(1, max(q.LossShort, q.LossLong, q.LossFading)+short.deviation())
	q.Doubt = q.Loss - max(short.least(), long.least())
	if q.Loss == 0 {
		q.Doubt = 1 / (max(float64(long.sent), e.losses.fadingSent) + 1)
	}
	q.Conditional = max(q.Loss, long.conditional())
	q.Burst = long.burst()
	e.delays.fill(now, &q)
	q.Known = q.Fates > 0 && q.RTT > 0
	return q
}

// Silent reports whether no packet sent within the last d has been heard of, while
// some before were: the fates themselves have stopped.
func (e *Estimator) Silent(now mono.Time, d time.Duration) bool {
	return !e.losses.last.IsZero() && now.Sub(e.losses.last) > d
}

const (
	slice       = 100 * time.Millisecond
	slices20s   = 200
	slices2s    = 20
	shortFates  = 200
	longFates   = 2000
	burstWithin = 5 * time.Millisecond
	fadingOver  = time.Minute
)

// losses counts fates by the time of sending, in slices of 100 ms over 20 s.
type losses struct {
	slices   [slices20s]tally
	newest   int64     // number of the newest slice
	last     mono.Time // when the newest packet was sent
	lastLost mono.Time // when the newest lost packet was sent
	inRow    bool      // the newest packet was lost

	// What all slices but the newest held, fading as they age.
	fadingSent, fadingLost float64
}

// tally is what was counted in a slice or a window.
type tally struct {
	sent, lost uint32
	runs       uint32 // runs of lost packets that began here
	after      uint32 // packets sent within 5 ms of a lost one
	both       uint32 // and lost themselves
}

func (l *losses) add(sentAt mono.Time, lost bool) {
	n := int64(sentAt) / int64(slice)
	if n > l.newest && !l.last.IsZero() {
		l.fade(n)
	}
	if l.last.IsZero() || n-l.newest >= slices20s {
		l.slices = [slices20s]tally{}
		l.newest = n
	}
	for ; l.newest < n; l.newest++ {
		l.slices[(l.newest+1)%slices20s] = tally{}
	}
	if l.newest-n >= slices20s {
		return
	}
	t := &l.slices[n%slices20s]
	t.sent++
	if !l.lastLost.IsZero() && sentAt.Sub(l.lastLost) <= burstWithin {
		t.after++
		t.both += uint32(b2i(lost))
	}
	if lost {
		t.lost++
		t.runs += uint32(b2i(!l.inRow))
		l.lastLost = sentAt
	}
	l.inRow, l.last = lost, sentAt
}

// fade folds the newest slice into the fading mean, before slice n begins.
func (l *losses) fade(n int64) {
	t := l.slices[l.newest%slices20s]
	keep := math.Exp(-float64(n-l.newest) * float64(slice) / float64(fadingOver))
	l.fadingSent = (l.fadingSent + float64(t.sent)) * keep
	l.fadingLost = (l.fadingLost + float64(t.lost)) * keep
}

// fading is the fading mean; zero when it rests on nothing any more.
func (l *losses) fading(now mono.Time) float64 {
	if l.last.IsZero() || now.Sub(l.last) > slices20s*slice {
		return 0
	}
	t := l.slices[l.newest%slices20s]
	return (l.fadingLost + float64(t.lost)) / (l.fadingSent + float64(t.sent))
}

// recent sums up the newest packets: as many slices as hold enough packets.
func (l *losses) recent(now mono.Time) (short, long tally) {
	if l.last.IsZero() {
		return
	}
	today := int64(now) / int64(slice)
	for back := range int64(slices20s) {
		n := l.newest - back
		if n < 0 || today-n >= slices20s {
			break
		}
		t := l.slices[n%slices20s]
		if today-n < slices2s && short.sent < shortFates {
			short.merge(t)
		}
		if long.merge(t); long.sent >= longFates {
			break
		}
	}
	return short, long
}

func (t *tally) merge(o tally) {
	t.sent += o.sent
	t.lost += o.lost
	t.runs += o.runs
	t.after += o.after
	t.both += o.both
}

func (t tally) share() float64 { return ratio(t.lost, t.sent) }

// deviation is the standard deviation of share.
func (t tally) deviation() float64 {
	if t.sent == 0 {
		return 0
	}
	p := t.share()
	return math.Sqrt(p * (1 - p) / float64(t.sent))
}

// least is the share that is lost even if twice the standard deviation of the
// count, taken as Poisson's, was bad luck.
func (t tally) least() float64 {
	if t.sent == 0 {
		return 0
	}
	n := float64(t.lost)
	return max(0, n-2*math.Sqrt(n)) / float64(t.sent)
}

// conditional is P[lost | one within 5 ms earlier was]. With few observations it leans
// to what is usual, by the weight of ten: spells that outlast 5 ms in less than half of
// all cases. Probes are too far apart to show it.
func (t tally) conditional() float64 {
	const weight, usual = 10, 0.4
	if t.lost == 0 {
		return 0
	}
	p := t.share()
	return (float64(t.both) + weight*(p+(1-p)*usual)) / (float64(t.after) + weight)
}

func (t tally) burst() float64 { return ratio(t.lost, t.runs) }

func ratio(a, b uint32) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
