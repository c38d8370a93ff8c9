package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"causeway/internal/lab/gateway"
	labreport "causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/report"
	"causeway/internal/trace"
	"causeway/internal/weather"
)

// Plan is how long and how often to probe.
type Plan struct {
	Interval time.Duration
	Count    int // probes per tunnel
}

// Duration is how long the plan's probes take.
func (p Plan) Duration() time.Duration { return time.Duration(p.Count) * p.Interval }

// Measurement is everything a run saw, raw.
type Measurement struct {
	Plan   Plan
	Start  time.Time
	Traces map[string]*trace.Result // by tunnel
	Before map[string]gateway.SA    // by tunnel, before the first probe
	After  map[string]gateway.SA
	Tally  map[string]gateway.Tally // by tunnel, what both ends' logs say of the time of the probes
	Whole  map[string]gateway.Tally // the same of the lab's whole time
	Done   []Done                   // the script, as it went
	Iperf  []IperfResult
	// Gateways is the round trip through the direct tunnel with its path made a
	// perfect wire: what gateways, hosts and emulator take on this machine, with
	// no network between them. Zero where there is no direct tunnel.
	Gateways time.Duration
	WAN      wan.Stats             // over the probes
	Begin    map[string]report.PoP // what the PoPs said before the first probe
	PoPs     map[string]report.PoP // and after the last
	Stopped  error                 // why it was cut short
	Control  *labreport.Control    // nil without a controller
}

// Measure probes all tunnels at once, follows the script meanwhile, and runs
// iperf3 afterwards. What was seen until ctx ended is returned too.
func (l *Lab) Measure(ctx context.Context, p Plan) (*Measurement, error) {
	m := &Measurement{Plan: p, Traces: map[string]*trace.Result{}}
	sleep(ctx, l.Scenario.Measure.Warmup)
	m.Before = l.tunnelSAs(ctx)
	w, err := l.wan(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if m.Gateways, err = l.gatewayTime(ctx, w); err != nil {
		return nil, err
	}
	m.Begin = l.popReports(ctx)
	marks := l.mark(ctx)
	if m.Start, err = w.Start(ctx); err != nil {
		return nil, err
	}
	l.say.Step("probing %d tunnels, %d times every %v", len(l.Scenario.Tunnels), p.Count, p.Interval)
	if err := l.probeAll(ctx, p, m); err != nil {
		return nil, err
	}
	m.Stopped = context.Cause(ctx)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if m.WAN, err = w.Stats(after, true); err != nil {
		return nil, err
	}
	m.PoPs, m.After = l.popReports(after), l.tunnelSAs(after)
	m.Control = l.controlPart(after, m)
	if m.Tally, err = l.tallies(after, marks); err != nil {
		return nil, err
	}
	if m.Whole, err = l.tallies(after, nil); err != nil {
		return nil, err
	}
	for _, i := range l.Scenario.Measure.Iperf {
		for _, t := range l.Scenario.Tunnels {
			if ctx.Err() == nil && !i.During && compared(t.Name) {
				m.Iperf = append(m.Iperf, l.iperf(ctx, t, i))
			}
		}
	}
	return m, nil
}

// gatewayTime measures Measurement.Gateways: it makes the direct path a perfect
// wire for half a second.
func (l *Lab) gatewayTime(ctx context.Context, w *wan.Client) (time.Duration, error) {
	t, ok := l.Scenario.Tunnel(scenario.Direct)
	if !ok {
		return 0, nil
	}
	way := wayOf(l.Scenario, t)
	links := append(linksOf(l.Scenario, way), linksOf(l.Scenario, reversed(way))...)
	for _, k := range links {
		if err := w.Set(ctx, k.From, k.To, weather.Profile{}, nil); err != nil {
			return 0, err
		}
	}
	c := l.probing(t, Plan{Interval: 10 * time.Millisecond, Count: 40}, nil)
	c.MaxHops, c.Timeout = 0, time.Second
	r, err := trace.Run(ctx, c)
	for _, k := range links {
		err = errors.Join(err, w.Set(ctx, k.From, k.To, k.Profile, &k.Schedule))
	}
	if err != nil {
		return 0, err
	}
	return medianOf(r.Target), nil
}

// medianOf is the median round trip of a row; 0 when nobody answered.
func medianOf(row trace.Row) time.Duration {
	side := labreport.NewSide(probesOf(row))
	if side.RTT == nil {
		return 0
	}
	return time.Duration(side.RTT.P50 * float64(time.Millisecond))
}

// compared reports whether the report shows the tunnel.
func compared(tunnel string) bool {
	return tunnel == scenario.Direct || tunnel == scenario.Accelerated
}

// probeAll probes every tunnel while the script and its loads go on.
func (l *Lab) probeAll(ctx context.Context, p Plan, m *Measurement) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loads sync.WaitGroup
	loads.Go(func() { m.Done = l.follow(ctx, time.Now()) })
	var during []IperfResult
	if t, ok := l.Scenario.Tunnel(scenario.Accelerated); ok {
		loads.Go(func() {
			for _, i := range l.Scenario.Measure.Iperf {
				if i.During && ctx.Err() == nil {
					during = append(during, l.iperf(ctx, t, i))
				}
			}
		})
	}
	err := l.probe(ctx, p, l.Scenario.Tunnels, m)
	if err != nil {
		cancel()
	}
	loads.Wait()
	m.Iperf = during
	return err
}

