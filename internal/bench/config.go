package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/weather"
)

// Config is one cell: what is sent over what, and with how much time for repair.
type Config struct {
	Scheme  Scheme  `json:"scheme"`
	Pattern Pattern `json:"pattern"`

	Loss        string        `json:"loss"`         // see weather.ParseLoss
	ReverseLoss string        `json:"reverse_loss"` // the same, or a share
	RTT         time.Duration `json:"rtt_ns"`
	Jitter      time.Duration `json:"jitter_ns"`
	Rate        float64       `json:"rate_pps"`
	Size        int           `json:"size"`
	Budget      Budget        `json:"budget"`
	Wires       int           `json:"wires"`
	Correlation float64       `json:"correlation"` // of bursts between the wires
	Mode        repair.Mode   `json:"-"`
	ModeName    string        `json:"mode"`
	Packets     int           `json:"packets"`
	Seed        uint64        `json:"seed"`
	Codec       string        `json:"codec"`
	Cap         float64       `json:"overhead_cap"`
	Residual    float64       `json:"residual_target"`
	Back        float64       `json:"back_pps,omitempty"` // small packets a second the other way
	Cross       string        `json:"cross,omitempty"`    // a TCP flow beside ours: cubic or bbr
	Evening     float64       `json:"evening,omitempty"`  // random loss that swings up to this share and back, twice a run
	Outage      *Outage       `json:"outage,omitempty"`
	Step        *Step         `json:"step,omitempty"`

	Tune repair.Tune `json:"-"`
}

// Step changes the loss in the middle of a run.
type Step struct {
	At   time.Duration `json:"at_ns"`
	Loss float64       `json:"loss"`
}

// Outage takes the first wire down, both ways, in the middle of a run.
type Outage struct {
	At  time.Duration `json:"at_ns"`
	For time.Duration `json:"for_ns"`
}

// Scheme is what repairs: the real code, or a baseline.
type Scheme string

// The schemes. Causeway and the two after it are the real code, whole or in part.
const (
	Causeway Scheme = "causeway"
	ARQOnly  Scheme = "arq"     // the real code without repairs beforehand
	FECOnly  Scheme = "fec"     // the real code without feedback
	Nothing  Scheme = "nothing" // each packet once
	Twice    Scheme = "copies2" // each packet twice
	Thrice   Scheme = "copies3" // each packet three times
	Blocks   Scheme = "rs20+10" // Reed-Solomon blocks of 20+10, closed after 8 ms, as UDPspeeder does
)

// Schemes lists them all.
var Schemes = []Scheme{Causeway, Nothing, Twice, Thrice, Blocks, ARQOnly, FECOnly}

// Pattern is how packets are sent.
type Pattern string

// The patterns.
const (
	CBR   Pattern = "cbr"   // evenly spaced
	OnOff Pattern = "onoff" // bursts of 200 ms at the rate, then as long nothing
	IMIX  Pattern = "imix"  // sizes 40, 576 and 1400 as 7:4:1
	Ping  Pattern = "ping"  // single small packets, the rate a second
	IKE   Pattern = "ike"   // two exchanges, each answered at once
)

// Budget is how much later than an unrepaired packet a repaired one may arrive:
// a fixed time, or RTT times a factor and something.
type Budget struct {
	Factor float64
	Extra  time.Duration
}

// Of returns the budget at a round-trip time.
func (b Budget) Of(rtt time.Duration) time.Duration {
	return time.Duration(b.Factor*float64(rtt)) + b.Extra
}

// String writes what ParseBudget reads.
func (b Budget) String() string {
	switch {
	case b.Factor == 0:
		return b.Extra.String()
	case b.Extra == 0:
		return strconv.FormatFloat(b.Factor, 'g', -1, 64) + "rtt"
	}
	return strconv.FormatFloat(b.Factor, 'g', -1, 64) + "rtt+" + b.Extra.String()
}

// MarshalText implements encoding.TextMarshaler.
func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// ParseBudget reads 150ms, rtt, 0.6rtt, rtt+50ms or 2rtt+20ms.
func ParseBudget(s string) (Budget, error) {
	var b Budget
	rest := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	if head, tail, ok := strings.Cut(rest, "rtt"); ok {
		b.Factor = 1
		if head = strings.TrimSuffix(head, "*"); head != "" {
			f, err := strconv.ParseFloat(head, 64)
			if err != nil || !(f > 0 && f <= 100) {
				return b, badBudget(s)
			}
			b.Factor = f
		}
		if tail == "" {
			return b, nil
		}
		rest = strings.TrimPrefix(tail, "+")
	}
	d, err := time.ParseDuration(rest)
	if err != nil || b.Factor == 0 && d <= 0 {
		return b, badBudget(s)
	}
	b.Extra = d
	return b, nil
}

func badBudget(s string) error {
	return fmt.Errorf("budget %q: want a time as 150ms, or one from the round trip as rtt, 0.6rtt, rtt+50ms, 2rtt+20ms", s)
}

// Default is the cell of the flags' defaults.
func Default() Config {
	return Config{
		Scheme: Causeway, Pattern: CBR, Loss: "bernoulli:0.2", ReverseLoss: "none",
		RTT: 100 * time.Millisecond, Rate: 1000, Size: 1400, Wires: 1,
		Packets: 1_000_000, Seed: 1, Codec: "sliding", Cap: repair.DefaultOverheadCap,
		Residual: 1e-5,
	}
}

