package vpngw

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/charon"
	"causeway/internal/vpngw/failover"
	"causeway/internal/vpngw/netroute"
	"causeway/internal/vpngw/swan"
)

// Times of the engine.
const (
	every        = 500 * time.Millisecond  // between turns
	watchful     = 250 * time.Millisecond  // between turns while there are two tunnels to choose from
	hurry        = 50 * time.Millisecond   // between turns while charon is not up
	gather       = 20 * time.Millisecond   // that events are gathered before a turn
	answerWithin = 1200 * time.Millisecond // that charon has for one answer
	stale        = 2 * time.Second         // after which what charon said counts no more
)

// engine is a running gateway. All its fields but the ones below mu are the
// engine's goroutine's alone.
type engine struct {
	log    *slog.Logger
	clock  mono.Clock
	daemon daemon
	swan   swan.Client
	net    *netroute.Net // nil: routes are not ours (tests)
	kernel bool          // the kernel does ESP
	stable time.Duration // see failover.Choice

	snapshot     snapshot.Gateway
	connections  []*connection
	credentials  swan.Credentials // that charon has
	unloaded     bool             // charon does not have all of the snapshot yet
	hide         hider
	book         logbook
	care         care   // of the daemon
	places       uint64 // given out to tunnels
	routes       []report.VPNRoute
	routeTrouble string

	events   chan swan.Event
	requests chan func(ctx context.Context)
	wake     func() // has a report sent now
	news     bool   // that there is something to tell

	mu        sync.Mutex
	told      report.Gateway // guarded by mu, as is all below
	looked    time.Time      // when charon last answered
	diagnosed []vpn.Connection
	masked    hider
}

// daemon is charon's process; a test has one without a process.
type daemon interface {
	Adopt() bool
	Start() error
	Kill()
	Alive() bool
	Gone() <-chan struct{}
	PID() int
	LastWords() string
	GrowReceiveBuffers()
}

var _ daemon = (*charon.Daemon)(nil)

// connection is an IPsec connection at work.
type connection struct {
	planned
	tunnels []*tunnel
	choice  failover.Choice
	active  []string // tunnels that carry its traffic
	state   string
	since   time.Time
	check   *checker  // nil: it is not checked
	health  string    // "", "up", "down"
	topAt   mono.Time // when the tunnel to be used may next be put first
	tops    int       // times that this was done lately
}

// tunnel is a tunnel at work.
type tunnel struct {
	swan.Tunnel
	connection string
	loaded     string // digest of what charon has; "": nothing
	proof      string // likewise, of its key or certificates
	sas        []swan.SA
	life       failover.Life
	state      string
	since      time.Time
	packetsIn  map[uint64]uint64    // by child
	packetsOut uint64               // of all children
	place      uint64               // the larger, the later it was established; see sender
	lastFrom   map[string]time.Time // by SPI of a child
	remade     mono.Time            // until when its child is expected back, that was ended to be made anew
	renewed    mono.Time            // when its IKE SA was renewed last
	going      mono.Time            // since when its only IKE SA is on its way out
	failed     mono.Time            // until when a health check's failure counts
	held       bool                 // somebody took it down and wants it so
	tryAt      mono.Time            // when it may next be initiated
	tries      int                  // in vain

	ikeRekeys, espRekeys, dpdTimeouts, ups uint64
}

// run takes turns until ctx ends.
func (e *engine) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			e.turn(ctx)
			timer.Reset(e.pause())
		case <-e.daemon.Gone():
			if e.care.up || e.care.starting {
				e.turn(ctx)
				timer.Reset(e.pause())
				continue
			}
			select { // it stays gone: wait for the time to start it
			case <-ctx.Done():
				return
			case <-timer.C:
				e.turn(ctx)
				timer.Reset(e.pause())
			}
		case v := <-e.events:
			if e.hear(v) {
				timer.Reset(gather)
			}
		case r := <-e.requests:
			r(ctx)
			timer.Reset(0)
		}
	}
}

func (e *engine) pause() time.Duration {
	if !e.care.up {
		return hurry
	}
	for _, c := range e.connections {
		if len(c.tunnels) > 1 {
			return watchful
		}
	}
	return every
}

