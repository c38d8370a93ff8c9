package dataplane

import (
	"net/netip"
	"time"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/xdp"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// Below is what stands below the sockets: programs on devices, which drop what nobody would
// carry, and carry on by themselves what they are handed. An engine tells it; it asks
// nothing on the way of a packet. *xdp.Kernel is it, and documents the methods.
type Below interface {
	Judge(a netip.AddrPort, kind xdp.Kind, allow, deny []netip.Prefix) error
	Index(index uint32, expected bool) error
	Know(remote, local netip.AddrPort, known bool) error
	Forward(f xdp.Forwarding) (slot uint32, err error)
	Change(slot uint32, f xdp.Forwarding, newest [2]uint32) error
	Recall(slot uint32, f xdp.Forwarding, known bool) (packets, bytes uint64, newest [2]uint32, err error)
	Carried(slot uint32) (packets, bytes uint64, newest [2]uint32)
	OpenCredit() (xdp.Credit, error)
	CloseCredit(c xdp.Credit) (left int64)
	Lend(c xdp.Credit, bytes int64) (left int64)
}

// below is what an engine keeps of it.
type below struct {
	flows  map[*session.Session]*forwarded // that the kernel forwards packets of
	list   []*session.Session              // the same
	at     int                             // whose counts are looked at next
	again  mono.Time                       // when the next may be handed over, after one was refused
	saidAt mono.Time                       // when a refusal was last logged
	total  session.Count                   // forwarded
	loans  map[loanOf]*loan                // of allowances (credit.go)
	lendAt mono.Time                       // when they are looked at next
	off    bool                            // what is handed over comes here all the same
}

// forwarded is what the kernel forwards of a session, by direction.
type forwarded struct {
	ways  [2]forwardedWay
	place int // in the list
}

type forwardedWay struct {
	on    bool
	slot  uint32    // what the kernel calls it
	spi   [2]uint32 // of its ESP, the newer first
	told  session.Count
	loans [mostLoans]*loan
}

func (f *forwarded) has(d ipsec.Direction, spi uint32) bool {
	w := &f.ways[d]
	return w.on && (w.spi[0] == spi || w.spi[1] == spi)
}

// tellBelow notes that something was not taken below: it is then done here.
func (e *Engine) tellBelow(err error) {
	if err == nil {
		return
	}
	if e.below.saidAt == 0 || e.now.Sub(e.below.saidAt) >= time.Minute {
		e.below.saidAt = e.now
		e.cfg.Log.Warn("user space does what the kernel did not take", "err", err)
	}
}

// know says whether what comes from a session's client is to be held off at all: of a
// session that its endpoint has answered it is not.
func (e *Engine) know(s *session.Session, known bool) {
	if e.cfg.Below != nil && s.Confirmed() && s.Role&session.Ingress != 0 {
		e.tellBelow(e.cfg.Below.Know(s.Client(), s.Accelerated, known))
	}
}

// expect says that data for a receiver index is ours, or no longer is.
func (e *Engine) expect(index uint32, expected bool) {
	if e.cfg.Below != nil {
		e.tellBelow(e.cfg.Below.Index(index, expected))
	}
}

// judgeBelow tells below what the plan is; old is the plan before, nil before the first.
// What it says of lists is as hard as the plan's own.
func (e *Engine) judgeBelow(old *plan) {
	if e.cfg.Below == nil {
		return
	}
	wires := map[[2]netip.AddrPort]bool{}
	for _, p := range e.plan.neighbours {
		for _, w := range p.wires {
			wires[[2]netip.AddrPort{w.remote, w.sock.addr}] = true
		}
	}
	for w := range wires {
		e.tellBelow(e.cfg.Below.Know(w[0], w[1], true))
	}
	if old != nil {
		for _, p := range old.neighbours {
			for _, w := range p.wires {
				if !wires[[2]netip.AddrPort{w.remote, w.sock.addr}] {
					e.tellBelow(e.cfg.Below.Know(w.remote, w.sock.addr, false))
				}
			}
		}
	}
	e.passBelow(old) // so that the two ends are known before all others are strangers
	for a, sock := range e.byAddr {
		switch {
		case sock.passes != nil:
			e.tellBelow(e.cfg.Below.Judge(a, xdp.Between, nil, nil))
		case sock.use == Overlay:
			e.tellBelow(e.cfg.Below.Judge(a, xdp.Overlay, nil, nil))
		case sock.listener != nil:
			e.tellBelow(e.cfg.Below.Judge(a, xdp.Listener, sock.listener.Allow, sock.listener.Deny))
		default:
			e.tellBelow(e.cfg.Below.Judge(a, xdp.Plain, nil, nil))
		}
	}
	for _, s := range append([]*session.Session(nil), e.below.list...) {
		if !e.mayHandOver(s) || !e.asLent(s) {
			e.takeBack(s)
		}
	}
}

// NoteEarly counts packets to a socket of ours that were dropped before it.
func (e *Engine) NoteEarly(a netip.AddrPort, r Reason, n session.Count) {
	e.drops[r] += n.Packets
	if sock := e.byAddr[a]; sock != nil {
		addCount(&sock.fromPeer, n)
	}
}

func addCount(c *session.Count, n session.Count) {
	c.Packets += n.Packets
	c.Bytes += n.Bytes
}

// ESP of a session that leaves where it entered needs nothing of ours once it is
// established: where the listener allows it, each direction is handed over as soon as it
// shows an SA. Everything but ESP of SAs that were handed over goes on coming here: so
// negotiations, keepalives, the first packets of each SA, and clients at new addresses are seen as
// ever. What is counted below is added here (takeIn) before anything looks at it.

// handOver gives a direction of a session to the kernel when a packet shows that it may.
func (e *Engine) handOver(now mono.Time, s *session.Session, d ipsec.Direction, what *ipsec.Packet) {
	var f *forwarded
	if s.Forwarded {
		f = e.below.flows[s]
	}
	if f != nil && f.has(d, what.SPI) || now < e.below.again {
		return
	}
	w := s.Watch()
	if w == nil || !e.mayHandOver(s) {
		return
	}
	if known, ok := w.Newest(d, what.SPI); !ok || known != what.Seq {
		return // one packet makes no SA
	}
	if f == nil {
		f = new(forwarded)
	}
	var err error
	if way := &f.ways[d]; way.on {
		_, _, newest := e.cfg.Below.Carried(way.slot)
		way.spi = [2]uint32{what.SPI, way.spi[0]}
		err = e.cfg.Below.Change(way.slot, e.forwarding(s, d, way), [2]uint32{what.Seq, newest[0]})
	} else if err = e.borrow(now, s, limit.Direction(d), way); err == nil {
		way.spi, way.told = [2]uint32{what.SPI}, session.Count{}
		way.slot, err = e.cfg.Below.Forward(e.forwarding(s, d, way))
		if way.on = err == nil; !way.on {
			e.repay(way)
		}
	}
	if err != nil {
		e.below.again = now.Add(time.Second)
		e.tellBelow(err)
	}
	if !s.Forwarded && f.ways[d].on {
		if e.below.flows == nil {
			e.below.flows = map[*session.Session]*forwarded{}
		}
		f.place, s.Forwarded, e.below.flows[s] = len(e.below.list), true, f
		e.below.list = append(e.below.list, s)
	}
}

// mayHandOver reports whether a session's ESP may be forwarded without us.
func (e *Engine) mayHandOver(s *session.Session) bool {
	if e.cfg.Below == nil || !both(s) || !s.Confirmed() || !s.Proven() || e.roams(s) {
		return false
	}
	for _, a := range [...]netip.AddrPort{s.Client(), s.Accelerated, s.Egress(), s.Endpoint} {
		if !a.Addr().Unmap().Is4() || a.Addr().IsUnspecified() {
			return false
		}
	}
	sock := e.byAddr[s.Accelerated]
	if sock == nil || sock.listener == nil || !sock.listener.InKernel {
		return false
	}
	for d := range limit.Directions {
		if _, ok := e.loansOf(s, d); !ok {
			return false
		}
	}
	return true
}

// roams reports whether a session's client may be elsewhere.
func (e *Engine) roams(s *session.Session) bool {
	m := e.table.Moving(s)
	return m != nil && m.To.IsValid()
}

// forwarding is what a direction of a session looks like on the line.
func (e *Engine) forwarding(s *session.Session, d ipsec.Direction, way *forwardedWay) xdp.Forwarding {
	f := xdp.Forwarding{From: s.Client(), To: s.Accelerated, As: s.Egress(), Next: s.Endpoint, SPI: way.spi, Credit: way.credit()}
	if d == ipsec.ToClient {
		f.From, f.To, f.As, f.Next = s.Endpoint, s.Egress(), s.Accelerated, s.Client()
	}
	return f
}

// takeBack has everything of a session come here again.
func (e *Engine) takeBack(s *session.Session) {
	if !s.Forwarded {
		return
	}
	f := e.below.flows[s]
	for d := range f.ways {
		way := &f.ways[d]
		if !way.on {
			continue
		}
		dir := ipsec.Direction(d)
		packets, bytes, newest, err := e.cfg.Below.Recall(way.slot, e.forwarding(s, dir, way), dir == ipsec.ToEndpoint && s.Confirmed())
		e.tellBelow(err)
		e.takeIn(e.now, s, dir, session.Count{Packets: packets, Bytes: bytes}, newest)
		e.repay(way)
	}
	last := len(e.below.list) - 1
	moved := e.below.list[last]
	e.below.list[f.place], e.below.list[last] = moved, nil
	e.below.flows[moved].place = f.place
	e.below.list = e.below.list[:last]
	delete(e.below.flows, s)
	s.Forwarded = false
}

// look takes in what the kernel has forwarded of a session since the last look.
func (e *Engine) look(now mono.Time, s *session.Session) {
	f := e.below.flows[s]
	for d := range f.ways {
		if way := &f.ways[d]; way.on {
			packets, bytes, newest := e.cfg.Below.Carried(way.slot)
			e.takeIn(now, s, ipsec.Direction(d), session.Count{Packets: packets, Bytes: bytes}, newest)
		}
	}
}

// takeIn adds what was forwarded to what this engine would have counted itself.
func (e *Engine) takeIn(now mono.Time, s *session.Session, d ipsec.Direction, sum session.Count, newest [2]uint32) {
	way := &e.below.flows[s].ways[d]
	n := session.Count{Packets: sum.Packets - way.told.Packets, Bytes: sum.Bytes - way.told.Bytes}
	if n.Packets == 0 {
		return
	}
	way.told = sum
	addCount(&e.below.total, n)
	e.table.Touch(now, s)
	in, out := e.byAddr[s.Accelerated], e.byAddr[s.Egress()]
	mine := &s.ToEndpoint
	if d == ipsec.ToClient {
		in, out, mine = out, in, &s.ToClient
	}
	addCount(mine, n)
	if in != nil {
		addCount(&in.fromPeer, n)
	}
	if out != nil {
		addCount(&out.toPeer, n)
	}
	for _, a := range e.allowancesOf(s) {
		l := &a.Lanes[d]
		l.Passed.Packets += n.Packets
		l.Passed.Bytes += n.Bytes
		l.Meter.Add(now, int(n.Bytes))
	}
	if w := s.Watch(); w != nil {
		for i, spi := range way.spi {
			if spi != 0 {
				w.Skip(now, d, spi, newest[i])
			}
		}
	}
}

// syncBelow takes in everything that was forwarded.
func (e *Engine) syncBelow(now mono.Time) {
	for _, s := range e.below.list {
		e.look(now, s)
	}
	if e.plan != nil {
		e.syncPassthroughs()
	}
}

// belowLooks is how many sessions' counts are looked at in one turn.
const belowLooks = 4096

// dueBelow looks at some sessions' counts, in turn from call to call: so none of them
// seems idle that is not.
func (e *Engine) dueBelow(now mono.Time) {
	for range min(belowLooks, len(e.below.list)) {
		if e.below.at >= len(e.below.list) {
			e.below.at = 0
		}
		e.look(now, e.below.list[e.below.at])
		e.below.at++
	}
}
