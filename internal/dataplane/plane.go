package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"time"

	crand "crypto/rand"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
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
}

// Plane is a PoP's data plane on real sockets: one Engine and the loop that
// feeds it. A packet is read, carried the whole way and written by that one
// goroutine; Apply and Report are calls into it.
type Plane struct {
	engine *Engine
	poller *udpio.Poller
	conns  map[uint64]*udpio.Conn
	file   *session.File
	clock  mono.Clock
	room   udpio.SendRoom // all sockets share it
	calls  chan func(now mono.Time)
	done   chan struct{}
	log    *slog.Logger

	started time.Time
	batches uint64
	packets uint64
}

// sessionRoom is how many sessions the file on disk has room for; it is sparse.
const sessionRoom = 1 << 20

// New returns a Plane that carries nothing until Apply, and nothing moves until Run.
func New(cfg Config) (*Plane, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Plane{
		clock: mono.NewClock(), log: cfg.Log, started: time.Now(),
		conns: map[uint64]*udpio.Conn{}, calls: make(chan func(mono.Time)), done: make(chan struct{}),
	}
	var store session.Store
	if cfg.StateDir != "" {
		file, setAside, err := session.OpenFile(filepath.Join(cfg.StateDir, "sessions"), sessionRoom)
		if err != nil {
			return nil, err
		}
		if setAside {
			cfg.Log.Warn("session file of another format was set aside", "file", filepath.Join(cfg.StateDir, "sessions.old"))
		}
		p.file, store = file, file
	}
	poller, err := udpio.NewPoller()
	if err != nil {
		p.closeFile()
		return nil, fmt.Errorf("data plane: %w", err)
	}
	p.poller = poller
	random, err := newRandom()
	if err != nil {
		p.closeFile()
		return nil, err
	}
	p.engine = NewEngine(EngineConfig{Key: cfg.Key, Network: p, Store: store, Log: cfg.Log, Random: random})
	return p, nil
}

func newRandom() (func() uint64, error) {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("data plane: read random seed: %w", err)
	}
	return rand.New(rand.NewChaCha8(seed)).Uint64, nil
}

// Listen implements Network for the Engine.
func (p *Plane) Listen(addr netip.AddrPort, use Use, token uint64) (Socket, error) {
	c, err := udpio.Listen(addr, udpio.Options{MayFragment: use == Edge, Room: &p.room})
	if err != nil {
		return nil, err
	}
	if err := p.poller.Add(c, token); err != nil {
		c.Close()
		return nil, err
	}
	p.conns[token] = c
	return &planeSocket{Conn: c, plane: p, token: token}, nil
}

type planeSocket struct {
	*udpio.Conn
	plane *Plane
	token uint64
}

// Close stops polling the socket and closes it.
func (s *planeSocket) Close() error {
	delete(s.plane.conns, s.token)
	return errors.Join(s.plane.poller.Remove(s.Conn), s.Conn.Close())
}

// ErrStopped is what Apply returns when the Plane no longer runs.
var ErrStopped = errors.New("data plane has stopped")

// Apply makes the Plane carry what s says, whole or not at all. Any goroutine
// may call it while Run runs.
func (p *Plane) Apply(s snapshot.Snapshot) error {
	err := ErrStopped
	p.call(func(now mono.Time) { err = p.engine.Apply(now, s) })
	return err
}

// PinRoute makes the route to a PoP go over the given relays (none is direct)
// while they are alive, UnpinRoute lets the PoP choose again. Any goroutine may
// call them while Run runs.
func (p *Plane) PinRoute(to string, via []string) error { return p.pin(to, via, true) }

// UnpinRoute is the opposite of PinRoute.
func (p *Plane) UnpinRoute(to string) error { return p.pin(to, nil, false) }

func (p *Plane) pin(to string, via []string, pin bool) error {
	err := ErrStopped
	p.call(func(now mono.Time) { err = p.engine.Pin(now, to, via, pin) })
	return err
}

// SetEndpointHealth takes in what asking an endpoint of a group that leaves here
// has shown: whether it is up, by the thresholds of its check, and how long the
// newest answer took, 0 when there is none. What was said holds until something
// else is. Any goroutine may call it while Run runs.
func (p *Plane) SetEndpointHealth(group string, endpoint netip.Addr, up bool, rtt time.Duration) error {
	err := ErrStopped
	p.call(func(now mono.Time) { err = p.engine.SetEndpointHealth(now, group, endpoint, up, rtt) })
	return err
}

