// Package health asks the endpoints behind this PoP whether they live, and tells
// what comes of it. Each endpoint of a group that leaves here and has a health
// check is asked at the check's interval, from the group's egress IP, so that it
// meets the same firewalls as the traffic; so many answers or silences in a row
// (Threshold) make a verdict. What a verdict means for traffic is the data plane's
// business.
//
// One endpoint asked the same way for several groups is asked once. What cannot
// be asked because of this machine (no permission, the address is not here)
// counts for nothing.
package health

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"causeway/internal/snapshot"
)

// Target is one endpoint and how it is asked.
type Target struct {
	Endpoint netip.Addr
	Source   netip.Addr // what it is asked from
	Domain   string     // for the Host header and SNI of http and https; may be empty
	Check    snapshot.HealthCheck
}

// Tell takes a verdict on an endpoint of a group. rtt is that of the newest
// answer, 0 when there was none.
type Tell func(group string, endpoint netip.Addr, up bool, rtt time.Duration) error

// Monitor asks all endpoints of a PoP.
type Monitor struct {
	// Bears, when not nil, is told whether an endpoint that is asked by IKE accepts a
	// cookie that it has not asked for. Set it before Run.
	Bears func(group string, endpoint netip.Addr, bears bool)

	tell Tell
	log  *slog.Logger
	news chan struct{} // wanted has changed

	mu     sync.Mutex
	wanted map[Target][]string // the groups that want to know
	ikeAt  map[netip.Addr]time.Time
}

// New returns a Monitor that asks nobody yet.
func New(tell Tell, log *slog.Logger) *Monitor {
	return &Monitor{tell: tell, log: log, news: make(chan struct{}, 1), wanted: map[Target][]string{}, ikeAt: map[netip.Addr]time.Time{}}
}

// Set says whom to ask from now on: the endpoints of s that leave at its PoP and
// have a check. What is known of those that were asked before goes on, and is
// told again. Any goroutine may call it.
func (m *Monitor) Set(s snapshot.Snapshot) {
	wanted := Targets(s)
	m.mu.Lock()
	m.wanted = wanted
	clear(m.ikeAt)
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// Targets lists whom a PoP asks by its snapshot, and for which groups.
func Targets(s snapshot.Snapshot) map[Target][]string {
	list := map[Target][]string{}
	for _, g := range s.EndpointGroups {
		if g.PoP != s.PoP.Name || g.Health == nil {
			continue
		}
		for _, e := range g.Endpoints {
			t := Target{Endpoint: e.Address, Source: g.EgressIP.Bind, Domain: e.Domain, Check: g.Health.WithDefaults()}
			list[t] = append(list[t], g.Name)
		}
	}
	return list
}

// Run asks until ctx ends, and returns when all that it started has ended.
func (m *Monitor) Run(ctx context.Context) {
	running := map[Target]*asker{}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.news:
		}
		m.mu.Lock()
		wanted := m.wanted
		m.mu.Unlock()
		for t, a := range running {
			if _, still := wanted[t]; !still {
				a.stop()
				delete(running, t)
			}
		}
		for t := range wanted {
			if a := running[t]; a != nil {
				a.again()
				continue
			}
			own, stop := context.WithCancel(ctx)
			a := &asker{Target: t, m: m, probe: probeOf(t), stop: stop, retell: make(chan struct{}, 1), verdict: NewThreshold(t.Check.Up, t.Check.Down)}
			running[t] = a
			all.Go(func() { a.run(own) })
		}
	}
}

// ikeGap is the least time between two IKE probes to one endpoint, for however
// many groups and from however many addresses it is asked.
const ikeGap = time.Second

// turn waits until an endpoint may be asked by IKE again. It reports whether ctx
// is still on.
func (m *Monitor) turn(ctx context.Context, endpoint netip.Addr) bool {
	m.mu.Lock()
	now := time.Now()
	at := m.ikeAt[endpoint]
	if at.Before(now) {
		at = now
	}
	m.ikeAt[endpoint] = at.Add(ikeGap)
	m.mu.Unlock()
	return pause(ctx, at.Sub(now))
}

// groupsOf are those that want to know about a target now.
func (m *Monitor) groupsOf(t Target) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted[t]
}

