// Package weather decides what happens to each packet on one direction of a
// link: whether it is lost, and when it comes out. It knows delay, correlated
// jitter, spikes, bursty loss, policers, queues, reordering, duplication, MTU
// and outages, and how they change by a script.
//
// It is a leaf: no clock, socket, goroutine, lock or log, and no allocation per
// packet. The emulator (lab/wan) drives it in real time, the simulator and the
// benches in virtual time. All chance comes from the seed: packet number n of a
// link meets the same fate in every run, and what depends on time (bursts, and
// jitter with JitterEvery) is a function of the seed and the time since Start
// alone, whatever packets were offered.
package weather

import "time"

// Profile says how one direction of a link behaves. The zero Profile is a
// perfect wire. A packet meets the parts in this order: outage, MTU, policer,
// rate and queue, loss, then delay; so a packet lost has still used the rate.
type Profile struct {
	// Delay is the fixed one-way delay.
	Delay time.Duration `json:"delay,omitzero" yaml:"delay,omitempty"`

	// Jitter is the sigma of a half-normal delay added to Delay: |N(0, Jitter)|.
	Jitter time.Duration `json:"jitter,omitzero" yaml:"jitter,omitempty"`
	// JitterCorrelation is the correlation (0 to below 1) of the normal variable
	// behind Jitter from one value to the next.
	JitterCorrelation float64 `json:"jitter_correlation,omitzero" yaml:"jitter_correlation,omitempty"`
	// JitterEvery is how often jitter and spikes take a new value. Zero means at
	// every packet; with a span the path's delay depends on the time only, so that
	// sparse pings and a busy tunnel meet the same path. (Order is kept, so jitter
	// drawn per packet makes every packet of a dense flow wait for the slowest.)
	JitterEvery time.Duration `json:"jitter_every,omitzero" yaml:"jitter_every,omitempty"`
	// Spike adds rare, long delays.
	Spike Spike `json:"spike,omitzero" yaml:"spike,omitempty"`

	// Loss says which packets vanish.
	Loss Loss `json:"loss,omitzero" yaml:"loss,omitempty"`

	// Policer drops what exceeds a token bucket, without delaying anything.
	Policer Policer `json:"policer,omitzero" yaml:"policer,omitempty"`
	// Rate is the serialisation rate in bits per second of IP packets; 0 is unlimited.
	Rate Rate `json:"rate,omitzero" yaml:"rate,omitempty"`
	// Queue bounds what waits for Rate; it means nothing when Rate is 0.
	Queue Queue `json:"queue,omitzero" yaml:"queue,omitempty"`

	// Reorder delays chosen packets without holding those behind. Order is kept otherwise.
	Reorder Reorder `json:"reorder,omitzero" yaml:"reorder,omitempty"`
	// Duplicate is the probability that a packet arrives twice.
	Duplicate float64 `json:"duplicate,omitzero" yaml:"duplicate,omitempty"`

	// MTU is the largest IP packet in bytes; 0 is no limit.
	MTU int `json:"mtu,omitzero" yaml:"mtu,omitempty"`
	// NoICMP makes the link swallow packets larger than MTU without telling the
	// sender (a path MTU black hole).
	NoICMP bool `json:"no_icmp,omitzero" yaml:"no_icmp,omitempty"`
	// Down loses everything: an outage.
	Down bool `json:"down,omitzero" yaml:"down,omitempty"`
}

// Spike is a rare extra delay with a Pareto tail: Scale × U^(-1/Shape), at most Max.
type Spike struct {
	Probability float64       `json:"probability" yaml:"probability"` // per packet, or per JitterEvery
	Scale       time.Duration `json:"scale" yaml:"scale"`             // the least spike
	Shape       float64       `json:"shape" yaml:"shape"`             // tail index; smaller is heavier, 1.5 is usual
	Max         time.Duration `json:"max" yaml:"max"`                 // no spike is longer
}

// Loss joins independent causes: a packet is lost when any of them takes it.
type Loss struct {
	// Random is the probability of each packet by itself.
	Random float64 `json:"random,omitzero" yaml:"random,omitempty"`
	// Burst is loss that comes in spells.
	Burst *Gilbert `json:"burst,omitempty" yaml:"burst,omitempty"`
	// Trace replays recorded loss, one entry per packet offered, from the start
	// again at its end.
	Trace Trace `json:"trace,omitempty" yaml:"trace,omitempty"`
}

