package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"causeway/internal/dataplane/segment/code"
	overlapping "causeway/internal/dataplane/segment/code/blocks"
	"causeway/internal/dataplane/segment/code/sliding"
	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/segment/repair/limits"
	"causeway/internal/mono"
	"causeway/internal/weather"
)

// Run runs one cell.
func Run(c Config) (*Result, error) {
	return RunContext(context.Background(), c, nil)
}

// RunContext runs one cell until it or ctx ends, and says from time to time which
// share is done.
func RunContext(ctx context.Context, c Config, progress func(share float64)) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.ModeName = c.Mode.String()
	c.Budget = Budget{Extra: c.budget(), Factor: 0}
	started := time.Now()
	r, err := newRun(c)
	if err != nil {
		return nil, err
	}
	r.pause = func(done int) error {
		if progress != nil {
			progress(float64(done) / float64(c.Packets))
		}
		return ctx.Err()
	}
	if c.Pattern == IKE {
		err = r.exchanges()
	} else {
		err = r.traffic()
	}
	if err != nil {
		return nil, fmt.Errorf("bench stopped: %w", err)
	}
	return r.result(time.Since(started)), nil
}

// run is a cell being run.
type run struct {
	cfg     Config
	budget  time.Duration
	forward weather.Profile
	sim     *sim
	rec     record
	symbol  []byte
	real    [2]*real
	step    mono.Time
	setups  *setups

	nextBack mono.Time // of the packets the other way
	backs    int
	pause    func(done int) error // called now and then; an error ends the run
}

// backSize is the size of the packets the other way: TCP acknowledgements in ESP.
const backSize = 100

// pauseEvery is how many packets are sent from one pause to the next.
const pauseEvery = 20000

func newRun(c Config) (*run, error) {
	r := &run{cfg: c, budget: c.budget()}
	forward, back, err := c.profiles()
	if err != nil {
		return nil, err
	}
	r.forward = forward
	var ends [2]end
	for i := range ends {
		if ends[i], err = r.newEnd(i); err != nil {
			return nil, err
		}
	}
	r.sim = newSim(ends[0], ends[1], forward, back, c.Wires, c.Seed)
	if c.Cross != "" {
		if forward.Rate == 0 && forward.Policer.Rate == 0 {
			return nil, fmt.Errorf("cross traffic %s over loss %q: want a rate to share, as queue:20mbit,50ms", c.Cross, c.Loss)
		}
		r.sim.cross = newCross(c.Cross, r.sim.side[0].links[0], c.RTT, r.sim.now)
	}
	r.sim.side[0].deliver = r.arrived
	r.sim.side[1].deliver = func([]byte) {}
	r.rec.sent = make([]mono.Time, 0, c.Packets)
	r.rec.came = make([]mono.Time, c.Packets)
	r.symbol = make([]byte, max(c.Size, 1500))
	for i := range r.symbol {
		r.symbol[i] = byte(i * 7)
	}
	return r, nil
}

func (r *run) newEnd(i int) (end, error) {
	c := &r.cfg
	switch c.Scheme {
	case Nothing:
		return newCopies(1, c.Wires), nil
	case Twice:
		return newCopies(2, c.Wires), nil
	case Thrice:
		return newCopies(3, c.Wires), nil
	case Blocks:
		return newBlocks(c.Wires), nil
	}
	codec, err := codecOf(c.Codec)
	if err != nil {
		return nil, err
	}
	cfg := repair.Config{
		OverheadCap: c.Cap, Budget: r.budget, PeerRepairs: true, Codec: codec,
		Residual: c.Residual, RTT: c.RTT, Tune: c.Tune,
	}
	switch c.Scheme {
	case ARQOnly:
		cfg.Tune.NoProactive = true
	case FECOnly:
		cfg.Tune.NoFeedback = true
	case Causeway:
	default:
		return nil, fmt.Errorf("scheme %q: want one of %v", c.Scheme, Schemes)
	}
	class := repair.Bulk
	if c.Pattern == IKE {
		class = repair.Urgent
	}
	r.real[i], err = newReal(cfg, c.Mode, class, c.Wires, c.RTT)
	return r.real[i], err
}

func codecOf(name string) (code.Codec, error) {
	switch name {
	case "sliding":
		return sliding.Codec{}, nil
	case "blocks":
		return overlapping.Codec{}, nil
	}
	return nil, fmt.Errorf("codec %q: want sliding or blocks", name)
}

