package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"causeway/internal/cli"
	labreport "causeway/internal/lab/report"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/trace"
)

// mtrOptions are the flags of `causeway mtr`.
type mtrOptions struct {
	at       atPoP
	count    int
	interval time.Duration
}

func newMTRCommand() *command {
	var o mtrOptions
	c := &command{
		Use:   "mtr POP|ADDRESS",
		Short: "Show the hops of the plain path, and the segments of the accelerated one",
		Long: `Asks every router on the way from this PoP to another one over the Internet alone,
as mtr does, and shows beside it what the overlay makes of it: the segments of the
way in use, what they lose on the wire and after repair. It needs root, or the
capability CAP_NET_RAW. An address, in place of a PoP's name, is asked as it is.`,
		Example: `  causeway mtr se1
  causeway mtr se1 --count 60 -o json
  causeway mtr 203.0.113.20`,
		Args: exactlyPoP,
	}
	output := cli.OutputFlag(c, "table", "json")
	f := c.Flags()
	f.IntVarP(&o.count, "count", "c", 10, "rounds")
	f.DurationVarP(&o.interval, "interval", "i", time.Second, "time between two rounds")
	o.at.flags(c)
	c.ValidArgsFunction = o.at.completeRoute
	c.RunE = func(c *command, args []string) error { return o.run(c, args[0], output.Is("json")) }
	return c
}

// mtrResult is what -o json prints.
type mtrResult struct {
	To       string          `json:"to"`
	Address  netip.Addr      `json:"address"`
	Hops     []labreport.Hop `json:"hops"` // of the plain path; the last is the target
	Way      []string        `json:"way,omitempty"`
	Segments []mtrSegment    `json:"segments,omitempty"`
	Path     *report.Path    `json:"path,omitempty"` // both ways, as the PoP has seen them of late
}

// mtrSegment is one segment of this PoP.
type mtrSegment struct {
	Peer     string  `json:"peer"`
	InUse    bool    `json:"in_use"`
	Up       bool    `json:"up"`
	RTT      float64 `json:"rtt_ms"`
	RawLoss  float64 `json:"raw_loss"`
	Residual float64 `json:"residual_loss"`
	Overhead float64 `json:"overhead"`
}

func (o mtrOptions) run(c *command, to string, asJSON bool) error {
	if o.count < 1 || o.count > 100_000 || o.interval < 10*time.Millisecond {
		return cli.Misuse("--count %d and --interval %v: 1 to 100000 rounds, at least 10ms apart, are allowed", o.count, o.interval)
	}
	r, err := o.resolve(c.Context(), to)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	got, err := trace.Run(ctx, trace.Config{Source: netip.IPv4Unspecified(), Target: r.Address, Interval: o.interval, Count: o.count, MaxHops: 30})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &cli.Error{Err: err, Code: cli.Denied, Fix: "run it as root: asking routers takes a raw socket"}
	case err != nil:
		return err
	}
	for _, row := range append(got.Hops, got.Target) {
		r.Hops = append(r.Hops, hopOf(row))
	}
	if asJSON {
		return cli.PrintJSON(c.OutOrStdout(), r)
	}
	return r.print(c)
}

// inUse reports whether a way to a PoP begins with the segment.
func inUse(s report.Segment, to string, way []string, there bool) bool {
	if len(way) == 0 {
		return there && s.Peer == to && s.Through == ""
	}
	if relay, through := snapshot.ThroughOf(way[0]); through {
		return s.Peer == to && s.Through == relay
	}
	return s.Peer == way[0] && s.Through == ""
}