// probe runs a prober for each tunnel, all at once.
func (l *Lab) probe(ctx context.Context, p Plan, tunnels []scenario.Tunnel, m *Measurement) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	live := newBoard(l.say, p.Count, len(tunnels))
	for _, t := range tunnels {
		all.Go(func() {
			r, err := trace.Run(ctx, l.probing(t, p, func(v trace.Live) { live.show(t.Name, v) }))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				cancel()
			}
			m.Traces[t.Name] = r
		})
	}
	all.Wait()
	l.say.Done()
	return failed
}

// probing is the prober's configuration for a tunnel.
func (l *Lab) probing(t scenario.Tunnel, p Plan, progress func(trace.Live)) trace.Config {
	return trace.Config{
		Source: t.From.HostIP(), Target: t.To.HostIP(),
		Interval: p.Interval, Count: p.Count, Size: l.Scenario.Measure.Size,
		MaxHops: 4, In: l.nodes[scenario.HostNode(t.From.Site)].Do, Progress: progress,
	}
}

// tunnelSAs returns the SA of every tunnel that is up, as its initiator sees it.
func (l *Lab) tunnelSAs(ctx context.Context) map[string]gateway.SA {
	sas := map[string]gateway.SA{}
	for _, t := range l.Scenario.Tunnels {
		if sa, _, err := l.initiator(t).Up(ctx, t.Name); err == nil {
			sas[t.Name] = sa
		}
	}
	return sas
}

// mark notes where each gateway is now.
func (l *Lab) mark(ctx context.Context) map[string]gateway.Mark {
	marks := map[string]gateway.Mark{}
	for name, g := range l.gateways {
		marks[name] = g.Mark(ctx)
	}
	return marks
}

// tallies counts what both ends of each tunnel tell since.
func (l *Lab) tallies(ctx context.Context, since map[string]gateway.Mark) (map[string]gateway.Tally, error) {
	all := map[string]gateway.Tally{}
	for _, t := range l.Scenario.Tunnels {
		var both gateway.Tally
		for _, e := range []scenario.TunnelEnd{t.From, t.To} {
			node := scenario.GatewayNode(e.Site)
			one, err := l.gateways[node].TallySince(ctx, since[node], t.Name)
			if err != nil {
				return nil, fmt.Errorf("gateway %s: %w", node, err)
			}
			both = both.With(one)
		}
		all[t.Name] = both
	}
	return all, nil
}

// board is the changing line while probes run.
type board struct {
	say  *Progress
	of   int
	mu   sync.Mutex
	last map[string]trace.Live
}

func newBoard(say *Progress, of, tunnels int) *board {
	return &board{say: say, of: of, last: make(map[string]trace.Live, tunnels)}
}

func (b *board) show(tunnel string, v trace.Live) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[tunnel] = v
	line := fmt.Sprintf("%d of %d", v.Sent, b.of)
	for _, name := range slices.Sorted(maps.Keys(b.last)) {
		v := b.last[name]
		loss := 0.0
		if v.Sent > 0 {
			loss = 100 * (1 - float64(min(v.Received, v.Sent))/float64(v.Sent))
		}
		line += fmt.Sprintf("   %s: loss %.1f %%, last %.1f ms", name, loss, float64(v.Last)/1e6)
	}
	b.say.Live("%s", line)
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
