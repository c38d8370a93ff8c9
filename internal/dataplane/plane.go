package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	crand "crypto/rand"

	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// Config is what a Plane is made of.
type Config struct {
	Key      keys.PrivateKey
	StateDir string // where sessions are kept; empty: nowhere
	Log      *slog.Logger

	// Workers is how many loops carry packets, each on a core of its own; 0 is 1,
	// the most is MaxLanes.
	Workers int
	// CPUs are those that the workers are bound to, in their order; none: the
	// kernel chooses.
	CPUs []int
	// BusyPoll is how long a worker goes on looking for packets before it sleeps:
	// it spends a core on being quicker. 0: it sleeps at once.
	BusyPoll time.Duration
	// Without switches off what sockets would use, by the names of Features, to see
	// how it goes without.
	Without []string
	// XDP names devices whose packets are taken before the kernel's stack. One that
	// cannot be taken is told of, and goes on without.
	XDP []string
}

// Plane is a PoP's data plane on real sockets: an Engine for each lane, and the
// workers that feed them. A packet is read, carried the whole way and written by
// one worker; Apply and Report are calls into them.
//
// A PoP with one worker has one lane. One with n workers has n, and more when a
// peer has more: lane l of one PoP meets lane l of every other, so that a packet
// stays in its lane all the way, and worker l mod n drives it.
type Plane struct {
	cfg     Config
	log     *slog.Logger
	clock   mono.Clock
	started time.Time
	workers []*worker
	devices devices
	shared  directory
	wants   chan uint8 // lanes that peers have and we do not
	done    chan struct{}
	flows   chan report.Flow // records that wait to be written

	mu      sync.Mutex // orders changes of what follows
	lanes   []*lane
	applied *snapshot.Snapshot // what every lane carries; nil before the first Apply
}

// MaxLanes bounds how many lanes a PoP, and so how many workers it, can have.
const MaxLanes = 16

// New returns a Plane that carries nothing until Apply, and nothing moves until Run.
func New(cfg Config) (*Plane, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Workers = max(cfg.Workers, 1); cfg.Workers > MaxLanes {
		return nil, fmt.Errorf("data plane: %d workers; 1 to %d are possible", cfg.Workers, MaxLanes)
	}
	p := &Plane{
		cfg: cfg, log: cfg.Log, clock: mono.NewClock(), started: time.Now(),
		wants: make(chan uint8, 1), done: make(chan struct{}), flows: make(chan report.Flow, flowRoom),
	}
	for i := range cfg.Workers {
		w, err := newWorker(p, i)
		if err != nil {
			p.closeAll()
			return nil, fmt.Errorf("data plane: %w", err)
		}
		p.workers = append(p.workers, w)
	}
	p.openDevices()
	for range max(cfg.Workers, p.lanesOnDisk()) {
		if err := p.addLane(); err != nil {
			p.closeAll()
			return nil, err
		}
	}
	return p, nil
}

// addLane makes the next lane and gives it to its worker.
func (p *Plane) addLane() error {
	n := len(p.lanes)
	w := p.workers[n%len(p.workers)]
	l, err := newLane(p, w, uint8(n))
	if err != nil {
		return err
	}
	p.lanes = append(p.lanes, l)
	p.shared.lanes.Store(int32(len(p.lanes)))
	return w.take(l)
}

// lanesOnDisk is how many lanes have left sessions on disk.
func (p *Plane) lanesOnDisk() int {
	n := 0
	for p.cfg.StateDir != "" && n < MaxLanes {
		if _, err := os.Stat(p.sessionFile(n)); err != nil {
			break
		}
		n++
	}
	return n
}

// sessionFile is where a lane's sessions are kept.
func (p *Plane) sessionFile(lane int) string {
	name := "sessions"
	if lane > 0 {
		name = fmt.Sprintf("sessions-%d", lane)
	}
	return filepath.Join(p.cfg.StateDir, name)
}

func newRandom() (func() uint64, error) {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("data plane: read random seed: %w", err)
	}
	return rand.New(rand.NewChaCha8(seed)).Uint64, nil
}

// ErrStopped is what Apply returns when the Plane no longer runs.
var ErrStopped = errors.New("data plane has stopped")

// Apply makes the Plane carry what s says, whole or not at all. Any goroutine
// may call it while Run runs.
func (p *Plane) Apply(s snapshot.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.lanes {
		if err := l.apply(s); err != nil {
			for _, changed := range p.lanes[:i] {
				if p.applied == nil {
					break
				}
				if back := changed.apply(*p.applied); back != nil {
					p.log.Error("go back to the snapshot before", "lane", changed.n, "err", back)
				}
			}
			return err
		}
	}
	p.applied = &s
	return nil
}

