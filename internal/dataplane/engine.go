// Package dataplane carries packets: it is one PoP's ingress, relay and egress.
//
// An Engine is the whole of it without a socket, clock, goroutine or lock: it
// is fed datagrams and instants and answers through a Network. A Plane is an
// Engine on real sockets; sim runs Engines on a network in memory.
//
// A packet's way is five functions in three files, in the order it travels:
//
//	ingress.go  fromClient   ingress.go  toClient
//	relay.go    forward      relay.go    forward
//	egress.go   toEndpoint   egress.go   fromEndpoint
//
// apply.go alone turns a snapshot into running parts. The packet path has no
// errors, only drops counted by reason (drops.go), allocates nothing per
// packet, and writes no log.
package dataplane

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"causeway/internal/dataplane/admission"
	"causeway/internal/dataplane/packet"
	"causeway/internal/dataplane/resequence"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/route"
)

// Use says what a socket is for, which decides how it treats large packets.
type Use uint8

const (
	// Overlay sockets talk to PoPs: DF set, sizes are found by probing.
	Overlay Use = iota
	// Edge sockets talk to clients and endpoints: whatever arrived whole leaves
	// whole, as IP fragments if need be.
	Edge
)

// Network gives out bound UDP sockets. token is how the Engine will know what
// arrives on the socket.
type Network interface {
	Listen(addr netip.AddrPort, use Use, token uint64) (Socket, error)
}

// Socket sends datagrams. *udpio.Conn is one.
type Socket interface {
	Queue(data []byte, to netip.AddrPort, tos uint8)
	Flush() udpio.SendStats
	// Warm reads of what Queue needs that which is in no cache, and returns something of it.
	Warm() uint64
	Close() error
}

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	Key     keys.PrivateKey
	Network Network
	Store   session.Store // nil: sessions do not survive the process
	Log     *slog.Logger
	Random  func() uint64 // must be hard to predict outside tests
	Wall    func() time.Time
	// Flows takes records of flows without waiting; nil: nobody wants them.
	Flows chan<- report.Flow
	// Siblings are the other engines of a PoP that has several; nil: there are none.
	Siblings Siblings
	// Below is what works below the sockets; nil: nothing does.
	Below Below
	// NarrowAES does without the processor's instructions for many blocks at a time.
	NarrowAES bool
}

// Engine is one PoP's data plane. All methods are for one goroutine.
type Engine struct {
	cfg         EngineConfig
	incarnation uint64
	cookies     admission.Cookies
	watches     watches
	below       below
	flowsLost   uint64 // records that found no room
	missedSaid  uint64 // sessions that the disk did not take, when that was last said
	missedAt    mono.Time
	claimSeed   uint64 // of what clients are found by whose address has changed

	arena packet.Arena
	now   mono.Time

	sockets places
	byAddr  map[netip.AddrPort]*socket
	dirty   []*socket // sockets with something queued

	plan      *plan // what the snapshot became; nil before the first Apply
	table     *session.Table
	responder *handshake.Responder
	indices   map[uint32]*segment.Segment
	busy      []*segment.Segment // segments with frames to flush
	waiting   []*session.Session // sessions whose resequencer holds packets
	header    [64 + 512]byte     // scratch for one frame's header and description

	pool     *resequence.Pool
	orders   map[orderKey]*resequence.Config
	emitting emission
	emit     func([]byte) // emitHeld, bound once
	// Where the frame being delivered came from: the segment, and whether its
	// origin is that segment's other end.
	arrivedFrom   *segment.Segment
	arrivedDirect bool

	sweepAt, routesAt, linksAt mono.Time
	healthAt, healthAllAt      mono.Time
	sharesAt                   mono.Time
	healthBase                 int64 // what makes an instant a Health frame's sequence number
	healthBuf                  []byte
	replanned                  bool // failover has not looked at the plan yet
	linksBuf                   []byte
	challengeBudget            budget
	predictor                  *route.Predictor
	joints                     map[[2]hop]*route.Joint // by first hops, the lesser first
	unknownBudget              budget
	beginningBudget            budget // see mayOpen
	othersBudget               budget
	echo                       echoes

	gathering gathering

	drops Drops
	sent  udpio.SendStats
	joins joins
}

// socket is a bound address and what it is for.
type socket struct {
	Socket
	token uint64
	addr  netip.AddrPort
	use   Use
	dirty bool
	place uint32 // among Engine.sockets

	overlay  *overlayAddr // overlay sockets
	passes   *passthrough // overlay sockets that two other PoPs have to themselves
	listener *listener    // listener sockets
	egress   int          // sessions that use it as their egress address
	fixed    bool         // an egress address that stays open without sessions

	toPeer, fromPeer session.Count
}