// Rated reports whether the wire has a limit that our own sending may exceed.
func (c *Config) Rated() bool {
	return strings.Contains(c.Loss, "policer") || strings.Contains(c.Loss, "queue")
}

// Natural sets what a pattern usually has: a ping is small and rare.
func (c *Config) Natural() {
	switch c.Pattern {
	case Ping:
		c.Rate, c.Size, c.Packets = 1, 84, 17280
	case IKE:
		c.Rate, c.Packets = 1, 5000
	}
}

// budget is the cell's budget, the mode's own where none is given.
func (c *Config) budget() time.Duration {
	if c.Budget == (Budget{}) {
		return repair.DefaultBudget(c.Mode, c.RTT)
	}
	return c.Budget.Of(c.RTT)
}

// Validate reports what cannot be run, with what can.
func (c *Config) Validate() error {
	budget := c.budget()
	switch {
	case c.RTT < 0 || c.RTT > 10*time.Second:
		return fmt.Errorf("rtt %v: want 0 to 10s", c.RTT)
	case c.Jitter < 0 || c.Jitter > time.Second:
		return fmt.Errorf("jitter %v: want 0 to 1s", c.Jitter)
	case !(c.Rate > 0 && c.Rate <= 1e6):
		return fmt.Errorf("rate %v: want above 0 up to 1000000 packets a second", c.Rate)
	case !(c.Evening >= 0 && c.Evening < 1):
		return fmt.Errorf("evening %v: want a share of loss from 0 to below 1", c.Evening)
	case !(c.Back >= 0 && c.Back <= 1e5):
		return fmt.Errorf("packets back %v: want 0 to 100000 a second", c.Back)
	case c.Size < 16 || c.Size > 8900:
		return fmt.Errorf("size %d: want 16 to 8900 bytes", c.Size)
	case c.Wires < 1 || c.Wires > repair.MaxWires:
		return fmt.Errorf("wires %d: want 1 to %d", c.Wires, repair.MaxWires)
	case !(c.Correlation >= 0 && c.Correlation <= 1):
		return fmt.Errorf("correlation %v: want 0 to 1", c.Correlation)
	case c.Packets < 1 || c.Packets > 100_000_000:
		return fmt.Errorf("packets %d: want 1 to 100000000", c.Packets)
	case budget < repair.MinBudget || budget > repair.MaxBudget:
		return fmt.Errorf("budget %v: want %v to %v", budget, repair.MinBudget, repair.MaxBudget)
	case !(c.Cap >= 1):
		return fmt.Errorf("overhead cap %v: want at least 1, which allows no redundancy", c.Cap)
	case !(c.Residual > 0 && c.Residual < 1):
		return fmt.Errorf("residual target %v: want above 0 and below 1", c.Residual)
	}
	if c.Codec != "sliding" && c.Codec != "blocks" {
		return fmt.Errorf("codec %q: want sliding or blocks", c.Codec)
	}
	if c.Cross != "" && c.Cross != "cubic" && c.Cross != "bbr" {
		return fmt.Errorf("cross traffic %q: want cubic or bbr", c.Cross)
	}
	switch c.Pattern {
	case CBR, OnOff, IMIX, Ping, IKE:
	default:
		return fmt.Errorf("pattern %q: want cbr, onoff, imix, ping or ike", c.Pattern)
	}
	if c.Mode == repair.Economy && budget < c.RTT/2 {
		// It repairs by asking, which takes a round trip.
		return fmt.Errorf("mode economy with a budget of %v on a path of %v round-trip time cannot repair anything: want at least %v, better %v; or mode latency or balanced",
			budget, c.RTT, c.RTT/2, c.RTT+c.RTT/4)
	}
	_, _, err := c.profiles()
	return err
}

// profiles reads the two loss models and adds delay and jitter.
func (c *Config) profiles() (forward, back weather.Profile, err error) {
	if forward, err = parseLoss(c.Loss); err != nil {
		return
	}
	if back, err = parseLoss(c.ReverseLoss); err != nil {
		return forward, back, fmt.Errorf("reverse loss: %w", err)
	}
	for _, p := range []*weather.Profile{&forward, &back} {
		p.Delay = c.RTT / 2
		if c.Jitter > 0 {
			// Delays wander within a few milliseconds, and one packet in twenty is
			// overtaken by those up to one jitter behind it.
			p.Jitter, p.JitterEvery, p.JitterCorrelation = c.Jitter, time.Millisecond, 0.9
			p.Reorder = weather.Reorder{Probability: 0.05, Extra: c.Jitter}
		}
	}
	if g := forward.Loss.Burst; g != nil && c.Wires > 1 && g.Shared == "" {
		g.Shared, g.Correlation = "wires", c.Correlation
	}
	return forward, back, nil
}

// parseLoss reads a loss model, or a bare share.
func parseLoss(s string) (weather.Profile, error) {
	if p, err := strconv.ParseFloat(s, 64); err == nil {
		s = "bernoulli:" + strconv.FormatFloat(p, 'g', -1, 64)
	}
	if s == "" {
		s = "none"
	}
	return weather.ParseLoss(s, os.ReadFile)
}
