// Package forward measures what it costs to forward a packet: CPU time of the
// whole forwarding box, socket layer and receiving softirq included, of this
// program's parts and of what a user could pick instead, side by side.
//
// Each contender stands on a line of its own (line.go): generator, one or several
// boxes, sink, in network namespaces. Rounds go through all contenders, sizes and
// numbers of flows; a ratio is made of two numbers of the same round, and what
// is told is medians. The generator keeps a bounded number of packets on their
// way, so every forwarder is as fast as it can be and loses nothing.
//
// The hardware (cables, generator, sink, CPU accounts) is package netbench's.
// To add a contender, write a function like those in contenders.go and list it
// there.
package forward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/bench/netbench"
	"causeway/internal/lab/netns"
)

// Options say what to measure. The zero value of a field means what stands beside it.
type Options struct {
	Sizes  []int         // UDP payloads, bytes; 64, 256, 1400
	Flows  []int         // clients that send in turn; 1, 64
	Only   []string      // names of contenders; all that this machine has
	Rounds int           // 9
	Length time.Duration // of one measurement; 250 ms
	Exe    string        // the causeway program that runs as PoP and as mirror; this one
	// Against is another build of it to run beside: rows with "/against" are its.
	Against string
	// WireGuard is the wireguard-go program; .cache/wireguard-go.
	WireGuard string

	// Frames feeds contenders that take packets before the stack, and a second nft to compare
	// them with, with frames as a network card's driver has them; otherwise all lines are fed alike.
	Frames bool

	allow  netip.Prefix // of clients, where ours have listeners; the zero Prefix is all
	bound  bool         // a PoP\'s worker has a thread of its own, on the line\'s core
	Cables netbench.CableOptions
	Window netbench.Window // netbench.DefaultWindow

	// Say, when not nil, is told how it goes.
	Say func(format string, args ...any)
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Sizes) == 0 {
		o.Sizes = []int{64, 256, 1400}
	}
	if len(o.Flows) == 0 {
		o.Flows = []int{1, 64}
	}
	if o.Rounds == 0 {
		o.Rounds = 9
	}
	if o.Length == 0 {
		o.Length = 250 * time.Millisecond
	}
	o.Window.Ring = cmp.Or(o.Window.Ring, netbench.DefaultWindow.Ring)
	o.Window.Total = cmp.Or(o.Window.Total, netbench.DefaultWindow.Total)
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if o.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find this program, to start it as a PoP: %w", err)
		}
		o.Exe = exe
	}
	return o, o.check()
}

// The bounds of what can be asked for.
const (
	minSize, maxSize     = 16, netbench.MTU - 28
	maxFlows             = 10000
	minLength, maxLength = 50 * time.Millisecond, time.Minute
)

func (o *Options) check() error {
	for _, n := range o.Sizes {
		if n < minSize || n > maxSize {
			return fmt.Errorf("size %d: want %d to %d bytes of UDP payload", n, minSize, maxSize)
		}
	}
	for _, n := range o.Flows {
		if n < 1 || n > maxFlows {
			return fmt.Errorf("%d flows: want 1 to %d", n, maxFlows)
		}
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.name == name }) {
			return fmt.Errorf("contender %q: there are %s", name, strings.Join(Names(), ", "))
		}
	}
	if o.Rounds < 1 || o.Rounds > 1000 {
		return fmt.Errorf("%d rounds: want 1 to 1000", o.Rounds)
	}
	if o.Window.Ring < netbench.Burst || o.Window.Total < 2*netbench.Burst || o.Window.Total > 8192 {
		return fmt.Errorf("%d packets on their way: want %d to 8192", o.Window.Total, 2*netbench.Burst)
	}
	if o.Length < minLength || o.Length > maxLength {
		return fmt.Errorf("length %v: want %v to %v", o.Length, minLength, maxLength)
	}
	return nil
}

// Names lists the contenders.
func Names() []string {
	var list []string
	for _, c := range contenders {
		list = append(list, c.name)
	}
	return list
}

// Run measures. It needs root. Everything it makes is gone when it returns.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if err := netns.Check(); err != nil {
		return nil, err
	}
	sweepLeftovers()
	b := &bench{Options: o, prefix: netns.Prefix(labName(os.Getpid()))}
	if b.core, err = netbench.LastCore(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "causeway-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.setUp(ctx); err != nil {
		return nil, err
	}
	r = newResult(o)
	begun := time.Now()
	for round := range o.Rounds {
		if err := b.round(ctx, r, round); err != nil {
			return nil, err
		}
		left := time.Since(begun) / time.Duration(round+1) * time.Duration(o.Rounds-round-1)
		o.Say("round %d of %d is done, %v to go", round+1, o.Rounds, left.Round(time.Second))
	}
	r.finish(b.missing)
	return r, nil
}

