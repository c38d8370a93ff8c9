package forward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"causeway/internal/bench/netbench"
)

// running is a contender on its line.
type running struct {
	contender
	line    *line
	dir     string // for its files
	exe     string
	to      netip.AddrPort // where clients send to; zero: the accelerated address
	through bool           // the relay between passes datagrams on unopened

	feed      netbench.Feed
	wireguard string // the program
	allow     netip.Prefix
	bound     bool // see Options

	accounts []account
	started  []*process
	// waiting, when not nil, says what is still to come before all is as it will stay.
	waiting func(ctx context.Context, flows int) (string, error)
}

// account is a row of the result: some of the boxes on the line.
type account struct {
	name   string
	payers []netbench.Payer
}

// process is a program of ours that runs.
type process struct {
	hop  int // where it runs
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs a program on a hop of the line.
func (r *running) start(hop int, args ...string) (*process, error) {
	return r.startCommand(hop, exec.Command(args[0], args[1:]...))
}

func (r *running) startCommand(hop int, cmd *exec.Cmd) (*process, error) {
	p := &process{hop: hop, log: filepath.Join(r.dir, fmt.Sprintf("%d.log", hop)), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = cmd
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := r.line.hop(hop).Start(p.cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	r.started = append(r.started, p)
	return p, nil
}

// ended says so, with its last words, when the program does not run any more.
func (p *process) ended() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	words, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s ended (%v): %s", filepath.Base(p.cmd.Path), p.cmd.ProcessState, strings.TrimSpace(string(words)))
}

// begin starts the contender and waits until every flow crosses both ways.
func (r *running) begin(ctx context.Context, flows int) error {
	if err := r.contender.begin(r); err != nil {
		return err
	}
	if r.most > 0 {
		flows = min(flows, r.most)
	}
	if err := r.greet(ctx, flows); err != nil {
		return err
	}
	for _, p := range r.started {
		if err := r.line.core.Take(p.cmd.Process.Pid); err != nil {
			return err
		}
	}
	return nil
}

// baseline names the contender that a line is compared with: one that is fed in the same way.
func (r *running) baseline() string {
	if r.feed == netbench.Frames {
		return FramesBaseline
	}
	return Baseline
}

// target is what clients send to.
func (r *running) target() netip.AddrPort {
	if r.to.IsValid() {
		return r.to
	}
	return r.line.accelerated()
}

// greetSize is the payload of greetings. Half of it is more than an ICMP error has,
// so that none passes for an answer.
const greetSize = 1200

// greet sends from every client until all are answered and nothing is to come.
func (r *running) greet(ctx context.Context, flows int) error {
	s := &netbench.Stream{Clients: clients(flows), To: r.target(), Size: greetSize, Kind: r.kind}
	// Strangers are let in slowly, and all of them begin as such.
	for end := time.Now().Add(20*time.Second + time.Duration(flows)*12*time.Millisecond); ; {
		answers, err := r.greetOnce(s)
		if err != nil {
			return err
		}
		waiting := fmt.Sprintf("%d of %d clients are answered", answers, flows)
		if answers >= uint64(flows) {
			waiting = ""
			if r.waiting != nil {
				if waiting, err = r.waiting(ctx, flows); err != nil {
					return err
				}
			}
		}
		for _, p := range r.started {
			if err := p.ended(); err != nil {
				return err
			}
		}
		switch {
		case waiting == "":
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(end):
			if !r.ours && r.name != r.baseline() { // others may not carry as many
				return &missing{fmt.Sprintf("with %d flows, %s", flows, waiting)}
			}
			return errors.New("after a long time " + waiting)
		}
	}
}

// greetTogether is how many clients are greeted at a time: their answers find room in
// every queue on the way back.
const greetTogether = 256

// greetOnce sends a packet from every client and returns how many answers came.
func (r *running) greetOnce(s *netbench.Stream) (answers uint64, err error) {
	for first := 0; first < len(s.Clients); first += greetTogether {
		some := *s
		some.Clients = s.Clients[first:min(len(s.Clients), first+greetTogether)]
		n, err := r.greetSome(&some)
		if answers += n; err != nil {
			return answers, err
		}
	}
	return answers, nil
}

func (r *running) greetSome(s *netbench.Stream) (answers uint64, err error) {
	before, err := r.line.left[0].Received()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(r.line.generator.Greet(s), r.line.sink.Answer(50*time.Millisecond)); err != nil {
		return 0, err
	}
	after, err := r.line.left[0].Received()
	return before.Datagrams(after, s.Size), err
}

// warmUp is how long traffic runs before it is measured.
const warmUp = 100 * time.Millisecond

// sample is one measurement of one account.
type sample struct {
	name      string
	baseline  string // whose row it is compared with
	datagrams uint64
	usage     netbench.Usage
	took      time.Duration
	lost      float64       // share of what was sent
	generator time.Duration // CPU, emptying the sink included
	elsewhere time.Duration // CPU of all the machine's other work
}

// measure runs traffic and returns what each account used.
func (r *running) measure(ctx context.Context, size, flows int, length time.Duration) ([]sample, error) {
	var stop atomic.Bool
	var sent, lost uint64
	sending := make(chan error, 1)
	go func() {
		var err error
		sent, lost, err = r.line.generator.Run(&netbench.Stream{Clients: clients(flows), To: r.target(), Size: size, Kind: r.kind}, &stop)
		sending <- err
	}()
	time.Sleep(warmUp)
	before, err := r.reading()
	if err == nil {
		select {
		case <-time.After(length):
		case <-ctx.Done():
		}
	}
	after, err2 := r.reading()
	stop.Store(true)
	if err = errors.Join(err, err2, <-sending, ctx.Err()); err != nil {
		return nil, err
	}
	var list []sample
	for i, a := range r.accounts {
		s := sample{
			name: a.name, baseline: r.baseline(), datagrams: after.sink - before.sink, took: after.at.Sub(before.at),
			usage: after.usage[i].Sub(before.usage[i]),
			lost:  float64(lost) / float64(max(sent, 1)), generator: after.generator - before.generator,
		}
		all := len(r.accounts) - 1 // the last account has all boxes
		s.elsewhere = after.busy - before.busy - after.usage[all].Sub(before.usage[all]).Sum() - s.generator
		list = append(list, s)
	}
	if list[0].datagrams == 0 {
		return nil, errors.New("nothing arrived")
	}
	return list, nil
}

// reading is all counters at one instant.
type reading struct {
	at        time.Time
	sink      uint64           // datagrams that came through
	usage     []netbench.Usage // by account
	generator time.Duration
	busy      time.Duration
}

func (r *running) reading() (m reading, err error) {
	m.at, m.sink = time.Now(), r.line.sink.Count()
	for _, a := range r.accounts {
		var sum netbench.Usage
		for i := range a.payers {
			u, err := a.payers[i].Usage()
			if err != nil {
				return m, err
			}
			sum.Process += u.Process
			sum.NAPI += u.NAPI
		}
		m.usage = append(m.usage, sum)
	}
	m.generator = r.line.generator.CPU()
	m.busy, err = netbench.Busy()
	return m, err
}

func (r *running) close() error {
	for _, p := range r.started {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range r.started {
		select {
		case <-p.done:
		case <-time.After(3 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	return r.line.close()
}