// NewEngine returns an Engine that carries nothing until its first Apply.
func NewEngine(cfg EngineConfig) *Engine {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	e := &Engine{
		cfg: cfg, incarnation: cfg.Random(),
		byAddr:  map[netip.AddrPort]*socket{},
		indices: map[uint32]*segment.Segment{},
		pool:    resequence.NewPool(orderMemory),
		orders:  map[orderKey]*resequence.Config{},

		predictor: new(route.Predictor),
		joints:    map[[2]hop]*route.Joint{},
		claimSeed: claimSeed(cfg.Key), cookies: admission.Cookies{Random: cfg.Random},
	}
	e.emit = e.emitHeld
	return e
}

// Receive takes in datagrams that arrived on the socket with that token. Their
// bytes are borrowed until Flush, which the caller must call before it reads again.
func (e *Engine) Receive(now mono.Time, token uint64, batch []udpio.Message) {
	sock := e.sockets.at(token)
	if sock == nil {
		return
	}
	e.now = now
	if e.table != nil && e.table.Many() {
		if len(batch) >= warmLeast {
			e.warm(sock, batch)
		}
		e.table.Warm()
		e.gathering.on = sock.use == Overlay
	}
	some := sock.use == Edge && e.urgentFirst(now, sock, batch)
	for i := range batch {
		if some && batch[i].Data == nil {
			continue // carried already
		}
		e.receive(now, sock, &batch[i])
	}
	e.deliverGathered(now)
	e.gathering.on = false
}

// receive takes in one datagram.
func (e *Engine) receive(now mono.Time, sock *socket, m *udpio.Message) {
	sock.fromPeer.Add(len(m.Data))
	switch {
	case sock.passes != nil:
		e.passOn(sock, m)
	case sock.use == Overlay:
		e.fromPeer(now, sock, m)
	case sock.listener != nil:
		e.fromClient(now, sock, m)
	default:
		e.fromEndpoint(now, sock, m)
	}
}

// Due does what is due at now.
func (e *Engine) Due(now mono.Time) {
	e.now = now
	if e.plan == nil {
		return
	}
	for _, p := range e.plan.neighbours {
		if due := p.segment.NextDue(); due != 0 && due <= now {
			p.segment.Due(now)
		}
	}
	e.dueOrder(now)
	e.dueLoans(now)
	if now >= e.sweepAt {
		e.sweepAt = now.Add(sweepEvery)
		e.dueBelow(now)
		e.table.Sweep(now, sweepSlots)
		e.sayMissed(now)
	}
	if now >= e.routesAt {
		e.routesAt = now.Add(routesEvery)
		e.chooseWays(now)
	}
	if now >= e.linksAt {
		e.tellLinks(now)
	}
	if now >= e.healthAt {
		e.dueHealth(now)
	}
	if now >= e.sharesAt {
		e.sharesAt = now.Add(sharesEvery)
		e.shareAllowances()
	}
}

const (
	sweepEvery  = 50 * time.Millisecond
	sweepSlots  = 1024
	routesEvery = 50 * time.Millisecond
	linksEvery  = 500 * time.Millisecond
	sharesEvery = 50 * time.Millisecond
)

// NextDue is when Due is to be called next, if nothing arrives before.
func (e *Engine) NextDue() mono.Time {
	if e.plan == nil {
		return 0
	}
	next := mono.Earliest(e.sweepAt, mono.Earliest(mono.Earliest(e.routesAt, e.linksAt), e.healthAt))
	for _, p := range e.plan.neighbours {
		next = mono.Earliest(next, p.segment.NextDue())
	}
	return mono.Earliest(mono.Earliest(next, e.nextLoans()), e.nextOrder())
}

// Flush writes out everything that Receive and Due have made, and takes back
// all memory they used.
func (e *Engine) Flush(now mono.Time) {
	for _, s := range e.busy {
		s.Flush(now)
	}
	e.busy = e.busy[:0]
	for _, sock := range e.dirty {
		sock.dirty = false
		st := sock.Flush()
		e.sent.Sent += st.Sent
		e.sent.Calls += st.Calls
		e.sent.Messages += st.Messages
		e.sent.Joined += st.Joined
		e.drops[DropSendBuffer] += uint64(st.WouldBlock + st.NoBuffers)
		e.drops[DropSendTooLarge] += uint64(st.TooLarge)
		e.drops[DropSendUnreachable] += uint64(st.Unreachable)
		e.drops[DropSendForbidden] += uint64(st.Forbidden)
		e.drops[DropSendOther] += uint64(st.Other)
	}
	e.dirty = e.dirty[:0]
	e.arena.Reset()
}

// Close closes every socket. Sessions stay on disk.
func (e *Engine) Close() {
	e.syncBelow(e.now)
	e.logStop()
	e.table = nil
	for sock := range e.sockets.all() {
		sock.Close()
	}
	e.sockets = places{}
	clear(e.byAddr)
}

// queue puts a datagram on a socket's way out.
func (e *Engine) queue(sock *socket, data []byte, to netip.AddrPort, tos uint8) {
	if !sock.dirty {
		sock.dirty = true
		e.dirty = append(e.dirty, sock)
	}
	sock.toPeer.Add(len(data))
	sock.Queue(data, to, tos)
}

