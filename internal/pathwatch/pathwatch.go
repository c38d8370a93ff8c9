// Package pathwatch asks the PoPs that this PoP's listeners send to, once a second
// each, on two ways: over the Internet alone by ICMP, with the routers between,
// and through the overlay by Echo frames, repaired as the listener's packets are.
// The two side by side are before and after: what an accelerator is worth, all
// the time and for every hour that lies back (package history).
//
// It measures between PoPs, and does not see the stretches from a client to its
// PoP and from a PoP to the endpoint: those are the same before and after.
package pathwatch

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/history"
	"causeway/internal/report"
	"causeway/internal/trace"
)

const (
	// most is how many PoPs are asked at the most.
	most = 32
	// patience is how long an answer may take; later ones count as lost.
	patience = 3 * time.Second
	// settleAfter is how old a second is when its probes are written down: all
	// of them have been answered or given up.
	settleAfter = patience + 2*time.Second
	// size is the payload of an Echo: about that of a small packet in ESP.
	size = 100
	// maxHops is how far routers are looked for.
	maxHops = 24
)

// EchoFunc sends an Echo through the overlay (dataplane.Plane has it).
type EchoFunc func(ctx context.Context, to string, over []string, size int, mode uint8) (time.Duration, error)

// Watcher asks. Its fields are set before Start.
type Watcher struct {
	Echo    EchoFunc
	History *history.Store // where every probe is kept; nil: nowhere
	Plain   bool           // also ask over the Internet alone; needs CAP_NET_RAW
	Log     *slog.Logger

	// Watch stands for trace.Watch in tests, every for a second.
	watch func(context.Context, trace.Watching, func(trace.Settled)) error
	every time.Duration

	mu      sync.Mutex // guards what is below
	ctx     context.Context
	running sync.WaitGroup
	name    string // of this PoP
	paths   map[string]*path
	said    bool // that plain paths cannot be asked
}

// Start lets Look begin to ask, until ctx ends.
func (w *Watcher) Start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watch == nil {
		w.watch = trace.Watch
	}
	w.every = cmp.Or(w.every, time.Second)
	w.ctx, w.paths = ctx, map[string]*path{}
}

// Wait returns when nobody is asked any more, after the end of Start's context.
func (w *Watcher) Wait() {
	w.running.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.paths {
		w.write(p, time.Now().Add(time.Hour))
	}
	w.ctx = nil
}

// target is a PoP to ask.
type target struct {
	to   string
	addr netip.Addr // invalid: only through the overlay
	mode uint8
}

// targetsOf returns whom to ask: the PoPs that listeners send to, by name.
func targetsOf(p report.PoP) []target {
	found := map[string]target{}
	for _, l := range p.Listeners {
		for _, g := range l.Groups {
			if g.Egress == p.Name || g.Egress == "" {
				continue
			}
			if _, known := found[g.Egress]; !known {
				mode, _ := repair.ParseMode(l.Repair) // of the first listener that sends there
				found[g.Egress] = target{to: g.Egress, mode: uint8(mode)}
			}
		}
	}
	for _, s := range p.Segments {
		t, wanted := found[s.Peer]
		for _, wire := range s.Wires {
			if wanted && s.Through == "" && !t.addr.IsValid() && wire.Remote.Addr().Unmap().Is4() {
				t.addr = wire.Remote.Addr().Unmap()
				found[s.Peer] = t
			}
		}
	}
	list := make([]target, 0, len(found))
	for _, t := range found {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b target) int { return cmp.Compare(a.to, b.to) })
	return list[:min(len(list), most)]
}

// Look makes those be asked that a report says listeners send to.
func (w *Watcher) Look(p report.PoP) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	w.name = p.Name
	wanted := map[string]bool{}
	for _, t := range targetsOf(p) {
		wanted[t.to] = true
		if old := w.paths[t.to]; old != nil && old.target == t {
			continue
		} else if old != nil {
			old.stop()
			w.write(old, time.Now().Add(time.Hour))
		}
		w.begin(t)
	}
	for to, old := range w.paths {
		if !wanted[to] {
			old.stop()
			w.write(old, time.Now().Add(time.Hour))
			delete(w.paths, to)
		}
	}
	for _, one := range w.paths {
		w.write(one, time.Now().Add(-settleAfter))
	}
}

// begin starts to ask one PoP.
func (w *Watcher) begin(t target) {
	ctx, stop := context.WithCancel(w.ctx)
	one := newPath(t, stop)
	w.paths[t.to] = one
	w.running.Go(func() { w.askThrough(ctx, one) })
	if w.Plain && t.addr.IsValid() {
		w.running.Go(func() { w.askPlain(ctx, one) })
	}
}

// askPlain asks over the Internet alone.
func (w *Watcher) askPlain(ctx context.Context, p *path) {
	err := w.watch(ctx, trace.Watching{Target: p.addr, Interval: w.every, Timeout: patience, MaxHops: maxHops}, func(s trace.Settled) {
		if s.TTL > 0 {
			p.hop(s)
			return
		}
		p.settle(&p.plain, s.At, s.RTT)
	})
	if err == nil || ctx.Err() != nil {
		return
	}
	p.problem(&p.plain, err.Error())
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.said {
		w.said = true
		w.Log.Warn("plain paths cannot be asked, so reports have no 'before'; give the PoP the capability CAP_NET_RAW", "reason", err)
	}
}

// askThrough asks through the overlay.
func (w *Watcher) askThrough(ctx context.Context, p *path) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		under.Go(func() {
			one, done := context.WithTimeout(ctx, patience)
			defer done()
			sent := time.Now()
			rtt, err := w.Echo(one, p.to, nil, size, p.mode)
			switch {
			case ctx.Err() != nil:
				return // it was stopped, not lost
			case err != nil:
				rtt = trace.Lost
			}
			p.settle(&p.accelerated, sent, rtt)
		})
	}
}

// write keeps the seconds until then.
func (w *Watcher) write(p *path, until time.Time) {
	for _, s := range []struct {
		kind string
		side *side
	}{{"plain", &p.plain}, {"accelerated", &p.accelerated}} {
		w.keep(history.Key{PoP: w.name, Kind: s.kind, Name: p.to}, p.take(&s.side.seconds, until))
	}
	p.mu.Lock()
	hops := make([]*hop, 0, len(p.hops))
	for _, h := range p.hops {
		hops = append(hops, h)
	}
	p.mu.Unlock()
	for _, h := range hops {
		w.keep(history.Key{PoP: w.name, Kind: "hop", Name: HopName(p.to, h.ttl, h.host)}, p.take(&h.seconds, until))
	}
}

func (w *Watcher) keep(k history.Key, rows []second) {
	if w.History == nil {
		return
	}
	for _, s := range rows {
		if err := w.History.Add(k, time.Unix(s.at, 0), s.row()); err != nil {
			w.Log.Debug("a probe is not kept", "series", k, "reason", err)
			return
		}
	}
}

// Amend adds what was seen to a report.
func (w *Watcher) Amend(p *report.PoP) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.paths {
		p.Paths = append(p.Paths, one.report())
	}
	slices.SortFunc(p.Paths, func(a, b report.Path) int { return cmp.Compare(a.To, b.To) })
}
