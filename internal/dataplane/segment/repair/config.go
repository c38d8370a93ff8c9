package repair

import (
	"fmt"
	"math"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// Mode is what a listener's packets are worth: how early redundancy is spent on them.
type Mode uint8

const (
	Balanced Mode = iota // in order within a few ms most of the time
	Latency              // more repairs beforehand, fewer afterwards
	Economy              // hardly any beforehand: bytes matter more than delay
	Off                  // each packet once

	Modes = 4
)

var modeNames = [Modes]string{"balanced", "latency", "economy", "off"}

// String returns the mode's name in settings.
func (m Mode) String() string {
	if m < Modes {
		return modeNames[m]
	}
	return "unknown"
}

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	for i, name := range modeNames {
		if s == name {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("repair mode %q: want balanced, latency, economy or off", s)
}

// Class says how a symbol is to be protected.
type Class uint8

const (
	Bulk   Class = iota // with the others of its kind
	Urgent              // by itself and at once: IKE, keepalives, control
)

// Config is how an Endpoint repairs. The zero Config, with PeerRepairs set, is good.
type Config struct {
	// OverheadCap bounds what is sent, in packets and in bytes, per source packet
	// of the same size; copies of sparse packets are bounded by SparseRate instead.
	// At least 1; 0 means DefaultOverheadCap.
	OverheadCap float64

	// Budget is how much later than an unrepaired packet a repaired one may
	// arrive, for all modes. 0 means: by mode and round-trip time, see DefaultBudget.
	Budget time.Duration

	// PeerRepairs says that the peer understands this package. Without it every
	// symbol is sent once and in mode off.
	PeerRepairs bool

	// Codec is the erasure code, the same at both ends; nil means sliding.
	Codec code.Codec

	// Residual is the share of packets that may stay lost; 0 means DefaultResidual.
	Residual float64

	// History is how many symbols are remembered per stream at most; 0 means
	// code.MaxHistory. Memory follows what is held.
	History int

	// RTT is the round-trip time the wires start with; 0 means DefaultRTT. SetWires
	// and what is measured replace it.
	RTT time.Duration

	// Tune holds what the bench turns to compare; the zero Tune is what is right.
	Tune Tune
}

// Tune switches parts of the scheme for comparison.
type Tune struct {
	NoFeedback  bool    // forward error correction alone, at the given Alpha
	NoProactive bool    // retransmission alone
	Alpha       float64 // repairs sent beforehand, as a multiple of loss/(1-loss); 0: by mode
}

// Defaults of Config.
const (
	DefaultOverheadCap = 3.0
	DefaultResidual    = 1e-5
	DefaultRTT         = 100 * time.Millisecond
	MinBudget          = 5 * time.Millisecond
	MaxBudget          = 5 * time.Second
)

// DefaultBudget is the budget of a mode where none is configured. It says when to
// give up, not how long packets take: where losses are independent nearly all are
// mended within a round trip whatever the budget. Bad spells of tens of milliseconds
// are what it is for: with 25 ms of them, 140 ms left 4 in 1,000 packets lost at
// 60 ms of round trip, 300 ms almost none, and both redundancy and an inner CUBIC
// gained (causeway bench repair --loss gilbert:mean=0.2,bad=25ms,in=0.92 --wires 2 --rtt 60ms).
func DefaultBudget(m Mode, rtt time.Duration) time.Duration {
	switch m {
	case Latency:
		return max(min(rtt+30*time.Millisecond, 120*time.Millisecond), 20*time.Millisecond)
	case Economy:
		return 3*rtt + 20*time.Millisecond
	}
	return max(min(4*rtt+20*time.Millisecond, 300*time.Millisecond), rtt+40*time.Millisecond)
}

// Validate reports the first setting that cannot be, with what can.
func (c *Config) Validate() error {
	switch {
	case c.OverheadCap != 0 && !(c.OverheadCap >= 1 && c.OverheadCap <= 100):
		return fmt.Errorf("repair overhead cap %v: want 1 (no redundancy) to 100 packets sent per packet, or 0 for %v", c.OverheadCap, DefaultOverheadCap)
	case c.Budget != 0 && (c.Budget < MinBudget || c.Budget > MaxBudget):
		return fmt.Errorf("repair budget %v: want %v to %v, or 0 to follow mode and round-trip time", c.Budget, MinBudget, MaxBudget)
	case !(c.Residual >= 0 && c.Residual < 1) || math.IsNaN(c.Residual):
		return fmt.Errorf("repair residual %v: want 0 (for %v) or a share below 1", c.Residual, DefaultResidual)
	case c.History < 0 || c.History > code.MaxHistory:
		return fmt.Errorf("repair history %d: want 0 (for %d) to %d symbols", c.History, code.MaxHistory, code.MaxHistory)
	case c.RTT < 0 || c.RTT > MaxBudget:
		return fmt.Errorf("round-trip time %v: want 0 (for %v) to %v", c.RTT, DefaultRTT, MaxBudget)
	case !(c.Tune.Alpha >= 0 && c.Tune.Alpha <= 100):
		return fmt.Errorf("repair alpha %v: want 0 to 100", c.Tune.Alpha)
	}
	return nil
}

// Wire is one wire of the segment, as its owner sees it.
type Wire struct {
	ID  uint8
	Up  bool
	RTT time.Duration // smoothed; 0 if not yet known
	MTU int           // bytes of plaintext that a datagram may have
}

// Out seals one plaintext and queues it on a wire. payload is copied before it returns.
type Out interface {
	Transmit(wire uint8, payload []byte) (pn uint64)
}

// Deliver takes a symbol that arrived or was recovered. It is borrowed for the call.
type Deliver = func(mode Mode, symbol []byte)

// MaxWires is how many wires a segment may have.
const MaxWires = 16

// never stands for a deadline that does not come.
const never = mono.Time(math.MaxInt64)