// resolve finds the PoP's address, and what this PoP knows of it.
func (o mtrOptions) resolve(ctx context.Context, to string) (r mtrResult, err error) {
	r.To = to
	if r.Address, err = netip.ParseAddr(to); err == nil {
		if !r.Address.Is4() {
			return r, cli.Misuse("%s is no IPv4 address; only these can be asked", to)
		}
		return r, nil
	}
	p, err := o.at.report(ctx)
	if err != nil {
		return r, err
	}
	r.Address = netip.Addr{}
	var chosen []string
	for _, route := range p.Routes {
		if route.To == to {
			chosen = route.Chosen
			r.Way = append(append([]string{p.Name}, route.Relays()...), to)
		}
	}
	for _, s := range p.Segments {
		r.Segments = append(r.Segments, mtrSegment{
			Peer: s.Name(), InUse: inUse(s, to, chosen, len(r.Way) > 0), Up: s.Up, RTT: s.RTT,
			RawLoss: s.Repair.ToHere.RawLoss, Residual: s.Repair.ToHere.ResidualLoss, Overhead: s.Repair.ToPeer.Overhead,
		})
		for _, w := range s.Wires {
			if s.Peer == to && s.Through == "" && !r.Address.IsValid() && w.Remote.Addr().Unmap().Is4() {
				r.Address = w.Remote.Addr().Unmap()
			}
		}
	}
	if i := slices.IndexFunc(p.Paths, func(one report.Path) bool { return one.To == to }); i >= 0 {
		r.Path = &p.Paths[i]
	}
	if !r.Address.IsValid() {
		if r.Way == nil {
			return r, noRoute(to, p)
		}
		return r, &cli.Error{Err: fmt.Errorf("this PoP has no wire to %s, so its address is not known here", to), Code: cli.NotFound, Fix: "give the address itself: causeway mtr ADDRESS"}
	}
	return r, nil
}

func hopOf(row trace.Row) labreport.Hop {
	host := ""
	if row.Host.IsValid() {
		host = row.Host.String()
	}
	probes := make([]labreport.Probe, len(row.Samples))
	for i, s := range row.Samples {
		if probes[i] = labreport.Unanswered(s.At); s.Answered() {
			probes[i] = labreport.Answered(s.At, s.RTT)
		}
	}
	return labreport.NewHop(host, "", probes)
}

func (r mtrResult) print(c *command) error {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "plain path to %s (%s)\n", r.To, r.Address)
	table := cli.NewTable(">#", "HOST", ">LOSS", ">SNT", ">LAST", ">AVG", ">BEST", ">WRST", ">STDEV")
	for i, h := range r.Hops {
		if h.Received == 0 {
			table.Row(i+1, "???", percentCell(h.Loss), h.Sent)
			continue
		}
		ms := func(v float64) string { return fmt.Sprintf("%.1f", v) }
		table.Row(i+1, h.Host, percentCell(h.Loss), h.Sent, ms(h.Last), ms(h.Avg), ms(h.Best), ms(h.Worst), ms(h.Stdev))
	}
	if err := table.Write(out, cli.Colour(os.Stdout)); err != nil {
		return err
	}
	if len(r.Segments) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\naccelerated: %s\n", strings.Join(r.Way, " → "))
	segments := cli.NewTable("SEGMENT", "STATE", ">RTT", ">LOST ON THE WIRE", ">AFTER REPAIR", ">SENT PER PACKET")
	for _, s := range r.Segments {
		state := "up"
		if !s.Up {
			state = "down"
		}
		if s.InUse {
			state += ", in use"
		}
		segments.Row(s.Peer, state, fmt.Sprintf("%.1f ms", s.RTT), percentCell(s.RawLoss), percentCell(s.Residual), fmt.Sprintf("%.2f", s.Overhead))
	}
	if err := segments.Write(out, cli.Colour(os.Stdout)); err != nil {
		return err
	}
	if p := r.Path; p != nil {
		fmt.Fprintf(out, "\nof late, once a second: plain %.1f %% lost, %.1f ms; through the overlay %.1f %% lost, %.1f ms\n",
			100*p.Plain.Loss, p.Plain.RTT, 100*p.Accelerated.Loss, p.Accelerated.RTT)
	}
	return nil
}

func percentCell(share float64) cli.Cell {
	c := cli.Cell{Text: fmt.Sprintf("%.1f%%", 100*share), Style: cli.Good}
	switch {
	case share > .01:
		c.Style = cli.Bad
	case share > 0:
		c.Style = cli.Warn
	}
	return c
}
