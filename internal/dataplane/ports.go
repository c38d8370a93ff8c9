package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/dataplane/xdp"
	"causeway/internal/mono"
)

// Packets for shared sockets can be taken from devices, past the kernel's stack
// (package xdp). What comes that way is carried as what a socket has read; replies go
// out over the sockets, which stay open all the time: whatever a device does not hand
// over reaches them, so that this can be switched while packets flow.

// ports are a worker's devices and the doors that their packets come for.
type ports struct {
	list  []*xdp.Port
	on    bool
	doors map[netip.AddrPort]*door
	batch xdp.Batch
}

// door is a shared socket's address, with the sockets of the worker's lanes by lane.
type door struct {
	use    Use
	tokens [MaxLanes]uint64
	open   int // how many there are
}

// portToken is where the poller's tokens have a device, in the place of a lane.
const portToken = uint64(0xff) << laneShift

// openPorts takes the devices that the configuration names. One that cannot be
// taken is told of, and its packets come over sockets.
func (w *worker) openPorts(devices []string) {
	w.ports.doors = map[netip.AddrPort]*door{}
	w.ports.on = len(devices) > 0
	for _, name := range devices {
		port, err := xdp.Open(name)
		if err != nil {
			w.plane.log.Warn("packets come over sockets", "err", err)
			continue
		}
		if err := w.pollPort(port, len(w.ports.list)); err != nil {
			w.plane.log.Warn("packets come over sockets", "err", errors.Join(err, port.Close()))
			continue
		}
		w.ports.list = append(w.ports.list, port)
		w.plane.log.Info("packets are taken before the stack", "device", name, "by_driver", port.Native(), "zero_copy", port.ZeroCopy(), "queues", port.Queues())
	}
}

func (w *worker) pollPort(port *xdp.Port, at int) error {
	for queue := range port.Queues() {
		if err := w.poller.AddFD(port.FD(queue), portToken|uint64(at)<<16|uint64(queue)); err != nil {
			return fmt.Errorf("XDP on %s: wait for packets: %w", port.Name, err)
		}
	}
	return nil
}

func (w *worker) closePorts() {
	for _, port := range w.ports.list {
		if err := port.Close(); err != nil {
			w.plane.log.Error("close XDP", "device", port.Name, "err", err)
		}
	}
	w.ports.list = nil
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
	if d.open++; d.open == 1 && w.ports.on {
		w.swing(a, true)
	}
}

// dropDoor ends it, before the socket closes.
func (w *worker) dropDoor(a netip.AddrPort, lane uint8, token uint64) {
	d := w.ports.doors[a]
	if d == nil || d.tokens[lane] != token {
		return
	}
	d.tokens[lane] = 0
	if d.open--; d.open == 0 {
		w.swing(a, false)
		delete(w.ports.doors, a)
	}
}

// swing opens or shuts a door at all devices.
func (w *worker) swing(a netip.AddrPort, open bool) {
	for _, port := range w.ports.list {
		f := port.ShutDoor
		if open {
			f = port.OpenDoor
		}
		if err := f(a); err != nil {
			w.plane.log.Warn("packets come over the socket", "err", err)
		}
	}
}

// ErrNoXDP is what SetXDP returns where no device was taken.
var ErrNoXDP = errors.New("no device was taken at the start, or none could be")

// SetXDP switches between taking packets from the devices and having them come over
// sockets, while they flow. Any goroutine may call it while Run runs.
func (p *Plane) SetXDP(on bool) error {
	err := ErrStopped
	w := p.workers[0]
	w.call(func(mono.Time) {
		if err = nil; len(w.ports.list) == 0 {
			err = ErrNoXDP
			return
		}
		w.ports.on = on
		for a := range w.ports.doors {
			w.swing(a, on)
		}
	})
	return err
}

// portBatch is how many packets a read of a port brings at least, unless there are no
// more, and portRounds how many reads are a turn.
const (
	portBatch  = 64
	portRounds = 4
)

// drainPort carries what has arrived on a device's queue.
func (w *worker) drainPort(now mono.Time, token uint64) mono.Time {
	port, queue := w.ports.list[token>>16&0xff], int(token&0xffff)
	held := 0
	for range portRounds {
		n := port.Read(queue, &w.ports.batch)
		if n == 0 {
			break
		}
		w.batches++
		w.packets += uint64(len(w.ports.batch.Messages))
		held += w.receiveFrom(now, &w.ports.batch)
		if held >= leastHeld {
			w.flush(now)
			port.Release()
			now, held = w.plane.clock.Now(), 0
		}
		if n < portBatch {
			break
		}
	}
	w.flush(now)
	port.Release()
	return w.plane.clock.Now()
}

// receiveFrom hands packets to the engines whose sockets they are for, in runs.
func (w *worker) receiveFrom(now mono.Time, b *xdp.Batch) (bytes int) {
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
			w.conns[token].lane.engine.Receive(now, token&(1<<laneShift-1), b.Messages[i:j])
		}
		i = j
	}
	return bytes
}

// laneOf is where the kernel would steer a packet to: a worker with devices is the
// only one, so only PoPs name lanes.
func (d *door) laneOf(m *udpio.Message) uint8 {
	if d == nil || d.use != Overlay || len(m.Data) < 2 || m.Data[1] >= MaxLanes || d.tokens[m.Data[1]] == 0 {
		return 0
	}
	return m.Data[1]
}

// flush writes what the worker's engines have made.
func (w *worker) flush(now mono.Time) {
	for _, l := range w.lanes {
		l.engine.Flush(now)
	}
}

// portFeatures adds what the devices have, portDrops what they did not carry.
func (w *worker) portFeatures(f map[string]bool) {
	if len(w.plane.cfg.XDP) == 0 {
		return
	}
	f[FeatureXDP] = len(w.ports.list) > 0 && w.ports.on
	for _, port := range w.ports.list {
		f["xdp_native "+port.Name], f["xdp_zero_copy "+port.Name] = port.Native(), port.ZeroCopy()
	}
}

func (w *worker) portDrops(drops map[string]uint64) {
	for _, port := range w.ports.list {
		c := port.Counters()
		for name, n := range map[string]uint64{"xdp_damaged": c.Refused, "xdp_overflow": c.Dropped} {
			if n > 0 {
				drops[name] += n
			}
		}
	}
}
