package bench

import (
	"math"
	"time"

	"causeway/internal/mono"
	"causeway/internal/weather"
)

// cross is a bulk TCP flow that shares our first wire's way there: it fills what it
// finds free as its congestion control sees fit, and stands for the others whom our
// repairs must not push aside. Its acknowledgements come back after half a round
// trip and are not lost.
type cross struct {
	link *weather.Link
	rtt  time.Duration
	cc   congestion

	now       mono.Time
	acks      []ack // in order of coming
	head      int
	next      uint64 // number of the next packet
	highest   uint64 // all before have been acknowledged or are lost
	inFlight  int
	delivered int // bytes, for good
	recover   uint64
	lastAck   mono.Time
	sendAt    mono.Time // pacing: not before
	smooth    time.Duration
}

// ack is a packet's acknowledgement on its way.
type ack struct {
	at, sent  mono.Time
	number    uint64
	delivered int // bytes acknowledged when it was sent
}

// congestion is a congestion control: window in packets, pacing in packets a second
// (0: none).
type congestion interface {
	acked(now mono.Time, rtt time.Duration, rate float64)
	lost(now mono.Time)
	timeout()
	window() float64
	pacing() float64
}

const (
	crossSize  = 1500 // bytes of IP
	crossMSS   = 1448
	crossReord = 3
)

func newCross(kind string, link *weather.Link, rtt time.Duration, start mono.Time) *cross {
	c := &cross{link: link, rtt: rtt, smooth: rtt, now: start, sendAt: start, lastAck: start}
	if kind == "bbr" {
		c.cc = &bbr{phase: -1}
	} else {
		c.cc = &cubic{cwnd: 10, threshold: math.Inf(1)}
	}
	return c
}

// due is when the flow has something to do.
func (c *cross) due() mono.Time {
	next := c.lastAck.Add(max(2*c.smooth, 300*time.Millisecond)) // a timeout
	if c.head < len(c.acks) {
		next = min(next, c.acks[c.head].at)
	}
	if float64(c.inFlight) < c.cc.window() {
		next = min(next, max(c.sendAt, c.now))
	}
	return next
}

// run does what is due at now.
func (c *cross) run(now mono.Time) {
	c.now = now
	for c.head < len(c.acks) && c.acks[c.head].at <= now {
		c.ack(c.acks[c.head])
		c.head++
	}
	if c.head > 4096 {
		c.acks = c.acks[:copy(c.acks, c.acks[c.head:])]
		c.head = 0
	}
	if now.Sub(c.lastAck) >= max(2*c.smooth, 300*time.Millisecond) {
		c.cc.timeout()
		c.highest, c.inFlight, c.lastAck = c.next, 0, now
	}
	for float64(c.inFlight) < c.cc.window() && c.sendAt <= now {
		c.send(now)
	}
}

func (c *cross) send(now mono.Time) {
	v := c.link.Offer(now, crossSize)
	if v.N > 0 {
		c.acks = append(c.acks, ack{at: v.At[0].Add(c.rtt / 2), sent: now, number: c.next, delivered: c.delivered})
	}
	c.next++
	c.inFlight++
	if rate := c.cc.pacing(); rate > 0 {
		c.sendAt = max(c.sendAt, now-mono.Time(time.Millisecond)).Add(time.Duration(1e9 / rate))
	}
}

func (c *cross) ack(a ack) {
	c.lastAck = a.at
	if a.number < c.highest {
		return // counted as lost
	}
	c.delivered += crossMSS
	rtt := a.at.Sub(a.sent)
	c.smooth += (rtt - c.smooth) / 8
	// All but the last few before it that are still open are lost.
	gone := 0
	for c.highest < a.number {
		c.highest++
		gone++
	}
	c.highest++
	c.inFlight = max(c.inFlight-1-gone, 0)
	if gone > 0 && a.number >= c.recover {
		c.recover = c.next
		c.cc.lost(a.at)
	}
	rate := float64(c.delivered-a.delivered) / crossMSS / rtt.Seconds()
	c.cc.acked(a.at, rtt, rate)
}

// cubic is RFC 9438 without its refinements.
type cubic struct {
	cwnd, threshold, top float64
	epoch                mono.Time
}

func (c *cubic) window() float64 { return c.cwnd }
func (c *cubic) pacing() float64 { return 0 }

func (c *cubic) acked(now mono.Time, rtt time.Duration, _ float64) {
	if c.cwnd < c.threshold {
		c.cwnd++
		return
	}
	if c.epoch == 0 {
		c.epoch = now
		c.top = max(c.top, c.cwnd)
	}
	t := now.Sub(c.epoch).Seconds()
	k := math.Cbrt(c.top * 0.3 / 0.4)
	target := 0.4*math.Pow(t+rtt.Seconds()-k, 3) + c.top
	reno := c.top*0.7 + 3*0.3/1.7*t/rtt.Seconds()
	if target = max(target, reno); target > c.cwnd {
		c.cwnd += min((target-c.cwnd)/c.cwnd, 0.5)
	}
}

func (c *cubic) lost(now mono.Time) {
	c.top, c.epoch = c.cwnd, now
	c.cwnd = max(0.7*c.cwnd, 2)
	c.threshold = c.cwnd
}

func (c *cubic) timeout() {
	c.threshold, c.top, c.epoch = max(c.cwnd/2, 2), c.cwnd, 0
	c.cwnd = 1
}

// bbr is BBR (version 1) as far as it matters here: it paces at the best delivery
// rate of the last ten round trips, probing an eighth of the time, and does not mind
// losses.
type bbr struct {
	best    [10]float64 // packets a second, by round
	round   int
	roundAt mono.Time
	least   time.Duration
	phase   int // -1 starting up, then 0..7
	full    float64
	stuck   int
}

func (b *bbr) rate() float64 {
	m := 0.0
	for _, v := range b.best {
		m = max(m, v)
	}
	return m
}

func (b *bbr) gain() float64 {
	switch b.phase {
	case -1:
		return 2.89
	case 0:
		return 1.25
	case 1:
		return 0.75
	}
	return 1
}

func (b *bbr) window() float64 {
	if b.least == 0 {
		return 10
	}
	g := 2.0
	if b.phase < 0 {
		g = 2.89
	}
	return max(g*b.rate()*b.least.Seconds(), 4)
}

func (b *bbr) pacing() float64 { return b.gain() * b.rate() }

func (b *bbr) acked(now mono.Time, rtt time.Duration, rate float64) {
	if b.least == 0 || rtt < b.least {
		b.least = rtt
	}
	i := b.round % len(b.best)
	b.best[i] = max(b.best[i], rate)
	if now.Sub(b.roundAt) < b.least {
		return
	}
	b.roundAt = now
	b.round++
	b.best[b.round%len(b.best)] = 0
	if b.phase >= 0 {
		b.phase = (b.phase + 1) % 8
		return
	}
	if r := b.rate(); r > 1.25*b.full {
		b.full, b.stuck = r, 0
	} else if b.stuck++; b.stuck >= 3 {
		b.phase = 1
	}
}

func (b *bbr) lost(mono.Time) {}
func (b *bbr) timeout()       {}