// bench is a run.
type bench struct {
	Options
	prefix, dir string
	core        netbench.Core
	running     []*running
	missing     []string // contenders that this machine does not have, and why
}

// wanted reports whether a contender was asked for.
func (b *bench) wanted(c *contender) bool {
	if len(b.Only) > 0 {
		return slices.Contains(b.Only, c.name)
	}
	return !c.aside
}

// contenders are those that were asked for, and what they are compared with.
func (b *bench) contenders() []contender {
	var list []contender
	for _, c := range contenders {
		switch {
		case c.name == Baseline:
		case c.name == FramesBaseline:
			if !b.Frames || !slices.ContainsFunc(contenders, func(c contender) bool { return c.frames && b.wanted(&c) }) {
				continue
			}
		case !b.wanted(&c):
			continue
		}
		list = append(list, c)
		if c.ours && b.Against != "" {
			c.exe = b.Against
			list = append(list, c)
		}
	}
	return list
}

// setUp brings up all contenders' lines and proves that each carries every flow.
func (b *bench) setUp(ctx context.Context) error {
	for i, c := range b.contenders() {
		b.Say("setting up %s", c.title())
		mark := fmt.Sprintf("b%s%c", strconv.FormatInt(int64(os.Getpid()%46656), 36), 'a'+i)
		window := b.Window
		if c.total != 0 {
			window.Total = min(window.Total, c.total)
		}
		cables := b.Cables
		cables.Ethernet = c.ethernet
		feed := netbench.Packets
		if b.Frames && c.frames {
			feed = netbench.Frames
		}
		core := b.core
		if c.apart {
			core = netbench.Anywhere
		}
		l, err := build(b.prefix, c.host(), mark, c.hops, cables, window, core, feed)
		if errors.Is(err, netbench.ErrNoFrames) { // of the first that is fed so, which is there to compare with
			b.Frames = false
			b.missing = append(b.missing, fmt.Sprintf("%s, and all lines are fed with packets of a socket: %v", c.title(), err))
			b.Say("%s", b.missing[len(b.missing)-1])
			continue
		}
		if err != nil {
			return err
		}
		r := &running{contender: c, line: l, dir: b.dir + "/" + c.host(), exe: cmp.Or(c.exe, b.Exe), feed: feed, wireguard: b.WireGuard, allow: b.allow, bound: b.bound}
		b.running = append(b.running, r)
		if err := os.MkdirAll(r.dir, 0o700); err != nil {
			return err
		}
		err = r.begin(ctx, slices.Max(b.Flows))
		var none *missing
		switch {
		case errors.As(err, &none):
			b.missing = append(b.missing, c.title()+": "+none.Error())
			b.Say("%s is left out: %v", c.title(), none)
			b.running = b.running[:len(b.running)-1]
			if err := r.close(); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("set up %s: %w", c.title(), err)
		}
	}
	return nil
}

// round measures every cell once.
func (b *bench) round(ctx context.Context, result *Result, round int) error {
	for _, size := range b.Sizes {
		for _, flows := range b.Flows {
			for i := range b.running {
				// Every other round goes the other way, lest the same one always comes first.
				r := b.running[i]
				if round%2 == 1 {
					r = b.running[len(b.running)-1-i]
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if r.most > 0 && flows > r.most {
					continue
				}
				samples, err := r.measure(ctx, size, flows, b.Length)
				if err != nil {
					return fmt.Errorf("measure %s with %d bytes, %d flows: %w", r.name, size, flows, err)
				}
				result.add(round, size, flows, samples)
			}
		}
	}
	return nil
}

func (b *bench) close() error {
	var err error
	for _, r := range b.running {
		err = errors.Join(err, r.close())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// labName is what a run's namespaces are called by: the process that owns them.
func labName(pid int) string { return "bench" + strconv.Itoa(pid) }

// sweepLeftovers takes away what runs that were killed have left.
func sweepLeftovers() {
	names, err := netns.List("cw-bench")
	if err != nil {
		return
	}
	for _, name := range names {
		lab, _, _ := strings.Cut(strings.TrimPrefix(name, "cw-"), "-")
		pid, err := strconv.Atoi(strings.TrimPrefix(lab, "bench"))
		if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_, _ = netns.Cleanup(netns.Prefix(lab))
		}
	}
}