// each runs f with every lane's engine, in turn, and returns the first error. Any
// goroutine may call it while Run runs.
func (p *Plane) each(f func(now mono.Time, e *Engine) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		err := ErrStopped
		l.worker.call(func(now mono.Time) { err = f(now, l.engine) })
		if err != nil {
			return err
		}
	}
	return nil
}

// PinRoute makes the route to a PoP go over the given relays (none is direct)
// while they are alive, UnpinRoute lets the PoP choose again. Any goroutine may
// call them while Run runs.
func (p *Plane) PinRoute(to string, via []string) error { return p.pin(to, via, true) }

// UnpinRoute is the opposite of PinRoute.
func (p *Plane) UnpinRoute(to string) error { return p.pin(to, nil, false) }

func (p *Plane) pin(to string, via []string, pin bool) error {
	return p.each(func(now mono.Time, e *Engine) error { return e.Pin(now, to, via, pin) })
}

// SetEndpointHealth takes in what asking an endpoint of a group that leaves here
// has shown: whether it is up, by the thresholds of its check, and how long the
// newest answer took, 0 when there is none. What was said holds until something
// else is. Any goroutine may call it while Run runs.
func (p *Plane) SetEndpointHealth(group string, endpoint netip.Addr, up bool, rtt time.Duration) error {
	return p.each(func(now mono.Time, e *Engine) error { return e.SetEndpointHealth(now, group, endpoint, up, rtt) })
}

// Report tells how the data plane is. Any goroutine may call it while Run
// runs; after that it is empty.
func (p *Plane) Report() (r report.PoP) {
	p.countEarly()
	var all []report.PoP
	_ = p.each(func(now mono.Time, e *Engine) error {
		all = append(all, e.Report(now, time.Now()))
		return nil
	})
	if len(all) == 0 {
		return r
	}
	r = mergeReports(all)
	r.Started, r.Uptime = p.started, time.Since(p.started).Seconds()
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Features = map[string]bool{}
	p.deviceFeatures(r.Features)
	for i, w := range p.workers {
		worker := report.Worker{ID: i}
		w.call(func(mono.Time) {
			worker.Packets, worker.Batches = w.packets, w.batches
			worker.PassedOn, worker.PassingLost = w.mailed, w.mailLost
			w.features(r.Features)
			w.portDrops(r.Drops)
		})
		for l := i; l < len(all); l += len(p.workers) {
			worker.Sessions += all[l].Sessions.Confirmed + all[l].Sessions.Unconfirmed
		}
		r.Workers = append(r.Workers, worker)
	}
	return r
}

// Run carries packets until ctx ends; then it closes everything and returns nil.
func (p *Plane) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(p.workers))
	for _, w := range p.workers {
		go func() { ended <- w.run(ctx) }()
	}
	var grown sync.WaitGroup
	grown.Go(func() { p.grow(ctx) })
	var err error
	for range p.workers {
		if e := <-ended; e != nil {
			err = errors.Join(err, e)
		}
		cancel() // one that fails ends all
	}
	grown.Wait()
	close(p.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeAll()
	return err
}

// grow makes the lanes that peers ask for.
func (p *Plane) grow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case want := <-p.wants:
			p.growTo(want)
		}
	}
}

func (p *Plane) growTo(lane uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lanes[0].worker.call(func(mono.Time) { // others are about to join its addresses
		for _, s := range p.lanes[0].shared {
			if err := s.Share(); err != nil {
				p.log.Error("begin a lane that a peer has", "err", err)
			}
		}
	})
	for len(p.lanes) <= int(lane) && len(p.lanes) < MaxLanes && p.applied != nil {
		if err := p.addLane(); err != nil {
			p.log.Error("begin a lane that a peer has", "lane", len(p.lanes)-1, "err", err)
			return
		}
		l := p.lanes[len(p.lanes)-1]
		if err := l.apply(*p.applied); err != nil {
			p.log.Error("begin a lane that a peer has", "lane", l.n, "err", err)
			return
		}
		p.log.Info("a peer has more lanes: began another", "lane", l.n)
	}
}

func (p *Plane) closeAll() {
	for _, l := range p.lanes {
		l.close()
	}
	p.closeDevices()
	for _, w := range p.workers {
		w.poller.Close()
	}
}
