package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/dataplane/xdp"
	"causeway/internal/mono"
)

// Packets for shared sockets can be taken from devices, past the kernel's stack
// (package xdp). What comes that way is carried as what a socket has read, by the worker
// whom a socket's would reach; replies go out over the sockets, which stay open all the
// time: whatever a device does not hand over reaches them, so that this can be switched while
// packets flow. What the devices' programs drop and forward by themselves is in below.go.

// devices are what a Plane takes packets from.
type devices struct {
	kernel *xdp.Kernel // nil: there are none
	list   []*xdp.Port
}

// ports are a worker's part of the devices and the doors that packets come for.
type ports struct {
	list  []*xdp.Port
	doors map[netip.AddrPort]*door
	batch xdp.Batch
	runs  []run // of receiveFrom
}

// door is a shared socket's address, with the sockets of the worker's lanes by lane.
type door struct {
	use    Use
	tokens [MaxLanes]uint64
	open   int   // how many there are
	lowest uint8 // the first of the lanes
}

// portToken is where the poller's tokens have a device, in the place of a lane.
const portToken = uint64(0xff) << laneShift

// openDevices takes the devices that the configuration names. One that cannot be
// taken is told of, and its packets come over sockets.
func (p *Plane) openDevices() {
	if len(p.cfg.XDP) == 0 {
		return
	}
	kernel, err := xdp.New(len(p.workers))
	if err != nil {
		p.log.Warn("packets come over sockets", "err", err)
		return
	}
	p.devices.kernel = kernel
	for _, name := range p.cfg.XDP {
		port, err := kernel.Open(name)
		if err != nil {
			p.log.Warn("packets come over sockets", "err", err)
			continue
		}
		if err := p.pollPort(port); err != nil {
			p.log.Warn("packets come over sockets", "err", errors.Join(err, port.Close()))
			continue
		}
		p.devices.list = append(p.devices.list, port)
		p.log.Info("packets are taken before the stack", "device", name, "by_driver", port.Native(), "zero_copy", port.ZeroCopy(), "queues", port.Queues())
	}
	for _, w := range p.workers {
		w.ports.list, w.ports.doors = p.devices.list, map[netip.AddrPort]*door{}
	}
	if len(p.devices.list) == 0 {
		p.closeDevices()
	}
}

func (p *Plane) pollPort(port *xdp.Port) error {
	for _, w := range p.workers {
		for queue := range port.Queues() {
			if err := w.poller.AddFD(port.FD(queue, w.n), portToken|uint64(len(p.devices.list))<<16|uint64(queue)); err != nil {
				return fmt.Errorf("XDP on %s: wait for packets: %w", port.Name, err)
			}
		}
	}
	return nil
}

// below is what engines are to tell of their clients and flows; nil: nobody.
func (p *Plane) below() Below {
	if p.devices.kernel == nil {
		return nil
	}
	return p.devices.kernel
}

func (p *Plane) closeDevices() {
	for _, port := range p.devices.list {
		if err := port.Close(); err != nil {
			p.log.Error("close XDP", "device", port.Name, "err", err)
		}
	}
	p.devices.list = nil
	if k := p.devices.kernel; k != nil {
		if err := k.Close(); err != nil {
			p.log.Error("close XDP", "err", err)
		}
		p.devices.kernel = nil
	}
}

// addDoor begins to take what is for a shared socket.
func (w *worker) addDoor(a netip.AddrPort, use Use, lane uint8, token uint64) {
	if len(w.ports.list) == 0 || a.Addr().IsUnspecified() {
		return
	}
	d := w.ports.doors[a]
	if d == nil {
		d = &door{use: use}
		w.ports.doors[a] = d
	}
	d.tokens[lane] = token
	d.findLowest()
	if d.open++; d.open == 1 {
		if err := w.plane.devices.kernel.OpenDoor(a); err != nil {
			w.plane.log.Warn("packets come over the socket", "err", err)
		}
	}
}

// dropDoor ends it, before the socket closes.
func (w *worker) dropDoor(a netip.AddrPort, lane uint8, token uint64) {
	d := w.ports.doors[a]
	if d == nil || d.tokens[lane] != token {
		return
	}
	d.tokens[lane] = 0
	d.findLowest()
	if d.open--; d.open == 0 {
		delete(w.ports.doors, a)
		if err := w.plane.devices.kernel.ShutDoor(a); err != nil {
			w.plane.log.Warn("packets for an address that nobody has", "err", err)
		}
	}
}

// ErrNoXDP is what SetXDP returns where no device was taken.
var ErrNoXDP = errors.New("no device was taken at the start, or none could be")

// SetXDP switches between what the devices' programs do and having everything come over
// sockets, while packets flow. Any goroutine may call it while Run runs.
func (p *Plane) SetXDP(on bool) error {
	if p.devices.kernel == nil {
		return ErrNoXDP
	}
	if err := p.devices.kernel.Switch(on); err != nil {
		return err
	}
	return p.each(func(now mono.Time, e *Engine) error {
		e.switchBelow(now, on)
		return nil
	})
}