// turn looks, judges and acts once.
func (e *engine) turn(ctx context.Context) {
	now := e.clock.Now()
	e.attend(ctx, now)
	if e.care.up {
		e.look(ctx, now)
	}
	e.judge(now)
	if e.care.up && e.care.quiet.IsZero() {
		e.act(ctx, now)
	}
	e.syncRoutes()
	e.tell()
	if e.news {
		e.news = false
		e.wake()
	}
}

// do has f called between two turns, and waits for it.
func (e *engine) do(ctx context.Context, f func(ctx context.Context)) error {
	done := make(chan struct{})
	select {
	case e.requests <- func(ctx context.Context) { defer close(done); f(ctx) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take makes a snapshot the one to be done. What tunnels have been through is
// kept where their names stay.
func (e *engine) take(g snapshot.Gateway) {
	old := map[string]*connection{}
	tunnels := map[string]*tunnel{}
	for _, c := range e.connections {
		old[c.Name] = c
		for _, t := range c.tunnels {
			tunnels[t.Name] = t
		}
	}
	e.snapshot, e.hide, e.unloaded = g, newHider(g), true
	e.connections = nil
	for _, p := range plan(g, e.kernel) {
		c := &connection{choice: failover.Choice{Stable: e.stable}, state: report.IKENotEstablished, since: time.Now()}
		if before := old[p.Name]; before != nil {
			c = before
			delete(old, p.Name)
		}
		c.planned = p
		c.tunnels = nil
		for _, s := range p.tunnels {
			t := tunnels[s.Name]
			if t == nil {
				t = &tunnel{state: report.IKENotEstablished, since: time.Now(), packetsIn: map[uint64]uint64{}, lastFrom: map[string]time.Time{}}
				if s.Local.ID > s.Remote.ID { // of two ends that both begin, one waits a little
					t.tryAt = e.clock.Now().Add(1500 * time.Millisecond)
				}
			}
			if t.loaded != s.Digest() || t.proof != s.Proof() {
				t.held, t.tries = false, 0
			}
			t.Tunnel, t.connection = s, p.Name
			c.tunnels = append(c.tunnels, t)
		}
		e.watchHealth(c)
		e.connections = append(e.connections, c)
	}
	for _, c := range old {
		c.check.stop()
	}
}

// hear takes an event, and reports whether a turn should come soon.
func (e *engine) hear(v swan.Event) bool {
	now, soon := e.clock.Now(), false
	for _, name := range v.Tunnels {
		t := e.tunnel(name)
		if t == nil {
			continue
		}
		switch v.Kind {
		case "ike-updown":
			if v.Up {
				t.ups++
				t.life.Hear(now)
				t.place = e.nextPlace()
			}
		case "ike-rekey":
			t.ikeRekeys++
			t.renewed = now
			t.life.Hear(now)
		case "child-rekey":
			t.espRekeys++
			t.life.Hear(now)
		case "child-updown":
			if v.Up {
				t.life.Hear(now)
				t.place = e.nextPlace()
			}
		case "log":
			soon = t.read(v.Text, now)
		}
	}
	if v.Kind == "log" {
		e.book.add(v, e.hide)
		return soon
	}
	return true
}

// read draws from a line of the log whether the peer is alive. It reports whether
// there may be something to do.
func (t *tunnel) read(line string, now mono.Time) bool {
	switch {
	case repeated.MatchString(line):
		t.life.Ask()
		return true
	case gaveUp.MatchString(line) && t.state == report.IPsecEstablished:
		t.dpdTimeouts++
	case heard.MatchString(line):
		t.life.Hear(now)
	}
	return false
}

func (e *engine) tunnel(name string) *tunnel {
	for _, c := range e.connections {
		for _, t := range c.tunnels {
			if t.Name == name {
				return t
			}
		}
	}
	return nil
}

// poke has a report sent when this turn's is written.
func (e *engine) poke() { e.news = true }

// find returns a connection by its name, or by that of one of its tunnels: then
// that one alone is meant.
func (e *engine) named(name string) ([]*tunnel, error) {
	var all []string
	for _, c := range e.connections {
		if c.Name == name {
			return c.tunnels, nil
		}
		all = append(all, c.Name)
	}
	if t := e.tunnel(name); t != nil {
		return []*tunnel{t}, nil
	}
	slices.Sort(all)
	return nil, fmt.Errorf("there is no connection %q: %w; there are: %v", name, os.ErrNotExist, all)
}
