package repair

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// governor finds out whether what is lost is lost because of us. Where a policer or
// a full queue drops what exceeds a rate, each repair costs another packet, and
// sending more because more is lost ends with sending nothing but repairs. There the
// amount that arrives does not follow the amount sent: it is this slope that the
// governor watches, in bins of what was sent and what of it arrived. Where loss has
// other reasons all of what is sent arrives but for the usual share, and the slope
// shows that, too. Delays that grow before packets are lost speak for a queue.
type governor struct {
	bins      [govBins]govBin
	width     time.Duration
	at        int64   // number of the newest bin
	begun     int64   // and of the first
	shifts    uint64  // changes of the weather so far
	shiftAt   int64   // bin of the last that counted
	shiftSeen int64   // and of the last
	shifty    float64 // how many there were lately
	state     govState
	limit     float64 // repairs allowed per source packet; +Inf: no limit but the cap

	changed  mono.Time // when the limit was last changed
	hold     time.Duration
	judged   int64   // bin of the last judgement
	usage    float64 // repairs sent per source packet, lately
	heldBack uint64  // times

	// Holding back for a queue's sake alone is a trial: what was seen before it, and,
	// where it changed nothing, how much delay is not held against us, until when.
	trial        bool
	trialLoss    float64
	trialQueue   time.Duration
	excused      time.Duration
	excusedUntil mono.Time

	slope, slopeError, steady float64 // of the last judgement
}

// govState is what the governor makes of the loss.
type govState uint8

const (
	govFree  govState = iota // loss is not ours
	govBack                  // it is: holding repairs back
	govProbe                 // trying whether it still is
)

var govNames = [...]string{"free", "holding back", "probing"}

func (s govState) String() string { return govNames[s] }

// govBin is what was sent within one bin's time.
type govBin struct {
	number     int64
	sent, got  float64 // bytes
	packets    int
	lostPacket int
}

const (
	govBins     = 256
	govWindow   = 40 // bins judged at once
	govLong     = 240
	govLeast    = 10 // fewest bins to judge by
	govNarrow   = 10 * time.Millisecond
	govWide     = 50 * time.Millisecond
	govPackets  = 6 // packets a bin must have on average
	govLoss     = 0.015
	govUsage    = 0.03 // less redundancy than this is never to blame
	govHold     = time.Second
	govHoldMost = 16 * time.Second
	// govQueue is how much packets may be delayed by a queue before loss is put down to it.
	govQueue = 12 * time.Millisecond
	// govQueued is how much redundancy stays allowed where a queue is shared.
	govQueued = 0.05
	// Delays that vary for reasons of their own look like a short queue. From a queue of
	// our making less is lost once a tenth of the packets is no longer sent: where loss
	// is as high as govUnmoved and stays so, it is none.
	govUnmoved    = 0.05
	govUnmovedFor = 5 * time.Minute // until it is tried again
)

func (g *governor) init() { g.limit, g.width, g.hold = math.Inf(1), govWide, govHold }

// fate takes in what became of a datagram.
func (g *governor) fate(at mono.Time, bytes int, arrivedThere bool) {
	n := int64(at) / int64(g.width)
	if g.at == 0 {
		g.begun = n // the first bin is not whole
	}
	g.at = max(g.at, n)
	if g.at-n >= govBins {
		return
	}
	b := &g.bins[n%govBins]
	if b.number != n {
		*b = govBin{number: n}
	}
	b.sent += float64(bytes)
	b.packets++
	if arrivedThere {
		b.got += float64(bytes)
	} else {
		b.lostPacket++
	}
}

// source takes in that a source packet was sent, repair that a repair was.
func (g *governor) source() { g.usage -= g.usage / 512 }
func (g *governor) repair() { g.usage += 1.0 / 512 }

// pace makes bins as wide as half a round trip: repairs of what is lost in one bin must
// not fall into the same, or what arrives would look steady for that reason.
func (g *governor) pace(rtt time.Duration) {
	want := min(max((rtt/2).Round(5*time.Millisecond), govNarrow), govWide)
	if d := want - g.width; d > g.width/4 || -d > g.width/4 {
		g.width, g.at, g.shiftAt, g.shiftSeen, g.bins = want, 0, 0, 0, [govBins]govBin{}
	}
}

// shifted takes in how often the weather has changed: how what arrived followed what
// was sent across a change says nothing. Where it changes all the time that may be our
// doing, and the past counts all the same.
func (g *governor) shifted(times uint64) {
	if times == g.shifts {
		return
	}
	g.shifts = times
	g.shifty = g.shifty*math.Exp(-float64(g.at-g.shiftSeen)/govLong) + 1
	g.shiftSeen = g.at
	if g.shifty < 2.5 {
		g.shiftAt = g.at
	}
}

