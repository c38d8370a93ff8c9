// Package xdp looks at UDP datagrams on a network device before the kernel's stack
// sees them. A small program on the device (XDP) drops what nobody would carry, carries on
// by itself what its owner has handed over, gives what is for our addresses and ports to
// sockets of family AF_XDP, and everything else to the kernel. What is sent from user space goes
// over ordinary sockets, which know neighbours, routes and how to join datagrams.
//
// The program is put together here, so that no compiler is needed: program.go finds whose a
// packet is and judges it, forward.go is its part that forwards. What all devices' programs
// share is a Kernel (maps.go), a device is a Port. Packets for sockets lie in memory that
// kernel and program share (queue.go, ring.go) and are read there (parse.go). Without
// zero-copy support in the driver the kernel copies each once, as it does for a socket.
//
// Everything may be switched while packets flow: what is not taken goes to the sockets
// that are bound to the same addresses, and nothing is lost.
package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"causeway/internal/dataplane/udpio"
)

// Port is a device whose packets we take. Each worker uses its own part of it.
type Port struct {
	Name   string
	kernel *Kernel
	index  int
	prog   *ebpf.Program
	socks  *ebpf.Map
	link   link.Link
	native bool
	queues []*queue
	parts  []part // by worker
}

// part is what a worker has of a device.
type part struct {
	parsed  Packet
	counter Counters
	_       [64]byte // no two workers' in one line of the cache
}

// Counters tell what became of packets that the device gave a worker.
type Counters struct {
	Packets uint64 // given to Read's caller
	Refused uint64 // that the kernel would have dropped: damaged, or from an impossible address
	Dropped uint64 // that found no room here
}

// Open takes a device. The error says what the machine lacks; its packets then
// come over sockets as ever.
func (k *Kernel) Open(device string) (p *Port, err error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("XDP on %s: %w; see the devices there are with: ip link", device, err)
	}
	if dev.MTU > MaxMTU {
		return nil, fmt.Errorf("XDP on %s: its MTU is %d, at most %d is possible", device, dev.MTU, MaxMTU)
	}
	p = &Port{Name: device, kernel: k, index: dev.Index, parts: make([]part, k.workers)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("XDP on %s: %w", device, err), p.Close())
		}
	}()
	if err := p.load(); err != nil {
		return p, err
	}
	for number := range maxQueues {
		q, err := openQueue(dev.Index, number, k.workers)
		if errors.Is(err, errNoQueue) {
			break
		}
		if err != nil {
			return p, err
		}
		p.queues = append(p.queues, q)
		for worker, s := range q.socks {
			if err := p.socks.Put(uint32(number*k.workers+worker), uint32(s.fd)); err != nil {
				return p, fmt.Errorf("receive queue %d: %w", number, err)
			}
		}
	}
	// A device that can be sent to is one that others' packets may be forwarded to. Only with
	// a driver that runs programs itself is it sure that it can.
	if p.native {
		if err := k.devices.Put(uint32(dev.Index), uint32(dev.Index)); err != nil {
			return p, fmt.Errorf("forward to it: %w", err)
		}
	}
	return p, nil
}

// load brings the program into the kernel and onto the device.
func (p *Port) load() (err error) {
	if p.socks, err = ebpf.NewMap(&ebpf.MapSpec{Name: "causeway_socks", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(maxQueues * p.kernel.workers)}); err != nil {
		return fmt.Errorf("make a map of sockets (AF_XDP): %w", err)
	}
	if p.prog, err = p.kernel.program(p.socks.FD()); err != nil {
		return err
	}
	p.native = true
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: p.index, Flags: link.XDPDriverMode})
	if err != nil {
		p.native = false
		var generic error
		if p.link, generic = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: p.index, Flags: link.XDPGenericMode}); generic != nil {
			return fmt.Errorf("attach the program: by the driver: %w; before the stack: %w", err, generic)
		}
	}
	return nil
}

// program loads the program for a device with these sockets.
func (k *Kernel) program(socks int) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "causeway", Type: ebpf.XDP, License: license,
		Instructions: instructions(&k.maps, socks, int32(k.workers)),
	})
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return p, nil
}

// Close gives the device's packets back to the kernel and frees everything. What
// has been received and not read is lost: switch off and Read first.
func (p *Port) Close() error {
	var err error
	if p.native && p.prog != nil {
		if e := p.kernel.devices.Delete(uint32(p.index)); e != nil && !isAbsent(e) {
			err = e
		}
	}
	if p.link != nil {
		err = errors.Join(err, p.link.Close())
		p.link = nil
	}
	if p.prog != nil {
		err = errors.Join(err, p.prog.Close())
		p.prog = nil
	}
	if p.socks != nil {
		err = errors.Join(err, p.socks.Close())
		p.socks = nil
	}
	for _, q := range p.queues {
		err = errors.Join(err, q.close())
	}
	p.queues = nil
	return err
}

// Native reports whether the driver runs the program, ZeroCopy whether packets
// reach us without being copied.
func (p *Port) Native() bool { return p.native }

// ZeroCopy: see Native.
func (p *Port) ZeroCopy() bool { return len(p.queues) > 0 && p.queues[0].zeroCopy }

// Queues is how many receive queues the device has, and FD the descriptor on which
// a worker waits for its packets of one.
func (p *Port) Queues() int { return len(p.queues) }

// FD: see Queues.
func (p *Port) FD(queue, worker int) int { return p.queues[queue].socks[worker].fd }

// Batch is what one Read got: Messages[i] was sent to To[i].
type Batch struct {
	Messages []udpio.Message
	To       []netip.AddrPort
}

// Read takes what has arrived on a queue for a worker, without waiting, and returns how many
// packets that were, those included that the kernel would have dropped. Their bytes
// are borrowed until Release.
func (p *Port) Read(queue, worker int, b *Batch) int {
	b.Messages, b.To = b.Messages[:0], b.To[:0]
	at := &p.parts[worker]
	s := p.queues[queue].socks[worker]
	arrived := s.read()
	for i := range arrived {
		if !Parse(s.frame(&arrived[i]), &at.parsed) {
			at.counter.Refused++
			continue
		}
		b.Messages = append(b.Messages, udpio.Message{Data: at.parsed.Data, From: at.parsed.From, TOS: at.parsed.TOS})
		b.To = append(b.To, at.parsed.To)
	}
	at.counter.Packets += uint64(len(b.Messages))
	return len(arrived)
}

// Release gives back the memory of everything that a worker has read.
func (p *Port) Release(worker int) {
	for _, q := range p.queues {
		q.socks[worker].release()
	}
}

// Counters tell what became of a worker's packets so far.
func (p *Port) Counters(worker int) Counters {
	c := p.parts[worker].counter
	for _, q := range p.queues {
		c.Dropped += q.socks[worker].dropped()
	}
	return c
}
