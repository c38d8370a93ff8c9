package dataplane

import (
	"errors"
	"net/netip"
	"slices"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// lane is one Engine of a Plane with its sockets and what it keeps on disk. It is
// the Engine's Network and Siblings.
type lane struct {
	n      uint8
	plane  *Plane
	worker *worker
	engine *Engine
	file   *session.File
	shared map[uint64]sharedSocket // by token: those whose address all lanes have
	passes uint8                   // of the letter that is being read; 0: it is none
}

type sharedSocket struct {
	*udpio.Conn
	use Use
}

// sessionRoom is how many sessions the file on disk has room for; it is sparse.
const sessionRoom = 1 << 20

func newLane(p *Plane, w *worker, n uint8) (*lane, error) {
	l := &lane{n: n, plane: p, worker: w, shared: map[uint64]sharedSocket{}}
	var store session.Store
	if p.cfg.StateDir != "" {
		name := p.sessionFile(int(n))
		file, setAside, err := session.OpenFile(name, sessionRoom)
		if err != nil {
			return nil, err
		}
		if setAside {
			p.log.Warn("session file of another format was set aside", "file", name+".old")
		}
		l.file, store = file, file
	}
	random, err := newRandom()
	if err != nil {
		l.closeFile()
		return nil, err
	}
	l.engine = NewEngine(EngineConfig{
		Key: p.cfg.Key, Network: l, Store: store, Log: p.log, Random: random, Siblings: l, Flows: p.flows, Below: p.below(),
		NarrowAES: p.without(FeatureWideAES),
	})
	p.shared.join(l)
	return l, nil
}

func (l *lane) apply(s snapshot.Snapshot) error {
	err := ErrStopped
	l.worker.call(func(now mono.Time) {
		err = l.engine.Apply(now, s)
		l.worker.turns.disown()
	})
	return err
}

// Listen implements Network for the Engine.
func (l *lane) Listen(addr netip.AddrPort, use Use, token uint64) (Socket, error) {
	return l.listen(addr, use, token, false)
}

func (l *lane) listen(addr netip.AddrPort, use Use, token uint64, join bool) (*planeSocket, error) {
	w := l.worker
	o := l.plane.socketOptions()
	o.MayFragment, o.Room, o.ReusePort = use == Edge, &w.room, join
	c, err := udpio.Listen(addr, o)
	if err != nil {
		return nil, err
	}
	token |= uint64(l.n) << laneShift
	if err := w.poller.AddEdge(c, token); err != nil {
		c.Close()
		return nil, err
	}
	l.plane.warnOfBuffers(c)
	if d := l.plane.cfg.BusyPoll; d > 0 {
		_ = c.BusyPoll(d) // the worker's own looking does without
	}
	w.conns[token] = &conn{Conn: c, lane: l, token: token & (1<<laneShift - 1), use: use}
	return &planeSocket{Conn: c, lane: l, token: token}, nil
}

// ListenShared implements Siblings. The first lane takes the address for itself,
// so that it is noticed when another program has it; the others join.
func (l *lane) ListenShared(addr netip.AddrPort, use Use, token uint64) (Socket, error) {
	s, err := l.listen(addr, use, token, l.n > 0)
	if err != nil {
		return nil, err
	}
	if l.plane.shared.lanes.Load() > 1 {
		if l.n == 0 {
			err = s.Share()
		} else {
			err = l.plane.steer(s.Conn, use)
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	l.shared[s.token] = sharedSocket{s.Conn, use}
	l.worker.addDoor(s.LocalAddr(), use, l.n, s.token)
	return s, nil
}

// steer says which lane's socket packets go to.
func (p *Plane) steer(c *udpio.Conn, use Use) error {
	if use == Overlay {
		return c.SteerByByte(1) // the shard
	}
	return c.SteerBySource(len(p.workers))
}

// planeSocket is a Socket of an Engine.
type planeSocket struct {
	*udpio.Conn
	lane  *lane
	token uint64
}

// Close stops polling the socket and closes it.
func (s *planeSocket) Close() error {
	w := s.lane.worker
	w.dropDoor(s.LocalAddr(), s.lane.n, s.token)
	delete(w.conns, s.token)
	delete(s.lane.shared, s.token)
	return errors.Join(w.poller.Remove(s.Conn), s.Conn.Close())
}

// Lane implements Siblings.
func (l *lane) Lane() uint8 { return l.n }

// Lanes implements Siblings: lanes beyond the workers get no clients of ours.
func (l *lane) Lanes() int { return len(l.plane.workers) }

// Steered implements Siblings.
func (l *lane) Steered(remote netip.Addr) bool {
	return udpio.SourceOf(remote, len(l.plane.workers)) == int(l.n)
}

// alone reports whether there is nobody to tell anything.
func (l *lane) alone() bool { return l.plane.shared.lanes.Load() < 2 }

// Hold implements Siblings.
func (l *lane) Hold(local, remote netip.AddrPort) { l.plane.shared.hold(flow{local, remote}, l.n) }

// Release implements Siblings.
func (l *lane) Release(local, remote netip.AddrPort) {
	l.plane.shared.release(flow{local, remote}, l.n)
}

// Pass implements Siblings.
func (l *lane) Pass(local netip.AddrPort, m udpio.Message) bool {
	n, held := l.plane.shared.holder(flow{local, m.From})
	return held && n != l.n && l.send(n, local, m)
}

// PassHome implements Siblings.
func (l *lane) PassHome(local netip.AddrPort, m udpio.Message) bool {
	home := udpio.SourceOf(m.From.Addr(), len(l.plane.workers))
	return home != int(l.n) && l.send(uint8(home), local, m)
}

// HoldClaim implements Siblings.
func (l *lane) HoldClaim(claim uint64) {
	if !l.alone() {
		l.plane.shared.holdClaim(claim, l.n)
	}
}

// ReleaseClaim implements Siblings.
func (l *lane) ReleaseClaim(claim uint64) { l.plane.shared.releaseClaim(claim, l.n) }

// PassClaim implements Siblings.
func (l *lane) PassClaim(claim uint64, local netip.AddrPort, m udpio.Message) bool {
	n, held := l.plane.shared.claimHolder(claim)
	return held && n != l.n && l.send(n, local, m)
}

// Claim implements Siblings.
func (l *lane) Claim(group session.Name, endpoint netip.Addr, claim uint8) {
	if !l.alone() {
		l.plane.shared.claim(calling{group, endpoint}, claimed{l.n, claim})
	}
}

// PassCall implements Siblings.
func (l *lane) PassCall(group session.Name, local netip.AddrPort, m udpio.Message) bool {
	if l.alone() {
		return false
	}
	n, known := l.plane.shared.claimer(calling{group, m.From.Addr()})
	return known && n != l.n && l.send(n, local, m)
}

// Want implements Siblings.
func (l *lane) Want(lane uint8) {
	if lane >= MaxLanes || int(lane) < int(l.plane.shared.lanes.Load()) {
		return
	}
	select {
	case l.plane.wants <- lane:
	default: // asked for already
	}
}

// Share implements Siblings.
func (l *lane) Share(allowance string, direction int, used uint64, open int) (float64, int) {
	return l.plane.shared.share(allowance, direction, l.n, used, open)
}

// letter is a packet that one lane passes to another.
type letter struct {
	lane   *lane
	local  netip.AddrPort
	m      udpio.Message // its bytes are its own
	passes uint8         // how often it has been passed on
}

// maxPasses is how often one packet is passed on: to who holds its flow, and from
// there to who holds its claim. What one lane knows of a packet and another knows
// better could else go round between them for as long as both are right.
const maxPasses = 2

// mailRoom is how many letters may wait for a worker.
const mailRoom = 1024

// send passes a packet on to lane n; what finds no room is lost, as in a full
// socket buffer. It reports that the packet is no longer the caller's; it stays so
// when it has been passed on often enough.
func (l *lane) send(n uint8, local netip.AddrPort, m udpio.Message) bool {
	to := l.plane.shared.lane(n)
	if to == nil || l.passes >= maxPasses {
		return false
	}
	m.Data = slices.Clone(m.Data)
	select {
	case to.worker.mail <- letter{to, local, m, l.passes + 1}:
		l.worker.mailed++
		to.worker.poller.Wake()
	default:
		l.worker.mailLost++
	}
	return true
}

// readMail carries what other lanes have passed on, once all lanes here have been told what to carry.
func (w *worker) readMail(now mono.Time) {
	for _, l := range w.lanes {
		if l.engine.plan == nil {
			return
		}
	}
	for range mailRoom {
		select {
		case m := <-w.mail:
			e := m.lane.engine
			if sock := e.byAddr[m.local]; sock != nil {
				m.lane.passes = m.passes
				e.Receive(now, sock.token, []udpio.Message{m.m})
				m.lane.passes = 0
				e.Flush(now)
			}
		default:
			return
		}
	}
}

func (l *lane) close() {
	l.engine.Close()
	l.closeFile()
}

func (l *lane) closeFile() {
	if l.file == nil {
		return
	}
	if err := l.file.Close(); err != nil {
		l.plane.log.Error("close session file", "err", err)
	}
	l.file = nil
}