// judge looks at the full bins and moves the limit.
func (g *governor) judge(now mono.Time, rtt, queueing time.Duration) {
	if g.at == g.judged {
		return
	}
	g.judged = g.at
	loss, blame, shared := g.blame()
	shared = shared && g.usage > govQueued
	bearable := govQueue
	if now < g.excusedUntil {
		bearable = max(bearable, g.excused)
	}
	queue := queueing > bearable && loss > govLoss/3
	since := now.Sub(g.changed)
	settled := since > 2*rtt+2*g.width
	switch g.state {
	case govFree:
		if !settled || loss < govLoss && !queue || g.usage < govUsage {
			return
		}
		if blame {
			g.hold = min(g.hold*2, govHoldMost)
			g.set(now, govBack, 0)
		} else if queue && g.usage > govQueued || shared {
			g.set(now, govBack, govQueued)
			g.trial, g.trialLoss, g.trialQueue = !shared && g.usage > 2*govQueued, loss, queueing
		}
	case govBack:
		if g.trial && !blame && !shared {
			if since < 2*rtt+(govWindow+4)*g.width {
				return // the window still has what was sent before
			}
			g.trial = false
			if most := max(queueing, g.trialQueue); loss > govUnmoved && loss > 0.85*g.trialLoss && most < 3*govQueue {
				g.excused, g.excusedUntil = 3*most, now.Add(govUnmovedFor)
				g.set(now, govFree, math.Inf(1))
				return
			}
		}
		if since < g.hold {
			return
		}
		g.set(now, govProbe, max(2*g.limit, 0.08))
	case govProbe:
		if !settled {
			return
		}
		switch {
		case blame || (queue || shared) && g.limit > govQueued:
			g.hold = min(g.hold*2, govHoldMost)
			g.set(now, govBack, 0)
		case g.limit > 2*max(g.usage, 0.2):
			g.hold = govHold
			g.set(now, govFree, math.Inf(1))
		default:
			g.set(now, govProbe, g.limit*1.5)
		}
	}
}

func (g *governor) set(now mono.Time, s govState, limit float64) {
	if s == govBack {
		g.heldBack++
	}
	g.state, g.limit, g.changed = s, limit, now
}

// blame returns the loss within the window, and whether it is surely ours, or surely
// shared with others whom our repairs push aside.
//
// Ours: the amount that arrives is the same all the time, steadier than chance would
// have it if packets were lost independently, and does not rise with the amount
// sent. Shared: it does rise, but over a longer time clearly by less than it would
// if the loss had nothing to do with us.
func (g *governor) blame() (loss float64, ours, shared bool) {
	f := g.fit(govWindow)
	g.slope, g.slopeError, g.steady = f.slope, f.slopeError, f.steady
	if f.bins < govLeast || f.loss < govLoss {
		return f.loss, false, false
	}
	ours = f.steady < steadyLimit(f.bins-1) && f.slope-2*f.slopeError < 0.5*(1-f.loss)
	if long := g.fit(min(govLong, g.at-g.shiftAt)); long.bins >= govLong/3 {
		shared = long.steady < 3 && long.slope+3.5*long.slopeError < 0.75*(1-long.loss)
	}
	return f.loss, ours, shared
}

// steadyLimit is how little the amounts that arrive may vary, as a share of what
// chance makes them vary, before chance is out of the question: five standard
// deviations, by Wilson and Hilferty's approximation of the chi-squared distribution.
func steadyLimit(degrees int) float64 {
	k := 2 / (9 * float64(max(degrees, 1)))
	x := max(1-k-5*math.Sqrt(k), 0)
	return min(x*x*x, 0.35)
}

// govFit is what a window's bins say: their number (0: too few packets), the share
// lost, how the amount that arrived followed the amount sent, and how its variance
// compares to what chance would make it.
type govFit struct {
	bins                            int
	loss, slope, slopeError, steady float64
}

func (g *governor) fit(window int64) govFit {
	total, packets, lostPackets, count := 0.0, 0, 0, 0
	g.window(window, 0, func(b *govBin) {
		total += b.sent
		packets += b.packets
		lostPackets += b.lostPacket
		count++
	})
	if count < govLeast || float64(packets) < govPackets*float64(count) {
		return govFit{}
	}
	// Bins in which little was sent lie below any limit and say nothing about it.
	var n, sx, sy, sxx, sxy, syy float64
	g.window(window, 0.7*total/float64(count), func(b *govBin) {
		n++
		sx += b.sent
		sy += b.got
		sxx += b.sent * b.sent
		sxy += b.sent * b.got
		syy += b.got * b.got
	})
	f := govFit{bins: int(n), loss: float64(lostPackets) / float64(packets), slopeError: 1}
	if n < govLeast {
		return govFit{loss: f.loss}
	}
	vx := sxx - sx*sx/n
	vy := syy - sy*sy/n
	cxy := sxy - sx*sy/n
	size := total / float64(packets)
	chance := sx / n * size * f.loss * (1 - f.loss) // variance of what arrives of a bin
	f.steady = vy / (n - 1) / max(chance, 1)
	if vx > 0 {
		f.slope = cxy / vx
		f.slopeError = math.Sqrt(max(vy-f.slope*cxy, 0) / (n - 2) / vx)
	}
	return f
}

// window yields the full bins of the window in which at least that much was sent.
func (g *governor) window(bins int64, least float64, yield func(b *govBin)) {
	// The newest bin may still fill, and the one before may miss a late report.
	for i := int64(2); i < bins+2; i++ {
		n := g.at - i
		b := &g.bins[(n%govBins+govBins)%govBins]
		if n > g.begun && b.number == n && b.packets > 0 && b.sent >= least {
			yield(b)
		}
	}
}
