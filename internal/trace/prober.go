package trace

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// prober is one run: a sender (the caller of run) and a receiver, which share
// rows and the table of probes that are under way.
type prober struct {
	cfg  Config
	conn *net.IPConn
	id   uint16 // tells our answers from other probers' in the same namespace

	mu       sync.Mutex
	start    time.Time
	target   Row
	hops     []Row // index = TTL-1
	lastHop  int   // TTL at which the target itself answers; 0 while unknown
	seq      uint16
	underway map[uint16]probe
	last     time.Duration
	got      int // target's answers
}

// probe is one packet under way: which row, which sample.
type probe struct {
	ttl   int // 0 is the target's own row
	index int
	sent  time.Time
}

// fullTTL is what the target's own row is sent with.
const fullTTL = 64

func open(c Config) (*prober, error) {
	p := &prober{
		cfg:      c,
		id:       uint16(rand.Uint32()),
		underway: make(map[uint16]probe),
		hops:     make([]Row, c.MaxHops),
	}
	for i := range p.hops {
		p.hops[i].TTL = i + 1
	}
	err := c.In(func() (err error) {
		p.conn, err = net.ListenIP("ip4:icmp", &net.IPAddr{IP: c.Source.AsSlice()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, p.stampArrivals()
}

// stampArrivals asks the kernel for the instant each packet came in, so that a
// busy machine's wake-up delay is not taken for the network's.
func (p *prober) stampArrivals() error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		// Losing an answer for want of buffer would be our loss, not the path's.
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	})
	if err == nil {
		err = inner
	}
	return err
}

func (p *prober) run(ctx context.Context) *Result {
	received := make(chan struct{})
	p.start = time.Now()
	go func() {
		defer close(received)
		p.receive()
	}()
	p.sendAll(ctx)
	p.awaitAnswers(ctx)
	p.conn.Close()
	<-received
	return p.result()
}

// sendAll sends round after round on an even grid. A round that starts late
// does not push the later ones.
func (p *prober) sendAll(ctx context.Context) {
	said := time.Now()
	for round := 0; p.cfg.Count == 0 || round < p.cfg.Count; round++ {
		at := p.start.Add(time.Duration(round) * p.cfg.Interval)
		if !sleepUntil(ctx, at) {
			return
		}
		p.send(0)
		hops := p.hopsToProbe()
		for ttl := 1; ttl <= hops; ttl++ {
			if !sleepUntil(ctx, at.Add(time.Duration(ttl)*p.cfg.Interval/time.Duration(hops+1))) {
				return
			}
			p.send(ttl)
		}
		if p.cfg.Progress != nil && time.Since(said) > 400*time.Millisecond {
			said = time.Now()
			p.cfg.Progress(p.live())
		}
	}
}

// hopsToProbe is the highest TTL that still ends before the target. Until the
// target's distance is known, all of them are tried.
func (p *prober) hopsToProbe() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastHop > 0 {
		return p.lastHop - 1
	}
	return p.cfg.MaxHops
}

// send sends one probe of the row for ttl (0: the target's own).
func (p *prober) send(ttl int) {
	p.mu.Lock()
	p.seq++
	seq := p.seq
	row := p.row(ttl)
	now := time.Now()
	p.underway[seq] = probe{ttl: ttl, index: len(row.Samples), sent: now}
	row.Samples = append(row.Samples, Sample{At: now.Sub(p.start), RTT: Lost})
	p.mu.Unlock()

	packet := make([]byte, icmpHeader+p.cfg.Size)
	putEcho(packet, p.id, seq)
	hop := ttl
	if ttl == 0 {
		hop = fullTTL
	}
	_, _, err := p.conn.WriteMsgIP(packet, ttlMessage(hop), &net.IPAddr{IP: p.cfg.Target.AsSlice()})
	if err != nil {
		p.mu.Lock()
		p.row(ttl).SendErrors++
		p.mu.Unlock()
	}
}

// row returns the row of ttl; the caller holds mu.
func (p *prober) row(ttl int) *Row {
	if ttl == 0 {
		return &p.target
	}
	return &p.hops[ttl-1]
}

// receive takes answers until the socket is closed.
func (p *prober) receive() {
	receive(p.conn, p.id, p.cfg.Target, p.book)
}

// book enters one answer that arrived at the given instant.
func (p *prober) book(a answer, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr, ok := p.underway[a.seq]
	if !ok || a.kind == unreachable {
		return
	}
	row := p.row(pr.ttl)
	if a.kind == echoReply && pr.ttl > 0 && (p.lastHop == 0 || pr.ttl < p.lastHop) {
		p.lastHop = pr.ttl
	}
	sample := &row.Samples[pr.index]
	rtt := max(at.Sub(pr.sent), 0)
	switch {
	case sample.Answered():
		row.Duplicates++
		return
	case rtt > p.cfg.Timeout:
		row.Late++
		return
	}
	sample.RTT, row.Host = rtt, a.from
	if pr.index+1 < row.newest {
		row.Reordered++
	}
	row.newest = max(row.newest, pr.index+1)
	if pr.ttl == 0 {
		p.last = rtt
		p.got++
	}
}

// awaitAnswers gives the last probes the time every probe has.
func (p *prober) awaitAnswers(ctx context.Context) {
	deadline := time.Now().Add(p.cfg.Timeout)
	for time.Now().Before(deadline) && p.outstanding() {
		if !sleepUntil(ctx, time.Now().Add(20*time.Millisecond)) {
			return
		}
	}
}

// outstanding reports whether some probe young enough to be answered was not.
func (p *prober) outstanding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, pr := range p.underway {
		if time.Since(pr.sent) > p.cfg.Timeout {
			delete(p.underway, seq)
			continue
		}
		if !p.row(pr.ttl).Samples[pr.index].Answered() {
			return true
		}
	}
	return false
}

func (p *prober) live() Live {
	p.mu.Lock()
	defer p.mu.Unlock()
	settled := 0
	for settled = len(p.target.Samples); settled > 0; settled-- {
		s := p.target.Samples[settled-1]
		if s.Answered() || time.Since(p.start)-s.At > p.cfg.Timeout {
			break
		}
	}
	return Live{Sent: settled, Received: p.got, Last: p.last}
}

// result is what was measured. Rows from the target's distance on belong to
// the target; they are left out, as are rows never probed.
func (p *prober) result() *Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &Result{Start: p.start, Target: p.target}
	hops := p.hops
	if p.lastHop > 0 {
		hops = hops[:p.lastHop-1]
	} else {
		for len(hops) > 0 && !hops[len(hops)-1].Host.IsValid() {
			hops = hops[:len(hops)-1]
		}
	}
	r.Hops = hops
	r.Target.TTL = len(hops) + 1
	return r
}

// arrival is the kernel's receive stamp, or now when it gave none or one that
// a stepping clock made senseless. The stamp is wall time; the way back to the
// monotonic reading in now is their difference.
func arrival(control []byte, now time.Time) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return now
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			ago := now.UnixNano() - timespec(m.Data)
			if ago >= 0 && time.Duration(ago) < time.Second {
				return now.Add(-time.Duration(ago))
			}
		}
	}
	return now
}

// sleepUntil waits for at; false when ctx ended first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
