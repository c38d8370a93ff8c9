package forward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/bench/netbench"
	"causeway/internal/lab/netns"
)

// DelayRow is a forwarder's one-way delay at a rate: from the generator, which stands
// on a core of its own, through the boxes, which share the other, to the sink.
type DelayRow struct {
	Name     string  `json:"name"`
	Hops     int     `json:"hops"`
	Size     int     `json:"size"`
	Flows    int     `json:"flows"`
	Rate     float64 `json:"packets_per_second"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	AddedP50 float64 `json:"added_per_hop_p50_us"` // over nft, in the same round, for each box
	AddedP99 float64 `json:"added_per_hop_p99_us"`
	Lost     float64 `json:"loss"`
}

// Delays is the result of RunLatency.
type Delays struct {
	Measured string     `json:"measured"`
	Machine  Machine    `json:"machine"`
	Rounds   int        `json:"rounds"`
	Rows     []DelayRow `json:"rows"`
}

// latencySize is the payload, latencyFlows how many clients take turns.
const (
	latencySize  = 256
	latencyFlows = 64
)

// RunLatency measures delays at rates: medians over o.Rounds, in which the contenders
// take turns.
func RunLatency(ctx context.Context, o Options, rates []float64) (*Delays, error) {
	if len(o.Only) == 0 {
		o.Only = []string{"nft", "nginx", "one-box", "sealed", "xdp"}
	}
	o.Flows, o.Sizes = []int{latencyFlows}, []int{latencySize}
	o.bound = true
	d := &Delays{}
	type key struct {
		name string
		rate float64
	}
	found := map[key][][4]float64{} // p50, p99, and what is added to nft's
	lost := map[key]float64{}
	hops := map[string]int{}
	var order []key
	err := withLines(ctx, o, func(b *bench) error {
		d.Rounds = b.Rounds
		for round := range b.Rounds {
			for _, rate := range rates {
				var base [2]float64
				for _, r := range b.running {
					if err := ctx.Err(); err != nil {
						return err
					}
					load := []netbench.Paced{{Stream: netbench.Stream{Clients: clients(latencyFlows), To: r.target(), Size: latencySize}, Rate: rate}}
					got, err := r.hurried(load, b.Length)
					if err != nil {
						return fmt.Errorf("%s: %w", r.name, err)
					}
					k := key{r.title(), rate}
					if round == 0 {
						order = append(order, k)
						hops[k.name] = r.hops
					}
					now := [2]float64{micro(got[0].At(0.5)), micro(got[0].At(0.99))}
					if r.name == Baseline {
						base = now
					}
					found[k] = append(found[k], [4]float64{now[0], now[1], (now[0] - base[0]) / float64(r.hops), (now[1] - base[1]) / float64(r.hops)})
					lost[k] = max(lost[k], got[0].Lost())
				}
			}
			b.Say("latency: round %d of %d is done", round+1, b.Rounds)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range order {
		column := func(i int) float64 {
			var list []float64
			for _, v := range found[k] {
				list = append(list, v[i])
			}
			return round(signed(median(list)), 1)
		}
		d.Rows = append(d.Rows, DelayRow{
			Name: k.name, Hops: hops[k.name], Size: latencySize, Flows: latencyFlows, Rate: k.rate,
			P50: column(0), P99: column(1), AddedP50: column(2), AddedP99: column(3), Lost: lost[k],
		})
	}
	d.Measured, d.Machine = time.Now().Format(time.DateOnly), newResult(o).Machine
	return d, nil
}

// signed keeps round's rounding right below zero.
func signed(v float64) float64 {
	if v < 0 {
		return v - 0.1
	}
	return v
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// FloodRow is what a flood does to honest tunnels beside it.
type FloodRow struct {
	Name      string  `json:"name"`  // of the contender
	Flood     string  `json:"flood"` // who floods
	Rate      float64 `json:"packets_per_second"`
	Honest    float64 `json:"honest_loss"` // share, with the flood
	Alone     float64 `json:"honest_loss_without"`
	Added     float64 `json:"added_loss_pp"`
	P99       float64 `json:"honest_p99_us"`
	Strangers float64 `json:"strangers_let_through"` // share
	// Ring is the share of all packets, strangers' and tunnels', for which the device in front of the
	// first box had no room: nobody has seen them.
	Ring float64 `json:"no_room_at_the_device"`
}

// Floods is the result of RunFlood.
type Floods struct {
	Measured string     `json:"measured"`
	Machine  Machine    `json:"machine"`
	Rows     []FloodRow `json:"rows"`
}

const (
	honestTunnels = 20
	honestRate    = 4000 // packets a second, all tunnels together
	floodSources  = 1 << 16

	// cardRing is how many packets wait at a network card at the least, vethRing at a cable's end.
	cardRing, vethRing = 1024, 256
)

// RunFlood measures what tunnels lose while strangers flood: the listener from
// addresses that it does not allow, the overlay port with what no PoP has sent, and the
// listener, where it allows everybody, from addresses that nobody answers at.
func RunFlood(ctx context.Context, o Options, rate float64) (*Floods, error) {
	if len(o.Only) == 0 {
		o.Only = []string{"sealed", "xdp"}
	}
	o.Flows, o.Sizes = []int{honestTunnels}, []int{256}
	o.bound = true
	o.allow = netip.MustParsePrefix("10.0.0.0/9")
	o.Cables.Queue = cardRing - vethRing
	f := &Floods{}
	err := withLines(ctx, o, func(b *bench) error {
		for _, r := range b.running {
			if !r.ours {
				continue
			}
			if err := r.line.generator.Wait(); err != nil {
				return err
			}
			honest := netbench.Paced{Stream: netbench.Stream{Clients: clients(honestTunnels), To: r.target(), Size: 256}, Rate: honestRate}
			strangers := func(base byte, to netip.AddrPort) netbench.Paced {
				list := make([]netip.AddrPort, floodSources)
				for i := range list {
					list[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, base | byte(i>>12), byte(i >> 4), byte(1 + i&15)}), port)
				}
				return netbench.Paced{Stream: netbench.Stream{Clients: list, To: to, Size: 64}, Rate: rate, Scattered: true}
			}
			overlay := netip.AddrPortFrom(addr(0, 2), overlayPort)
			for _, c := range []struct {
				name  string
				flood netbench.Paced
			}{
				{"strangers at a listener that allows others", strangers(0x80, r.line.accelerated())},
				{"strangers at the overlay port", strangers(0x80, overlay)},
				{"spoofed clients that the listener allows", strangers(0x40, r.line.accelerated())},
			} {
				var alone, beside, through, p99, ring []float64
				for range b.Rounds {
					if err := ctx.Err(); err != nil {
						return err
					}
					quiet, err := r.hurried([]netbench.Paced{honest}, b.Length)
					if err != nil {
						return err
					}
					loud, err := r.hurried([]netbench.Paced{honest, c.flood}, b.Length)
					if err != nil {
						return err
					}
					ring = append(ring, float64(loud[0].NoRoom)/float64(loud[0].Sent+loud[1].Sent))
					alone, beside = append(alone, quiet[0].Lost()), append(beside, loud[0].Lost())
					through, p99 = append(through, 1-loud[1].Lost()), append(p99, micro(loud[0].At(0.99)))
				}
				row := FloodRow{Name: r.title(), Flood: c.name, Rate: rate, Honest: median(beside), Alone: median(alone), P99: round(median(p99), 1), Strangers: median(through), Ring: median(ring)}
				row.Added = round(max(0, 100*(row.Honest-row.Alone)), 3)
				f.Rows = append(f.Rows, row)
				b.Say("flood: %s, %s: %.3f pp", r.name, c.name, row.Added)
			}
		}
		return nil
	})
	f.Measured, f.Machine = time.Now().Format(time.DateOnly), newResult(o).Machine
	return f, err
}

// ScaleRow is what a packet costs with so many workers, and how fast the whole line is.
type ScaleRow struct {
	Cores   int     `json:"cores"`
	Workers int     `json:"workers"`
	Rate    float64 `json:"packets_per_second"`
	CPU     float64 `json:"cpu_ns_per_packet"` // of the crossing
	// Costs and Times are the row's CPU and Rate over those of one worker on one core: medians of the
	// ratios of single rounds; Lowest and Highest are of Costs.
	Costs   float64 `json:"times_the_cost"`
	Lowest  float64 `json:"times_the_cost_lowest"`
	Highest float64 `json:"times_the_cost_highest"`
	Times   float64 `json:"times_one_core"`
}

// Scales is the result of RunScale.
type Scales struct {
	Measured string     `json:"measured"`
	Machine  Machine    `json:"machine"`
	Rounds   int        `json:"rounds"`
	Rows     []ScaleRow `json:"rows"`
}

// scaled are the contenders of RunScale; the first is what the others are compared with.
var scaled = []struct {
	name           string
	cores, workers int
}{{"sealed", 1, 1}, {"workers", 1, 2}, {"workers-apart", 2, 2}}

// RunScale measures a sealed crossing, generator and sink included, on one core with
// one worker in each PoP and with two, and on two cores with two: each round has all of them.
func RunScale(ctx context.Context, o Options) (*Scales, error) {
	o.Flows, o.Sizes = []int{64}, []int{256}
	var column map[string]int
	o.Only, o.Against, column = nil, "", map[string]int{}
	for i, c := range scaled {
		o.Only = append(o.Only, c.name)
		column[c.name] = i
	}
	rates, costs := make([][]float64, len(scaled)), make([][]float64, len(scaled))
	err := withLines(ctx, o, func(b *bench) error {
		for round := range b.Rounds {
			for i := range b.running {
				r := b.running[i]
				if round%2 == 1 { // lest the same one always comes first
					r = b.running[len(b.running)-1-i]
				}
				if !r.ours {
					continue
				}
				samples, err := r.measure(ctx, 256, 64, b.Length)
				if err != nil {
					return err
				}
				all, at := samples[len(samples)-1], column[r.name]
				rates[at] = append(rates[at], float64(all.datagrams)/all.took.Seconds())
				costs[at] = append(costs[at], float64(all.usage.Sum())/float64(all.datagrams))
			}
			b.Say("scale: round %d of %d is done", round+1, b.Rounds)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	over := func(list, base []float64) []float64 {
		ratios := make([]float64, len(list))
		for i := range list {
			ratios[i] = list[i] / base[i]
		}
		return ratios
	}
	s := &Scales{Rounds: len(costs[0])}
	for i, c := range scaled {
		times := over(costs[i], costs[0])
		s.Rows = append(s.Rows, ScaleRow{
			Cores: c.cores, Workers: c.workers, Rate: round(median(rates[i]), 0), CPU: round(median(costs[i]), 0),
			Costs: round(median(times), 2), Lowest: round(slices.Min(times), 2), Highest: round(slices.Max(times), 2),
			Times: round(median(over(rates[i], rates[0])), 2),
		})
	}
	s.Measured, s.Machine = time.Now().Format(time.DateOnly), newResult(o).Machine
	return s, nil
}

// withLines brings up contenders' lines, calls f, and takes all away again.
func withLines(ctx context.Context, o Options, f func(b *bench) error) (err error) {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Length == 0 {
		o.Length = time.Second
	}
	if o, err = o.withDefaults(); err != nil {
		return err
	}
	if err := netns.Check(); err != nil {
		return err
	}
	sweepLeftovers()
	b := &bench{Options: o, prefix: netns.Prefix(labName(os.Getpid()))}
	if b.core, err = netbench.LastCore(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "causeway-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.setUp(ctx); err != nil {
		return err
	}
	return f(b)
}

// threadTimes is the CPU time of the threads of each of a line's programs.
func (r *running) threadTimes() (list []map[int]time.Duration, err error) {
	for _, p := range r.started {
		times, err := netbench.ThreadTimes(p.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		list = append(list, times)
	}
	return list, nil
}

// carrier is the thread of a program that carries packets: the one that used the most CPU time
// between two readings.
func carrier(before, after map[int]time.Duration) (thread int) {
	most := time.Duration(-1)
	for t, time := range after {
		if used := time - before[t]; used > most {
			thread, most = t, used
		}
	}
	return thread
}

// hurry lets those of the line's boxes who carry packets run as soon as they are woken, each
// before those in front of it: with a machine of its own, a box would not make a packet wait until
// others before it have taken in later ones. It tells who carries packets by sending some.
func (r *running) hurry(list []netbench.Paced) error {
	for hop := 1; hop <= r.line.hops(); hop++ {
		for _, p := range r.line.ports(hop) {
			for _, thread := range p.Threads() {
				if err := r.line.core.TakePrompt(thread, 2*hop-1); err != nil {
					return err
				}
			}
		}
	}
	for _, p := range r.started {
		if err := r.line.core.Take(p.cmd.Process.Pid); err != nil {
			return err
		}
	}
	if len(r.started) == 0 {
		return nil
	}
	before, err := r.threadTimes()
	if err != nil {
		return err
	}
	if _, err := r.paced(list, warmUp); err != nil {
		return err
	}
	after, err := r.threadTimes()
	if err != nil {
		return err
	}
	for i, p := range r.started {
		thread := carrier(before[i], after[i])
		if err := r.line.core.TakePrompt(thread, 2*p.hop); err != nil {
			return err
		}
		// The program's further threads, which that one has to wait for now and then, run as soon as they are
		// woken, too, on the other core: they come before the generator.
		for other := range after[i] {
			if other == thread {
				continue
			}
			if err := generatorCore.TakePrompt(other, netbench.GeneratorRank+1); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// hurried is paced with those in a hurry who carry packets.
func (r *running) hurried(list []netbench.Paced, length time.Duration) ([]netbench.PacedResult, error) {
	if err := r.hurry(list); err != nil {
		return nil, err
	}
	return r.paced(list, length)
}

// generatorCore is where delays are measured from; lines are on the last.
const generatorCore = netbench.Core(0)

// paced sends streams at their rates, from a core on which nothing of the line runs.
func (r *running) paced(list []netbench.Paced, length time.Duration) (got []netbench.PacedResult, err error) {
	if r.line.core == generatorCore {
		return nil, errors.New("delays need two cores: one for the boxes, one for generator and sink")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = r.line.generator.RunPaced(generatorCore, list, length)
	}()
	<-done
	return got, err
}

// beginWorkers is beginSealed with two workers in each PoP.
func beginWorkers(r *running) error { return startWorkers(r, "--workers", "2") }

// beginWorkersApart is beginWorkers with each worker on a core of its own.
func beginWorkersApart(r *running) error { return startWorkers(r, "--workers", "2", "--cpus", "0,1") }

func startWorkers(r *running, options ...string) error {
	p, err := r.startPoPs(func(int) []string { return options })
	if err != nil {
		return err
	}
	r.pay(r.name+"-ingress", 1, p[0])
	r.pay(r.name+"-egress", 2, p[1])
	r.payAll(r.name+"-crossing", r.payer(1, p[0]), r.payer(2, p[1]))
	return nil
}
