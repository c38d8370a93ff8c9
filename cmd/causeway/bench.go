package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"causeway/internal/bench"
	"causeway/internal/bench/forward"
	"causeway/internal/bench/repairspeed"
	"causeway/internal/cli"
	"causeway/internal/dataplane/segment/repair"
)

// newBenchCommand is `causeway bench` with everything below it.
func newBenchCommand() *command {
	c := &command{
		Use:     "bench",
		Short:   "Measure what Causeway does beside what theory and others do",
		Example: "  causeway bench repair --loss bernoulli:0.2 --budget rtt+50ms\n  causeway bench repair --grid",
		Args:    subcommands,
		RunE:    func(c *command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBenchForwardCommand(), newBenchLatencyCommand(), newBenchSessionsCommand(), newBenchFloodCommand(), newBenchScaleCommand(), newBenchRepairCommand())
	return c
}

// benchRepairOptions are the flags of `causeway bench repair`.
type benchRepairOptions struct {
	bench.Config
	scheme, pattern, mode, budget string
	stepTo                        float64
	stepAt                        time.Duration
	outageFor                     time.Duration

	grid      bool
	gridOnly  string
	doc       string
	gridScale float64
	quiet     bool

	speed  bool
	rounds int
}

// newBenchRepairCommand is `causeway bench repair`: one cell, or the grid.
func newBenchRepairCommand() *command {
	o := benchRepairOptions{Config: bench.Default()}
	c := &command{
		Use:   "repair",
		Short: "Judge loss repair in virtual time, beside the bound and simpler schemes",
		Long: `Runs the real repair code between two ends in virtual time, over seeded weather,
and says what is left lost by the deadline (with its exact 95 % bound), what it
cost in packets and bytes, feedback included, how far that is from the capacity
1/(1-loss) and from the bound for a scheme of its rounds and pool (solved for
each cell), what delay it added as packets came and in order, and what a peer's
anti-replay window would make of them.

Loss models, joined by "+": none · bernoulli:SHARE · gilbert:mean=SHARE,bad=TIME,in=SHARE ·
trace:FILE · policer:RATE[,BYTES] · queue:RATE,TIME. A bare number is bernoulli.
Budgets: 150ms, rtt+50ms, 2rtt+20ms, 0.6rtt; by default what the mode has.

overhead_bytes counts each datagram with 60 bytes of seal, UDP and IPv4, and
divides by what the source packets alone would have cost so.`,
		Example: `  causeway bench repair --loss bernoulli:0.2 --budget rtt+50ms
  causeway bench repair --loss gilbert:mean=0.2,bad=20ms,in=1 --wires 2 --budget 2rtt+20ms
  causeway bench repair --pattern ping --loss bernoulli:0.5
  causeway bench repair --loss policer:8mbit --rate 1000 --size 1400 -o json
  causeway bench repair --grid --doc docs/benchmarks.md
  causeway bench repair --speed`,
		Args: noArgs,
	}
	output := cli.OutputFlag(c, "table", "json")
	f := c.Flags()
	f.StringVar(&o.Loss, "loss", o.Loss, "what happens on the way there")
	f.StringVar(&o.ReverseLoss, "reverse-loss", o.ReverseLoss, "what happens on the way back")
	f.DurationVar(&o.RTT, "rtt", o.RTT, "round-trip time without queues")
	f.DurationVar(&o.Jitter, "jitter", 0, "delay variation; one packet in twenty is overtaken")
	f.Float64Var(&o.Rate, "rate", o.Rate, "packets a second (ping and ike: 1)")
	f.IntVar(&o.Size, "size", o.Size, "bytes of each packet (ping: 84)")
	f.StringVar(&o.budget, "budget", "", "how much later than unrepaired a packet may arrive")
	f.IntVar(&o.Wires, "wires", 1, "wires of the segment")
	f.Float64Var(&o.Correlation, "correlation", 0, "of the wires' bad spells, 0 to 1")
	f.StringVar(&o.mode, "mode", "balanced", "balanced, latency, economy or off")
	f.IntVar(&o.Packets, "packets", o.Packets, "how many packets (ping: 17280, ike: 5000 set-ups)")
	f.Uint64Var(&o.Seed, "seed", 1, "of the weather")
	f.StringVar(&o.scheme, "scheme", string(bench.Causeway), "what repairs: "+strings.Join(bench.SchemeNames(), ", "))
	f.StringVar(&o.pattern, "pattern", string(bench.CBR), "cbr, onoff, imix, ping or ike")
	f.StringVar(&o.Codec, "codec", o.Codec, "erasure code: sliding or blocks")
	f.Float64Var(&o.Cap, "cap", o.Cap, "overhead cap, in packets sent per packet")
	f.Float64Var(&o.Residual, "residual", o.Residual, "share of packets that may stay lost: what is aimed at, and the bound is for")
	f.Float64Var(&o.stepTo, "step", 0, "change the random loss to this in the middle of the run")
	f.DurationVar(&o.stepAt, "step-at", 0, "when (default: half-way)")
	f.Float64Var(&o.Back, "back", 0, "small packets a second the other way, for feedback to ride on")
	f.DurationVar(&o.outageFor, "outage", 0, "take the first wire down for this long in the middle of the run")
	f.StringVar(&o.Cross, "cross", "", "a TCP flow beside ours on the first wire: cubic or bbr")
	f.BoolVar(&o.grid, "grid", false, "run the whole grid beside the baselines")
	f.StringVar(&o.gridOnly, "only", "", "with --grid: only cells whose name contains this")
	f.Float64Var(&o.gridScale, "scale", 1, "with --grid: times the usual number of packets")
	f.BoolVar(&o.speed, "speed", false, "measure what repair takes of a core at up to 2 Gbit/s, beside sealing")
	f.IntVar(&o.rounds, "rounds", 5, "with --speed: rounds of a second; medians are told")
	f.StringVar(&o.doc, "doc", "", "with --grid or --speed: renew the section of this page")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	c.RunE = func(c *command, _ []string) error { return o.run(c, output.Is("json")) }
	return c
}

func (o *benchRepairOptions) run(c *command, json bool) error {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	progress := io.Discard
	if !o.quiet && (o.grid || cli.Colour(os.Stderr)) {
		progress = c.ErrOrStderr()
	}
	if o.speed {
		return o.runSpeed(ctx, c, json, progress)
	}
	if o.grid {
		return o.runGrid(ctx, c, json, progress)
	}
	cfg, err := o.cell(c)
	if err != nil {
		return cli.Misuse("%w", err)
	}
	r, err := bench.RunContext(ctx, cfg, func(share float64) {
		fmt.Fprintf(progress, "\rbench: %3.0f %%", 100*share)
	})
	fmt.Fprint(progress, "\r            \r")
	if err != nil {
		return err
	}
	if json {
		return cli.PrintJSON(c.OutOrStdout(), r)
	}
	return r.Table(c.OutOrStdout())
}

// cell is the cell the flags describe.
func (o *benchRepairOptions) cell(c *command) (bench.Config, error) {
	cfg := o.Config
	cfg.Scheme, cfg.Pattern = bench.Scheme(o.scheme), bench.Pattern(o.pattern)
	// What the pattern has by nature stands unless it was said.
	natural := cfg
	natural.Natural()
	if !c.Flags().Changed("rate") {
		cfg.Rate = natural.Rate
	}
	if !c.Flags().Changed("size") {
		cfg.Size = natural.Size
	}
	if !c.Flags().Changed("packets") {
		cfg.Packets = natural.Packets
	}
	var err error
	if cfg.Mode, err = repair.ParseMode(o.mode); err != nil {
		return cfg, err
	}
	if o.budget != "" {
		if cfg.Budget, err = bench.ParseBudget(o.budget); err != nil {
			return cfg, err
		}
	}
	if c.Flags().Changed("step") {
		at := o.stepAt
		if at == 0 {
			at = time.Duration(float64(cfg.Packets) / cfg.Rate / 2 * float64(time.Second))
		}
		cfg.Step = &bench.Step{At: at, Loss: o.stepTo}
	}
	if o.outageFor > 0 {
		middle := time.Duration(float64(cfg.Packets) / cfg.Rate / 2 * float64(time.Second))
		cfg.Outage = &bench.Outage{At: middle, For: o.outageFor}
	}
	return cfg, cfg.Validate()
}

// runSpeed measures what repair takes of a core.
func (o *benchRepairOptions) runSpeed(ctx context.Context, c *command, json bool, progress io.Writer) error {
	var list []*repairspeed.Cost
	for _, k := range repairspeed.Cases() {
		if err := ctx.Err(); err != nil {
			return err
		}
		cost, err := repairspeed.Run(k, o.rounds, o.Seed)
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "bench: %s: sending %.0f, receiving %.0f ns\n", cost.Name, cost.Send, cost.Receive)
		list = append(list, cost)
	}
	if o.doc != "" {
		if err := forward.Renew(o.doc, "repair-speed", repairspeed.Markdown(list)); err != nil {
			return err
		}
	}
	if json {
		return cli.PrintJSON(c.OutOrStdout(), list)
	}
	_, err := fmt.Fprint(c.OutOrStdout(), repairspeed.Markdown(list))
	return err
}

func (o *benchRepairOptions) runGrid(ctx context.Context, c *command, json bool, progress io.Writer) error {
	g := bench.Grid{Only: o.gridOnly, Scale: o.gridScale, Seed: o.Seed, Progress: progress}
	results, err := g.Run(ctx)
	if err != nil {
		return err
	}
	if o.doc != "" {
		if err := bench.Document(o.doc, results); err != nil {
			return err
		}
	}
	if json {
		return cli.PrintJSON(c.OutOrStdout(), results)
	}
	return bench.WriteGrid(c.OutOrStdout(), results)
}