// portRounds is how many reads of a port are a turn.
const portRounds = 4

// drainPort carries what has arrived on a device's queue.
func (w *worker) drainPort(now mono.Time, token uint64) mono.Time {
	port, queue := w.ports.list[token>>16&0xff], int(token&0xffff)
	held := 0
	for range portRounds {
		n := port.Read(queue, w.n, &w.ports.batch)
		if n == 0 {
			break
		}
		w.batches++
		w.packets += uint64(len(w.ports.batch.Messages))
		held += w.receiveFrom(now, &w.ports.batch)
		if held >= leastHeld {
			w.flush(now)
			port.Release(w.n)
			now, held = w.plane.clock.Now(), 0
		}
		if n < xdp.MaxRead {
			break
		}
	}
	w.flush(now)
	port.Release(w.n)
	return w.plane.clock.Now()
}

// receiveFrom hands packets to the engines whose sockets they are for, in runs.
func (w *worker) receiveFrom(now mono.Time, b *xdp.Batch) (bytes int) {
	runs := w.ports.runs[:0]
	for i := 0; i < len(b.Messages); {
		to := b.To[i]
		d := w.ports.doors[to]
		lane := d.laneOf(&b.Messages[i])
		j := i
		for j < len(b.Messages) && b.To[j] == to && d.laneOf(&b.Messages[j]) == lane {
			bytes += len(b.Messages[j].Data)
			j++
		}
		if d != nil && d.tokens[lane] != 0 {
			token := d.tokens[lane]
			runs = append(runs, run{w.conns[token].lane.engine, token & (1<<laneShift - 1), b.Messages[i:j]})
		}
		i = j
	}
	for _, r := range runs {
		r.engine.Warm(r.token, r.messages)
	}
	for _, r := range runs {
		r.engine.Receive(now, r.token, r.messages)
	}
	clear(runs)
	w.ports.runs = runs
	return bytes
}

// run are packets that came one after another for one socket.
type run struct {
	engine   *Engine
	token    uint64 // the engine's own
	messages []udpio.Message
}

// laneOf is which of the worker's lanes a packet is for: at overlay addresses PoPs name it. The
// program has chosen the worker by the same rules (xdp/program.go).
func (d *door) laneOf(m *udpio.Message) uint8 {
	switch {
	case d == nil:
		return 0
	case d.use != Overlay || len(m.Data) < 2 || m.Data[1] >= MaxLanes || d.tokens[m.Data[1]] == 0:
		return d.lowest
	}
	return m.Data[1]
}

// findLowest finds the first of the lanes: clients belong to it, as lanes beyond the
// workers get none.
func (d *door) findLowest() {
	d.lowest = uint8(max(slices.IndexFunc(d.tokens[:], func(token uint64) bool { return token != 0 }), 0))
}

// flush writes what the worker's engines have made.
func (w *worker) flush(now mono.Time) {
	for _, l := range w.lanes {
		l.engine.Flush(now)
	}
}

// deviceFeatures adds what the devices have, deviceDrops what they did not carry.
func (p *Plane) deviceFeatures(f map[string]bool) {
	if len(p.cfg.XDP) == 0 {
		return
	}
	f[FeatureXDP] = p.devices.kernel != nil && p.devices.kernel.On()
	for _, port := range p.devices.list {
		f["xdp_native "+port.Name], f["xdp_zero_copy "+port.Name] = port.Native(), port.ZeroCopy()
	}
}

func (w *worker) portDrops(drops map[string]uint64) {
	for _, port := range w.ports.list {
		c := port.Counters(w.n)
		for name, n := range map[string]uint64{"xdp_damaged": c.Refused, "xdp_overflow": c.Dropped} {
			if n > 0 {
				drops[name] += n
			}
		}
	}
}

// earlyReasons are the reasons for which a device drops, as engines name them.
var earlyReasons = [xdp.Reasons]Reason{
	xdp.NotAllowed: DropNotAllowed, xdp.Denied: DropDenied, xdp.Flood: DropFlood,
	xdp.NotOverlay: DropNotOverlay, xdp.UnknownIndex: DropUnknownIndex, xdp.Handshake: DropHandshake,
	xdp.Stranger: DropNoEnd,
}

// countEarly has the first lane count what devices have dropped since this was last
// called, as it would have itself.
func (p *Plane) countEarly() {
	if p.devices.kernel == nil {
		return
	}
	first := p.lanes[0]
	first.worker.call(func(mono.Time) {
		err := p.devices.kernel.Tallies(func(a netip.AddrPort, r xdp.Reason, n xdp.Count) {
			first.engine.NoteEarly(a, earlyReasons[r], session.Count(n))
		})
		if err != nil {
			p.log.Warn("what devices have dropped is not all counted", "err", err)
		}
	})
}