// traffic sends the packets and lets what is under way arrive.
func (r *run) traffic() error {
	gap := time.Duration(float64(time.Second) / r.cfg.Rate)
	begin := r.sim.now.Add(10 * time.Millisecond)
	if r.cfg.Evening > 0 {
		period := time.Duration(float64(r.cfg.Packets) / r.cfg.Rate / 2 * float64(time.Second))
		for _, l := range r.sim.side[0].links {
			l.Follow(weather.Swing(0, r.cfg.Evening, max(period, time.Second)))
		}
	}
	if o := r.cfg.Outage; o != nil {
		for i := range r.sim.side {
			r.sim.side[i].links[0].Follow(weather.Schedule{Steps: []weather.Step{{At: begin.Sub(r.sim.now) + o.At, Outage: o.For}}})
		}
	}
	if s := r.cfg.Step; s != nil {
		r.step = begin.Add(s.At)
	}
	burst := max(int(0.2*r.cfg.Rate), 1)
	at := begin
	for i := range r.cfg.Packets {
		if i%pauseEvery == 0 {
			if err := r.pause(i); err != nil {
				return err
			}
		}
		for r.cfg.Back > 0 && r.nextBack <= at {
			r.sim.until(max(r.nextBack, r.sim.now))
			r.sim.send(1, r.symbol[:backSize])
			r.backs++
			r.nextBack = max(r.nextBack, begin).Add(time.Duration(1e9 / r.cfg.Back))
		}
		r.sim.until(at)
		if r.step != 0 && at >= r.step && r.sim.side[0].links[0].Profile().Loss.Random != r.cfg.Step.Loss {
			r.change()
		}
		r.rec.sent = append(r.rec.sent, at)
		r.sim.send(0, r.packet(i))
		at = at.Add(gap)
		if r.cfg.Pattern == OnOff && (i+1)%burst == 0 {
			at = at.Add(200 * time.Millisecond)
		}
	}
	r.sim.until(at.Add(r.budget + 4*r.cfg.RTT + 2*time.Second))
	return nil
}

// recovery is how long after the step, in ms, the last stretch of the length of a
// round trip ended in which more than 1e-4 of the packets stayed lost.
func (r *run) recovery() *float64 {
	per := max(int(r.cfg.Rate*r.cfg.RTT.Seconds()), 1)
	last := 0.0
	first := 0
	for first < len(r.rec.sent) && r.rec.sent[first] < r.step {
		first++
	}
	for i := first; i < len(r.rec.sent) && r.rec.sent[i] < r.step.Add(10*time.Second); i += per {
		lost, n := 0, 0
		for k := i; k < min(i+per, len(r.rec.sent)); k++ {
			n++
			if r.lost(k) {
				lost++
			}
		}
		if float64(lost) > 1e-4*float64(n) {
			last = ms(r.rec.sent[i].Sub(r.step) + time.Duration(per)*time.Duration(1e9/r.cfg.Rate))
		}
	}
	return &last
}

// lost reports whether packet i was not delivered by its deadline.
func (r *run) lost(i int) bool {
	return r.rec.came[i] == 0 || r.rec.came[i] > r.rec.sent[i].Add(r.cfg.RTT/2+r.budget)
}

func (r *run) change() {
	for _, l := range r.sim.side[0].links {
		p := l.Profile()
		p.Loss.Random = r.cfg.Step.Loss
		l.Set(r.sim.now, p)
	}
}

// imix is 40, 576 and 1400 bytes as 7:4:1.
var imix = [12]int{40, 40, 576, 40, 40, 576, 40, 1400, 40, 576, 40, 576}

// sizeOf is the size of packet i.
func (r *run) sizeOf(i int) int {
	switch r.cfg.Pattern {
	case IMIX:
		return imix[i%len(imix)]
	case IKE:
		return ikeSizes[2*(i&1)]
	}
	return r.cfg.Size
}

// packet makes packet i: its number at both ends.
func (r *run) packet(i int) []byte {
	n := r.sizeOf(i)
	b := r.symbol[:n]
	binary.BigEndian.PutUint64(b, uint64(i))
	binary.BigEndian.PutUint64(b[n-8:], uint64(i)*0x9e3779b97f4a7c15)
	return b
}