// Gilbert is a Gilbert–Elliott process in time: the link is good or bad for
// exponentially distributed spells, and loses packets with a probability that
// depends on which. Spells last in milliseconds, not packets, so a sender that
// spreads its packets meets several of them.
type Gilbert struct {
	Good     time.Duration `json:"good" yaml:"good"`           // mean length of good spells
	Bad      time.Duration `json:"bad" yaml:"bad"`             // mean length of bad spells
	LossGood float64       `json:"loss_good" yaml:"loss_good"` // loss probability in a good spell
	LossBad  float64       `json:"loss_bad" yaml:"loss_bad"`   // loss probability in a bad spell

	// Shared names a process that several links have part in ("two carriers, one
	// cable"). Links made with NewNamed from one seed, with the same Shared, Good and Bad
	// are bad together so often that their states correlate by Correlation (0..1).
	Shared      string  `json:"shared,omitempty" yaml:"shared,omitempty"`
	Correlation float64 `json:"correlation,omitzero" yaml:"correlation,omitempty"`
}

// Policer is a token bucket that starts full. Zero Rate means none.
type Policer struct {
	Rate  Rate `json:"rate" yaml:"rate"`   // bits per second
	Burst int  `json:"burst" yaml:"burst"` // bucket size in bytes
}

// Queue is a tail-drop limit before Rate. A packet is dropped when it would
// wait longer than Delay, or when more than Bytes would be waiting with it; zero
// is no such limit, and both zero mean DefaultQueueDelay.
type Queue struct {
	Delay time.Duration `json:"delay,omitzero" yaml:"delay,omitempty"`
	Bytes int           `json:"bytes,omitzero" yaml:"bytes,omitempty"`
}

// DefaultQueueDelay bounds the queue of a link with a Rate and no stated limit.
const DefaultQueueDelay = 100 * time.Millisecond

// Reorder delays a packet by Extra with the given probability, letting later
// ones overtake it.
type Reorder struct {
	Probability float64       `json:"probability" yaml:"probability"`
	Extra       time.Duration `json:"extra" yaml:"extra"`
}

// MeanLoss returns the long-run probability that a packet is lost by Loss
// (policers, queues and outages left out).
func (p Profile) MeanLoss() float64 {
	kept := 1 - p.Loss.Random
	if g := p.Loss.Burst; g != nil {
		kept *= 1 - g.MeanLoss()
	}
	if n := len(p.Loss.Trace); n > 0 {
		kept *= 1 - float64(p.Loss.Trace.Lost())/float64(n)
	}
	if p.Down {
		kept = 0
	}
	return 1 - kept
}

// MeanLoss returns the long-run loss of the process.
func (g Gilbert) MeanLoss() float64 {
	b := g.badShare()
	return b*g.LossBad + (1-b)*g.LossGood
}

// badShare returns the share of time spent in bad spells.
func (g Gilbert) badShare() float64 {
	return float64(g.Bad) / (float64(g.Bad) + float64(g.Good))
}

// GilbertOf returns the process with mean loss mean whose bad spells last bad
// on average and lose with probability in; good spells lose nothing and are as
// long as that makes them. It wants 0 < mean < in <= 1.
func GilbertOf(mean float64, bad time.Duration, in float64) Gilbert {
	g := Gilbert{Bad: bad, LossBad: in}
	g.setMeanLoss(mean)
	return g
}

// setMeanLoss chooses Good so that the mean loss becomes m, as far as
// LossGood <= m <= LossBad allows.
func (g *Gilbert) setMeanLoss(m float64) {
	b := (m - g.LossGood) / (g.LossBad - g.LossGood)
	const shortest, longest = 1e-6, 1e12 // good : bad, so that a spell is never 0 or infinite
	ratio := longest
	if b > 0 {
		ratio = max((1-b)/b, shortest)
	}
	const century = 100 * 365 * 24 * time.Hour
	good := float64(g.Bad) * min(ratio, longest)
	g.Good = time.Duration(max(1, min(good, float64(century))))
}