// fromPeer takes in a datagram on an overlay socket: authentic or silence.
func (e *Engine) fromPeer(now mono.Time, sock *socket, m *udpio.Message) {
	if len(m.Data) < 8 {
		e.drops.add(DropNotOverlay)
		return
	}
	switch m.Data[0] {
	case seal.Type:
		index, ok := seal.PeekIndex(m.Data)
		s := e.indices[index]
		if !ok || s == nil {
			e.drops.add(DropUnknownIndex)
			return
		}
		before := s.Counters.ReceivedDatagrams
		s.Receive(now, index, wireOf(s, sock, m.From), m.Data)
		if s.Counters.ReceivedDatagrams == before {
			e.drops.add(DropUnauthentic)
		}
	case handshake.TypeInitiation:
		if shard := m.Data[1]; shard != e.lane() {
			e.drops.add(DropHandshake) // it comes again
			if e.cfg.Siblings != nil && e.responder.Meant(m.Data) {
				e.cfg.Siblings.Want(shard)
			}
			return
		}
		reply, k, _ := e.responder.Respond(now, m.From, m.Data)
		if reply != nil {
			e.queue(sock, e.arena.Copy(reply), m.From, 0)
		} else {
			e.drops.add(DropHandshake)
		}
		if k == nil {
			return
		}
		if p := e.plan.ends[k.Segment()]; p != nil {
			if e.indices[k.LocalIndex] == nil {
				e.expect(k.LocalIndex, true)
			}
			e.indices[k.LocalIndex] = p.segment
			p.segment.Propose(now, k)
		}
	case handshake.TypeResponse, handshake.TypeCookieReply:
		index, ok := handshake.PeekIndex(m.Data)
		if s := e.indices[index]; ok && s != nil {
			s.HandshakeReply(now, m.Data)
		} else {
			e.drops.add(DropHandshake)
		}
	default:
		e.drops.add(DropNotOverlay)
	}
}

// Arena implements segment.Host.
func (e *Engine) Arena() *packet.Arena { return &e.arena }

// Transmit implements segment.Host.
func (e *Engine) Transmit(s *segment.Segment, wire uint8, datagram []byte) {
	w := &s.Owner.(*peer).wires[wire]
	e.queue(w.sock, datagram, w.remote, 0)
}

// TakeIndex implements segment.Host.
func (e *Engine) TakeIndex(s *segment.Segment) uint32 {
	i := e.newIndex()
	e.indices[i] = s
	e.expect(i, true)
	return i
}

// newIndex returns a receiver index that is free and hard to guess.
func (e *Engine) newIndex() uint32 {
	for {
		if i := uint32(e.cfg.Random()); e.indices[i] == nil {
			return i
		}
	}
}

// DropIndex implements segment.Host.
func (e *Engine) DropIndex(index uint32) {
	if e.indices[index] != nil {
		e.expect(index, false)
	}
	delete(e.indices, index)
}

// Confirm implements segment.Host.
func (e *Engine) Confirm(k *handshake.Keys) { e.responder.Confirm(k) }

// Rand implements segment.Host.
func (e *Engine) Rand() uint64 { return e.cfg.Random() }

// listen opens a socket, or returns the one that is open at addr.
func (e *Engine) listen(addr netip.AddrPort, use Use) (*socket, error) {
	return e.open(addr, use, e.cfg.Network.Listen)
}

func (e *Engine) open(addr netip.AddrPort, use Use, listen func(netip.AddrPort, Use, uint64) (Socket, error)) (*socket, error) {
	if s := e.byAddr[addr]; s != nil {
		if s.use != use {
			return nil, fmt.Errorf("%v is in use for both overlay and edge", addr)
		}
		return s, nil
	}
	s := &socket{addr: addr, use: use}
	e.sockets.reserve(s)
	c, err := listen(addr, use, s.token)
	if err != nil {
		e.sockets.leave(s)
		return nil, err
	}
	s.Socket = c
	e.sockets.put(s)
	e.byAddr[addr] = s
	return s, nil
}

func (e *Engine) closeSocket(s *socket) {
	if s.dirty {
		s.Flush()
		for i, d := range e.dirty {
			if d == s {
				e.dirty = append(e.dirty[:i], e.dirty[i+1:]...)
				break
			}
		}
	}
	delete(e.byAddr, s.addr)
	e.sockets.leave(s)
	s.Close()
}

// budget lets through so many events a second, evenly: a twentieth of them at once at
// most, since packets that are there already wait for all that is let through.
type budget struct {
	left float64
	at   mono.Time
}

func (b *budget) take(now mono.Time, perSecond int) bool {
	rate := float64(perSecond)
	b.left = min(b.left+rate*now.Sub(b.at).Seconds(), max(1, rate/20))
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
