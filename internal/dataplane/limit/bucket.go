// Package limit bounds what traffic may use: bandwidth packages as token
// buckets, and how much of them is in use. It is told the time, counts bytes
// and says yes or no; which packets it is asked about, and what becomes of
// those refused, is its caller's business.
package limit

import (
	"time"

	"causeway/internal/mono"
)

// Bucket is a token bucket: it lets through rate on average and burst at once.
// A packet is let through while anything is left, and may take the bucket below
// zero; the debt is paid before the next. So packets of every size have the same
// chance, one larger than the whole burst passes now and then, and over a time t
// no more than burst + rate·t + one packet goes through.
//
// Urgent packets (IKE, keepalives) may run up a debt of Reserve before they are
// refused too: a flood of bulk traffic leaves them their place, and as the debt
// is paid by bulk traffic the average stays. The zero Bucket lets everything through.
type Bucket struct {
	rate    float64 // bytes/s; 0: not bounded
	burst   float64 // bytes
	reserve float64 // bytes
	level   float64 // bytes; negative: debt
	lent    float64 // bytes, not in level and not used yet
	at      mono.Time
}

// MinReserve is the debt, in bytes, that urgent packets may run up at least: a
// few IKE messages with certificates.
const MinReserve = 16 << 10

// Set changes the bounds: rate in bit/s, 0 being none, and burst in bytes. A
// bucket that had no rate begins full; one that had keeps its level, so that
// setting bounds again and again lets nothing more through.
func (b *Bucket) Set(now mono.Time, rate, burst int64) {
	began := b.rate == 0
	b.fill(now)
	b.rate, b.burst = float64(rate)/8, float64(burst)
	b.reserve = max(b.burst/4, MinReserve)
	if began {
		b.level, b.at = b.burst, now
	}
	b.level = min(b.level, b.most())
}

// most is how high the level rises: no burst is larger for what is lent.
func (b *Bucket) most() float64 { return max(0, b.burst-b.lent) }

// Bounded reports whether there is a rate.
func (b *Bucket) Bounded() bool { return b.rate != 0 }

// Open reports whether a packet may pass now.
func (b *Bucket) Open(now mono.Time, urgent bool) bool {
	if b.rate == 0 {
		return true
	}
	b.fill(now)
	if urgent {
		return b.level > -b.reserve
	}
	return b.level > 0
}

// Take takes n bytes for a packet that passes; Open said that it may.
func (b *Bucket) Take(n int) {
	if b.rate != 0 {
		b.level -= float64(n)
	}
}

// Give gives n bytes back that were taken for a packet which did not pass after all.
func (b *Bucket) Give(n int) {
	if b.rate != 0 {
		b.level = min(b.most(), b.level+float64(n))
	}
}

// Within is how many bytes come in within a time.
func (b *Bucket) Within(d time.Duration) int64 { return int64(b.rate * d.Seconds()) }

// Lend takes bytes for somebody who lets packets pass by himself, so that he has want, and
// returns how many: what is missing, at most half of what is there; what he has too much comes back.
// left is what he has still; negative is a debt. The zero Bucket lends nothing.
func (b *Bucket) Lend(now mono.Time, left, want int64) (more int64) {
	if b.rate == 0 {
		return 0
	}
	b.lent = max(0, float64(left))
	b.fill(now)
	if more = want - left; more > 0 {
		more = max(0, min(more, int64(b.level/2)))
	}
	b.level -= float64(more)
	b.lent += float64(more)
	return more
}

// Settle ends what Lend began: left comes back.
func (b *Bucket) Settle(left int64) {
	b.lent = 0
	if b.rate != 0 {
		b.level = min(b.burst, b.level+float64(left))
	}
}

// fill adds what has come in since the last look. Time that goes back adds nothing.
func (b *Bucket) fill(now mono.Time) {
	if now <= b.at {
		return
	}
	b.level = min(b.most(), b.level+b.rate*float64(now.Sub(b.at))/float64(time.Second))
	b.at = now
}