// Report tells how the data plane is. Any goroutine may call it while Run
// runs; after that it is empty.
func (p *Plane) Report() (r report.PoP) {
	p.call(func(now mono.Time) {
		r = p.engine.Report(now, time.Now())
		r.Started, r.Uptime = p.started, time.Since(p.started).Seconds()
		r.Workers = []report.Worker{{Packets: p.packets, Batches: p.batches, Sessions: r.Sessions.Confirmed + r.Sessions.Unconfirmed}}
		r.Features = p.features()
	})
	return r
}

// features says what the kernel grants to the sockets.
func (p *Plane) features() map[string]bool {
	f := map[string]bool{}
	for _, c := range p.conns {
		have := c.Features()
		f["udp_gro"], f["udp_gso"], f["ecn"] = have.GRO, have.GSO, have.TOS
	}
	return f
}

// call runs f in the loop and waits for it.
func (p *Plane) call(f func(mono.Time)) {
	ran := make(chan struct{})
	wrapped := func(now mono.Time) {
		f(now)
		close(ran)
	}
	// The loop may be asleep in the poller: wake it until it has taken the call.
	for {
		p.poller.Wake()
		select {
		case p.calls <- wrapped:
			<-ran
			return
		case <-p.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// readBatch is how many receives one system call takes.
const readBatch = 64

// holdBytes is how much may wait before it is written: it ought to stay in the
// processor's cache.
const holdBytes = 128 << 10

// Reading this many rounds from one socket before the next keeps one busy
// socket from starving the others.
const readRounds = 4

// Run carries packets until ctx ends; then it closes everything and returns nil.
func (p *Plane) Run(ctx context.Context) error {
	defer p.close()
	stop := context.AfterFunc(ctx, p.poller.Wake)
	defer stop()
	var batches [readRounds]*udpio.Batch
	for i := range batches {
		batches[i] = udpio.NewBatch(readBatch)
	}
	ready := make([]uint64, 256)
	for ctx.Err() == nil {
		n, err := p.poller.Wait(p.patience(), ready)
		if err != nil {
			return fmt.Errorf("data plane: wait for packets: %w", err)
		}
		now := p.clock.Now()
		for _, token := range ready[:n] {
			now = p.drain(now, token, &batches)
		}
		p.engine.Due(now)
		p.engine.Flush(now)
		p.answer(now)
	}
	return nil
}

// drain carries what has arrived on one socket. It writes when some has gathered:
// then each of many sockets on the way out has several packets to send at once.
func (p *Plane) drain(now mono.Time, token uint64, batches *[readRounds]*udpio.Batch) mono.Time {
	held := 0 // bytes that wait for Flush, and with it the batches they are in
	for _, batch := range batches {
		conn := p.conns[token]
		if conn == nil {
			break // closed by what came before
		}
		n, err := conn.Read(batch)
		if err != nil || n == 0 {
			break
		}
		p.batches++
		p.packets += uint64(n)
		p.engine.Receive(now, token, batch.Messages[:n])
		for i := range batch.Messages[:n] {
			held += len(batch.Messages[i].Data)
		}
		if held >= holdBytes {
			p.engine.Flush(now)
			now, held = p.clock.Now(), 0
		}
		if n < readBatch { // the socket is empty
			break
		}
	}
	p.engine.Flush(now)
	return p.clock.Now()
}

// answer runs a call that waits, if there is one.
func (p *Plane) answer(now mono.Time) {
	select {
	case f := <-p.calls:
		f(now)
		p.engine.Flush(now)
	default:
	}
}

// patience is how long to sleep unless something arrives.
func (p *Plane) patience() time.Duration {
	next := p.engine.NextDue()
	if next == 0 {
		return time.Second
	}
	return min(max(next.Sub(p.clock.Now()), 0), time.Second)
}

func (p *Plane) close() {
	close(p.done)
	p.engine.Close()
	p.poller.Close()
	p.closeFile()
}

func (p *Plane) closeFile() {
	if p.file == nil {
		return
	}
	if err := p.file.Close(); err != nil {
		p.log.Error("close session file", "err", err)
	}
	p.file = nil
}