// asker asks one endpoint.
type asker struct {
	Target
	m      *Monitor
	probe  Probe
	stop   context.CancelFunc
	retell chan struct{}

	verdict Threshold
	rtt     time.Duration
	toldAt  time.Time
	why     string    // of the newest silence
	barred  bool      // the newest probe could not be sent
	bears   bool      // it accepts a cookie that it has not asked for
	bearsAt time.Time // when that was found out; zero: it was not
}

// retellEvery is how old what was told may be: the round-trip time changes.
const retellEvery = 10 * time.Second

func (a *asker) run(ctx context.Context) {
	defer a.stop()
	// Not all at once after a start, and not in step with other PoPs ever after.
	timer := time.NewTimer(rand.N(min(a.Check.Interval, time.Second)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.retell:
			a.say()
			a.sayBears()
			continue
		case <-timer.C:
		}
		if a.Check.Probe == snapshot.ProbeIKE && !a.m.turn(ctx, a.Endpoint) {
			return
		}
		began := time.Now()
		a.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		if !a.askBears(ctx) {
			return
		}
		wait := a.Check.Interval + rand.N(a.Check.Interval/10+1) - time.Since(began)
		timer.Reset(max(wait, 0))
	}
}

// ask sends one probe and makes of it what is to be made.
func (a *asker) ask(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, a.Check.Timeout)
	defer cancel()
	rtt, err := a.probe(limited, a.Target)
	if ctx.Err() != nil {
		return
	}
	var here *BarredError
	if errors.As(err, &here) {
		if !a.barred {
			a.m.log.Warn("an endpoint cannot be asked whether it lives, so it counts as before", "endpoint", a.Endpoint, "probe", a.Check.Probe, "reason", err)
		}
		a.barred = true
		return
	}
	a.barred, a.rtt = false, rtt
	if err != nil {
		a.rtt, a.why = 0, err.Error()
	}
	changed := a.verdict.See(err == nil)
	if changed && a.verdict.Known() {
		if a.verdict.Up() {
			a.m.log.Info("endpoint is up", "endpoint", a.Endpoint, "probe", a.Check.Probe, "rtt", rtt)
		} else {
			a.m.log.Warn("endpoint is down", "endpoint", a.Endpoint, "probe", a.Check.Probe, "reason", a.why)
		}
	}
	if changed || time.Since(a.toldAt) >= retellEvery {
		a.say()
	}
}

// bearsEvery is how often an endpoint that is up is asked with a cookie.
const bearsEvery = 10 * time.Minute

// askBears finds out what Monitor.Bears wants to know, when it is time, by a probe
// of its own that counts for nothing else. It reports whether ctx is still on.
func (a *asker) askBears(ctx context.Context) bool {
	if a.m.Bears == nil || a.Check.Probe != snapshot.ProbeIKE || !a.verdict.Known() || !a.verdict.Up() || !a.bearsAt.IsZero() && time.Since(a.bearsAt) < bearsEvery {
		return true
	}
	if !a.m.turn(ctx, a.Endpoint) {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, a.Check.Timeout)
	defer cancel()
	bears, known := ikeBears(limited, a.Target)
	if ctx.Err() != nil {
		return false
	}
	if known {
		a.bears = bears
	} else {
		a.bears = a.bears && !a.bearsAt.IsZero() // nothing new
	}
	a.bearsAt = time.Now()
	a.sayBears()
	return true
}

func (a *asker) sayBears() {
	if a.m.Bears == nil || a.bearsAt.IsZero() {
		return
	}
	for _, group := range a.m.groupsOf(a.Target) {
		a.m.Bears(group, a.Endpoint, a.bears)
	}
}

// say tells the verdict to all groups, if there is one.
func (a *asker) say() {
	if !a.verdict.Known() {
		return
	}
	a.toldAt = time.Now()
	for _, group := range a.m.groupsOf(a.Target) {
		if err := a.m.tell(group, a.Endpoint, a.verdict.Up(), a.rtt); err != nil {
			a.m.log.Debug("verdict on an endpoint was not taken", "endpoint", a.Endpoint, "endpoint_group", group, "reason", err)
		}
	}
}

// again has the verdict told once more.
func (a *asker) again() {
	select {
	case a.retell <- struct{}{}:
	default:
	}
}

// pause sleeps and reports whether ctx is still on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