func (r *run) arrived(b []byte) {
	i := binary.BigEndian.Uint64(b)
	if binary.BigEndian.Uint64(b[len(b)-8:]) != i*0x9e3779b97f4a7c15 || i >= uint64(len(r.rec.sent)) {
		panic("bench: a packet arrived that was never sent: the repair is broken")
	}
	r.rec.deliver(r.sim.now, int(i))
}

// result sums the run up.
func (r *run) result(took time.Duration) *Result {
	c := &r.cfg
	n := len(r.rec.sent)
	oneWay := c.RTT / 2
	res := &Result{Config: *c, Seed: c.Seed, Packets: n, Duplicates: r.rec.again}
	bytes, good := 0.0, 0.0
	for i, at := range r.rec.sent {
		size := float64(r.sizeOf(i))
		bytes += size + sealed
		if came := r.rec.came[i]; came == 0 || came > at.Add(oneWay+r.budget) {
			res.Lost++
			if came == 0 {
				res.NeverDelivered++
			}
			continue
		}
		good += size
	}
	res.Residual = float64(res.Lost) / float64(n)
	res.ResidualUpper = upper95(res.Lost, n)
	fwd, back := &r.sim.side[0], &r.sim.side[1]
	// The packets the other way are not ours to count, what repairs them is.
	backPackets := back.packets - min(back.packets, uint64(r.backs))
	backBytes := back.bytes - min(back.bytes, uint64(r.backs)*(backSize+sealed))
	res.OverheadPackets = float64(fwd.packets+backPackets) / float64(n)
	res.OverheadForward = float64(fwd.packets) / float64(n)
	res.Reports = float64(backPackets) / float64(n)
	res.OverheadBytes = float64(fwd.bytes+backBytes) / bytes
	dropped, own := uint64(0), uint64(0)
	for why, k := range fwd.drops {
		switch weather.DropReason(why) {
		case weather.Kept:
		case weather.DropPolicer, weather.DropQueue:
			own += k
			dropped += k
		default:
			dropped += k
		}
	}
	res.RawLoss = float64(dropped) / float64(max(fwd.packets, 1))
	res.SelfInflicted = float64(own) / float64(max(fwd.packets, 1))

	loss := r.forward.MeanLoss()
	if c.Evening > 0 {
		loss = res.RawLoss
	}
	res.CapacityRatio = res.OverheadPackets * (1 - loss)
	res.DPRounds = int(r.budget / max(c.RTT, time.Millisecond))
	slack := r.budget - time.Duration(res.DPRounds)*c.RTT
	res.DPPool = min(max(int(math.Round(c.Rate*slack.Seconds())), 1), 256)
	res.DPResidual = c.Residual
	res.DPBound = limits.Hybrid{Loss: loss, Rounds: min(res.DPRounds, 6), Pool: res.DPPool}.Best(c.Residual).Overhead
	res.DPRatio = res.OverheadPackets / res.DPBound

	asCame, ordered := r.rec.delays(oneWay, r.budget)
	res.Added, res.AddedOrdered = quantiles(asCame), quantiles(ordered)
	res.AcceptedW32, res.AcceptedW64, res.LateReplay = r.rec.replayed(oneWay, r.budget)
	res.AcceptedW32Unordered, res.AcceptedW64Unordered = r.rec.replayedAsCame()

	span := r.rec.sent[n-1].Sub(r.rec.sent[0]).Seconds() + 1/c.Rate
	res.Duration = span
	if r.real[0] != nil {
		stats := r.real[0].Stats()
		sent := stats.Sent
		res.HeldBack = stats.Governor.HeldBack
		res.CopiesEach = float64(sent.Packets) / float64(max(sent.Sources, 1))
	}
	if r.setups != nil {
		took, failed := r.setups.times()
		q := quantiles(took)
		res.Setup, res.SetupFailed = &q, failed
	}
	if r.step != 0 {
		res.StepRecover = r.recovery()
	}
	res.Goodput = good * 8 / span / 1e6
	if x := r.sim.cross; x != nil {
		res.CrossGoodput = float64(x.delivered) * 8 / r.sim.now.Sub(r.rec.sent[0]).Seconds() / 1e6
	}
	res.CPUPerPacket = float64(took.Nanoseconds()) / float64(n)
	return res
}
