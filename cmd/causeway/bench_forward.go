package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"causeway/internal/bench/forward"
	"causeway/internal/bench/netbench"
	"causeway/internal/cli"
)

// benchForwardOptions are the flags of `causeway bench forward`.
type benchForwardOptions struct {
	forward.Options
	json, doc string
	quiet     bool
}

// newBenchForwardCommand is `causeway bench forward`: CPU time per packet, side by
// side with the kernel and others.
func newBenchForwardCommand() *command {
	var o benchForwardOptions
	c := &command{
		Use:   "forward",
		Short: "Measure CPU time per forwarded packet beside kernel NAT and others",
		Long: `Measures what forwarding a packet costs: CPU time of the whole box, receiving in
the kernel included, of real 'causeway pop' processes and of what one could use
instead (kernel nft NAT, nginx, plain Go sockets), in network namespaces of this
machine. Rounds take turns; ratios are made of numbers of the same round, to
nft or, of what takes packets before the stack (XDP), to nft-frames: both are
then given packets as a network card's driver has them.

Contenders: ` + strings.Join(forward.Names(), ", ") + `.`,
		Example: `  causeway bench forward
  causeway bench forward --only sealed --size 256 --flows 64 --rounds 11
  causeway bench forward --json docs/benchmarks/forward.json --doc docs/benchmarks.md`,
		Args: noArgs,
		RunE: func(c *command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.IntSliceVar(&o.Sizes, "size", []int{64, 256, 1400}, "UDP payloads in bytes")
	f.IntSliceVar(&o.Flows, "flows", []int{1, 64}, "how many clients send in turn")
	f.StringSliceVar(&o.Only, "only", nil, "these contenders only (nft is always there, to compare with)")
	f.IntVar(&o.Rounds, "rounds", 9, "rounds; medians are told")
	f.DurationVar(&o.Length, "length", 0, "how long one measurement takes (default 250ms)")
	f.StringVar(&o.Against, "against", "", "another build of this program, to compare with in the same rounds")
	f.StringVar(&o.WireGuard, "wireguard", "", "the wireguard-go program (default .cache/wireguard-go)")
	f.IntVar(&o.Window.Total, "on-the-way", netbench.DefaultWindow.Total, "packets that may be between generator and sink")
	f.BoolVar(&o.Cables.NoSegmentation, "software-segmentation", false, "as with network cards that cannot cut joined datagrams")
	f.BoolVar(&o.Frames, "frames", true, "XDP contenders, and a second nft, get packets as a network card's driver has them (false: as all others)")
	f.StringVar(&o.json, "json", "", "write the result to this file, too")
	f.StringVar(&o.doc, "doc", "", "renew the section of this page, too")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	c.AddCommand(newBenchMirrorCommand())
	return c
}

func (o *benchForwardOptions) run(c *command) error {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if !o.quiet {
		o.Say = func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), "bench: "+format+"\n", args...) }
	}
	result, err := forward.Run(ctx, o.Options)
	if err != nil {
		return err
	}
	if err := result.Write(c.OutOrStdout(), false); err != nil {
		return err
	}
	if o.json != "" {
		text, err := json.MarshalIndent(result, "", "  ")
		if err == nil {
			err = os.WriteFile(o.json, append(text, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	if o.doc != "" {
		return result.Document(o.doc)
	}
	return nil
}

// newBenchMirrorCommand is the plain forwarder that the bench runs to compare with.
func newBenchMirrorCommand() *command {
	var listen, to string
	c := &command{
		Use:     "mirror",
		Short:   "Forward UDP with plain Go sockets, to compare with",
		Example: "  causeway bench forward mirror --listen 127.0.0.1:4500 --to 127.0.0.1:4501",
		Hidden:  true,
		Args:    noArgs,
		RunE: func(c *command, _ []string) error {
			from, err := netip.ParseAddrPort(listen)
			target, err2 := netip.ParseAddrPort(to)
			if err := errors.Join(err, err2); err != nil {
				return cli.Misuse("--listen and --to: want ADDRESS:PORT each: %w", err)
			}
			ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer cancel()
			return forward.Mirror(ctx, from, target)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address to receive on")
	c.Flags().StringVar(&to, "to", "", "address to send to")
	return c
}
