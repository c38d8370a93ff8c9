package wan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"causeway/internal/lab/netns"
	"causeway/internal/weather"
)

// SelftestOptions are all optional.
type SelftestOptions struct {
	// Seed is the weather's; 0 is 1.
	Seed uint64
	// Quick takes a third of the packets: about 12 s instead of 30 s.
	Quick bool
	// Command starts the emulator as the lab does, as a process that reads its
	// configuration from its standard input: {exe, "lab", "wan", "--config", "-"}.
	// Without it the emulator runs in this process.
	Command []string
}

// SelftestResult is what the self-test found. In JSON durations are nanoseconds.
type SelftestResult struct {
	// Passed is true when every check kept its target.
	Passed bool `json:"passed"`
	// Valid is false when the machine was too busy for the checks to say
	// anything, also after a second and third try; Reason then says why.
	Valid    bool          `json:"valid"`
	Reason   string        `json:"reason,omitempty"`
	Realtime bool          `json:"realtime"`
	Delay    []DelayCheck  `json:"delay"`
	Loss     []LossCheck   `json:"loss"`
	Rate     []RateCheck   `json:"rate"`
	Repeat   []RepeatCheck `json:"repeat"`
}

// selftest is one run of it.
type selftest struct {
	ctx    context.Context
	out    io.Writer
	scale  int // a third of the packets when 1, all when 3
	seed   uint64
	client *Client
	prober *prober
	t0     time.Time // when the step's weather began
	result SelftestResult
}

// Selftest makes two hosts, sends probes between them through the emulator,
// and compares what comes out with the weather that it was told. It prints a line for each
// check to out as it goes. An error means that it could not be run; what it
// found is in the result. It wants root.
func Selftest(ctx context.Context, out io.Writer, o SelftestOptions) (*SelftestResult, error) {
	if err := netns.Check(); err != nil {
		return nil, err
	}
	s := &selftest{ctx: ctx, out: out, scale: 3, seed: o.Seed, result: SelftestResult{Valid: true, Passed: true}}
	if o.Quick {
		s.scale = 1
	}
	if s.seed == 0 {
		s.seed = 1
	}
	if err := s.inLab(o.Command, s.checks); err != nil {
		return nil, fmt.Errorf("WAN self-test: %w", err)
	}
	s.verdict()
	return &s.result, nil
}

var probeFrom, probeTo = netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2")

// inLab calls f with two hosts and an emulator between them.
func (s *selftest) inLab(command []string, f func() error) (err error) {
	lab := fmt.Sprintf("self%d", os.Getpid())
	c := Config{Seed: s.seed, Links: []Link{{From: "a", To: "b"}, {From: "b", To: "a"}}}
	var hosts []*netns.NS
	for name, addr := range map[string]netip.Addr{"a": probeFrom, "b": probeTo} {
		ns, err := netns.Create(netns.Name(lab, name))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ns.Delete()) }()
		if err := ns.Host(false); err != nil {
			return err
		}
		hosts = append(hosts, ns)
		c.Nodes = append(c.Nodes, Node{Name: name, Namespace: ns.Name(), Addrs: []netip.Addr{addr}})
	}
	dir, err := os.MkdirTemp("", "causeway-selftest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c.Control = filepath.Join(dir, "wan.sock")

	run, stop := context.WithCancelCause(s.ctx)
	ended := make(chan error, 1)
	go func() {
		err := emulator(run, command, c)
		stop(fmt.Errorf("the emulator ended: %w", err))
		ended <- err
	}()
	defer func() {
		stop(nil)
		err = errors.Join(err, <-ended)
	}()
	if s.client, err = Dial(run, c.Control); err != nil {
		return err
	}
	defer s.client.Close()
	from, to := hosts[0], hosts[1]
	if c.Nodes[0].Name == "b" {
		from, to = to, from
	}
	if s.prober, err = newProber(from, to, probeFrom, probeTo); err != nil {
		return err
	}
	defer s.prober.close()
	return f()
}

// emulator runs the emulator until ctx ends, in this process or in another.
func emulator(ctx context.Context, command []string, c Config) error {
	if len(command) == 0 {
		return Run(ctx, c)
	}
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin = bytes.NewReader(config)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%v: %w: %s", command, err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// checks makes them all, in order of their worth.
func (s *selftest) checks() error {
	fmt.Fprintln(s.out, "delay error       packets    p1         p50        p99        max")
	for _, pps := range []int{1000, 20000} {
		if err := s.delay(pps); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "\nloss                                           sent       lost       expected   99.9 % bounds")
	for _, model := range lossModels {
		if err := s.loss(model); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "\nrate              measured          error")
	for _, rate := range []weather.Rate{2 * weather.Mbit, 50 * weather.Mbit} {
		if err := s.rate(rate); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "\nfate of each packet as the seed says          packets    other fate  at an edge")
	for _, model := range lossModels[1:] {
		if err := s.repeat(model); err != nil {
			return err
		}
	}
	return nil
}

// tries is how often a step is made when the machine is too busy.
const tries = 3

// step puts the weather in force and sends a train through it. It tries again when the
// machine was too busy, and says so in the end if it always was.
func (s *selftest) step(p weather.Profile, count, size, pps int) (*probes, error) {
	for try := 1; ; try++ {
		if err := s.client.Set(s.ctx, "a", "b", p, nil); err != nil {
			return nil, err
		}
		t0, err := s.client.Start(s.ctx)
		if err != nil {
			return nil, err
		}
		s.t0 = t0
		got, err := s.prober.run(s.ctx, count, size, pps, p.Delay+p.Queue.Delay+150*time.Millisecond)
		if err != nil {
			return nil, err
		}
		st, err := s.client.Stats(s.ctx, false)
		if err != nil {
			return nil, err
		}
		s.result.Realtime = st.Realtime
		if st.Valid || try == tries {
			if !st.Valid {
				s.result.Valid, s.result.Reason = false, st.Reason
			}
			return got, nil
		}
		fmt.Fprintf(s.out, "  again: %s\n", st.Reason)
	}
}

// mark notes a check's outcome and returns the word for it.
func (s *selftest) mark(passed bool) string {
	if passed {
		return "ok"
	}
	s.result.Passed = false
	return "FAILED"
}

func (s *selftest) verdict() {
	r := &s.result
	fmt.Fprintln(s.out)
	if !r.Realtime {
		fmt.Fprintln(s.out, "The emulator has no real-time priority: run it as root, outside containers that forbid it.")
	}
	switch {
	case !r.Valid:
		fmt.Fprintf(s.out, "Nothing is proven: %s. Stop what else runs, and run this again.\n", r.Reason)
	case r.Passed:
		fmt.Fprintln(s.out, "The emulator keeps its targets on this machine.")
	default:
		fmt.Fprintln(s.out, "The emulator does not keep its targets: see FAILED above. On a machine that does nothing else it should.")
	}
}
