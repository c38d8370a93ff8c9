package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"causeway/internal/bench/forward"
	"causeway/internal/bench/netbench"
	"causeway/internal/bench/sessions"
)

// benchPage are the flags of benches that write a section of the page.
type benchPage struct {
	json, doc string
	quiet     bool
}

func (p *benchPage) flags(c *command) {
	c.Flags().StringVar(&p.json, "json", "", "write the result to this file, too")
	c.Flags().StringVar(&p.doc, "doc", "", "renew the section of this page, too")
	c.Flags().BoolVar(&p.quiet, "quiet", false, "no progress")
}

// context ends with the command, or when it is interrupted.
func (p *benchPage) context(c *command) (context.Context, context.CancelFunc) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

func (p *benchPage) say(c *command) func(format string, args ...any) {
	if p.quiet {
		return nil
	}
	return func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), "bench: "+format+"\n", args...) }
}

// finish prints the section, and writes the files that were asked for.
func (p *benchPage) finish(c *command, section, markdown string, result any) error {
	if _, err := fmt.Fprint(c.OutOrStdout(), markdown); err != nil {
		return err
	}
	if p.json != "" {
		text, err := json.MarshalIndent(result, "", "  ")
		if err == nil {
			err = os.WriteFile(p.json, append(text, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	if p.doc == "" {
		return nil
	}
	return forward.Renew(p.doc, section, markdown)
}

// newBenchLatencyCommand is `causeway bench latency`.
func newBenchLatencyCommand() *command {
	var o forward.Options
	var p benchPage
	var rates []float64
	c := &command{
		Use:     "latency",
		Short:   "Measure the delay that PoPs add beside kernel NAT and others",
		Example: "  causeway bench latency --rate 10000,60000",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			ctx, cancel := p.context(c)
			defer cancel()
			o.Say = p.say(c)
			d, err := forward.RunLatency(ctx, o, rates)
			if err != nil {
				return err
			}
			return p.finish(c, "latency", d.Markdown(), d)
		},
	}
	benchLines(c, &o)
	c.Flags().Float64SliceVar(&rates, "rate", []float64{10000, 60000}, "packets a second")
	p.flags(c)
	return c
}

// newBenchFloodCommand is `causeway bench flood`.
func newBenchFloodCommand() *command {
	var o forward.Options
	var p benchPage
	var rate float64
	c := &command{
		Use:     "flood",
		Short:   "Measure what honest tunnels lose while strangers flood",
		Example: "  causeway bench flood --rate 150000",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			ctx, cancel := p.context(c)
			defer cancel()
			o.Say = p.say(c)
			f, err := forward.RunFlood(ctx, o, rate)
			if err != nil {
				return err
			}
			return p.finish(c, "flood", f.Markdown(), f)
		},
	}
	benchLines(c, &o)
	c.Flags().Float64Var(&rate, "rate", 150000, "strangers' packets a second")
	p.flags(c)
	return c
}

// newBenchScaleCommand is `causeway bench scale`.
func newBenchScaleCommand() *command {
	var o forward.Options
	var p benchPage
	c := &command{
		Use:     "scale",
		Short:   "Measure one core beside two",
		Example: "  causeway bench scale",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			ctx, cancel := p.context(c)
			defer cancel()
			o.Say = p.say(c)
			s, err := forward.RunScale(ctx, o)
			if err != nil {
				return err
			}
			return p.finish(c, "scale", s.Markdown(), s)
		},
	}
	benchLines(c, &o)
	p.flags(c)
	return c
}

// benchLines adds the flags of benches on lines.
func benchLines(c *command, o *forward.Options) {
	f := c.Flags()
	f.StringSliceVar(&o.Only, "only", nil, "these contenders only (nft is always there)")
	f.IntVar(&o.Rounds, "rounds", 5, "rounds; medians are told")
	f.DurationVar(&o.Length, "length", 0, "how long one measurement takes (default 1s)")
	f.StringVar(&o.Against, "against", "", "another build of this program, to compare with in the same rounds")
	o.Window = netbench.DefaultWindow
}

// newBenchSessionsCommand is `causeway bench sessions`.
func newBenchSessionsCommand() *command {
	var p benchPage
	var counts []int
	var rounds int
	c := &command{
		Use:     "sessions",
		Short:   "Measure what many sessions cost a packet, and what each takes",
		Example: "  causeway bench sessions --count 1000,100000",
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			list, err := sessions.Costs(counts, rounds)
			if err != nil {
				return err
			}
			return p.finish(c, "sessions", sessions.Markdown(list), map[string]any{"rows": list})
		},
	}
	c.Flags().IntSliceVar(&counts, "count", []int{1, 1000, 100000, 1000000}, "numbers of sessions")
	c.Flags().IntVar(&rounds, "rounds", 9, "rounds; medians are told")
	p.flags(c)
	return c
}
