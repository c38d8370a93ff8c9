package trace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Watching says what to watch. Target is needed, and IPv4.
type Watching struct {
	Source    netip.Addr    // address to send from; the zero value lets the system choose
	Target    netip.Addr    // host whose loss and delay are wanted
	Interval  time.Duration // between two probes of the target; default 1 s
	Timeout   time.Duration // an answer later than this is a loss; default 3 s
	MaxHops   int           // highest TTL tried; 0: routers are not probed
	HopsEvery time.Duration // between two probes of the same router; default 10 s
}

// Settled is a probe that was answered, or given up.
type Settled struct {
	TTL  int        // 0: the target itself
	Host netip.Addr // who answered; invalid when nobody did
	At   time.Time  // when it was sent
	RTT  time.Duration
	Sent bool // false: the system refused to send it
}

// Answered reports whether the probe came back in time.
func (s Settled) Answered() bool { return s.RTT >= 0 }

// Watch probes a host until ctx ends and calls each for every probe when its fate
// is known, one at a time. Unlike Run it keeps nothing, so that it can go on for
// months. The error is about not being able to probe at all.
func Watch(ctx context.Context, w Watching, each func(Settled)) error {
	if w.Interval == 0 {
		w.Interval = time.Second
	}
	if w.Timeout == 0 {
		w.Timeout = 3 * time.Second
	}
	if w.HopsEvery == 0 {
		w.HopsEvery = 10 * time.Second
	}
	if !w.Source.IsValid() {
		w.Source = netip.IPv4Unspecified()
	}
	c := Config{Source: w.Source, Target: w.Target, Interval: w.Interval, MaxHops: w.MaxHops, Size: 56}
	if err := c.check(); err != nil {
		return err
	}
	conn, err := net.ListenIP("ip4:icmp", &net.IPAddr{IP: w.Source.AsSlice()})
	if err != nil {
		return fmt.Errorf("probe %v: %w", w.Target, err)
	}
	p := &watcher{Watching: w, conn: conn, id: uint16(rand.Uint32()), each: each, underway: map[uint16]flight{}}
	if err := (&prober{conn: conn}).stampArrivals(); err != nil {
		conn.Close()
		return fmt.Errorf("probe %v: %w", w.Target, err)
	}
	received := make(chan struct{})
	go func() { defer close(received); p.receive() }()
	p.send(ctx)
	conn.Close()
	<-received
	return nil
}

type watcher struct {
	Watching
	conn *net.IPConn
	id   uint16

	mu       sync.Mutex // guards what is below, and calls of each
	each     func(Settled)
	seq      uint16
	underway map[uint16]flight
	distance int // TTL at which the target answers; 0 while that is not known
}

type flight struct {
	ttl  int
	sent time.Time
}

// send probes on an even grid; one that starts late does not push later ones.
func (p *watcher) send(ctx context.Context) {
	began := time.Now()
	nextHops, ttl := began, 0
	for round := 0; sleepUntil(ctx, began.Add(time.Duration(round)*p.Interval)); round++ {
		if behind := int(time.Since(began) / p.Interval); behind > round+2 {
			round = behind // the machine slept: what was missed is not made up for
		}
		p.expire(time.Now())
		p.probe(0)
		// The routers' probes are spread: a few each round.
		if p.MaxHops == 0 {
			continue
		}
		if ttl == 0 && !time.Now().Before(nextHops) {
			ttl, nextHops = 1, time.Now().Add(p.HopsEvery)
		}
		for n := 0; n < 4 && ttl > 0; n++ {
			p.probe(ttl)
			if ttl++; ttl > p.farthest() {
				ttl = 0
			}
		}
	}
	p.expire(time.Now())
}

// farthest is the highest TTL worth trying.
func (p *watcher) farthest() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.distance > 0 {
		return max(1, min(p.MaxHops, p.distance-1))
	}
	return p.MaxHops
}

func (p *watcher) probe(ttl int) {
	p.mu.Lock()
	p.seq++
	seq, now := p.seq, time.Now()
	p.underway[seq] = flight{ttl, now}
	p.mu.Unlock()
	packet := make([]byte, icmpHeader+56)
	putEcho(packet, p.id, seq)
	hop := ttl
	if hop == 0 {
		hop = fullTTL
	}
	if _, _, err := p.conn.WriteMsgIP(packet, ttlMessage(hop), &net.IPAddr{IP: p.Target.AsSlice()}); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, there := p.underway[seq]; there {
			delete(p.underway, seq)
			p.each(Settled{TTL: ttl, At: now, RTT: Lost})
		}
	}
}

// expire gives up what was not answered in time.
func (p *watcher) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, f := range p.underway {
		if now.Sub(f.sent) > p.Timeout {
			delete(p.underway, seq)
			p.each(Settled{TTL: f.ttl, At: f.sent, RTT: Lost, Sent: true})
		}
	}
}

func (p *watcher) receive() {
	receive(p.conn, p.id, p.Target, p.take)
}

func (p *watcher) take(a answer, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.underway[a.seq]
	if !ok || a.kind == unreachable || f.ttl == 0 && a.kind != echoReply {
		return
	}
	delete(p.underway, a.seq)
	if f.ttl > 0 && a.kind == echoReply {
		if p.distance == 0 || f.ttl < p.distance {
			p.distance = f.ttl
		}
		return // the target, seen by a probe meant for a router
	}
	if f.ttl >= p.distance && f.ttl > 0 && p.distance > 0 {
		p.distance = 0 // the path has become longer
	}
	rtt := max(at.Sub(f.sent), 0)
	if rtt > p.Timeout {
		rtt = Lost
	}
	p.each(Settled{TTL: f.ttl, Host: a.from, At: f.sent, RTT: rtt, Sent: true})
}
