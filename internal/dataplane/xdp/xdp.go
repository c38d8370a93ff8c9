// Package xdp takes UDP datagrams from a network device before the kernel's stack
// sees them: a small program on the device (XDP) gives what is for our addresses and
// ports to sockets of family AF_XDP, and everything else to the kernel. It receives
// only. What is sent goes over ordinary sockets, which know neighbours, routes and
// how to join datagrams, and lose nothing by it.
//
// The program is put together here (program.go), so that no compiler is needed.
// Packets lie in memory that kernel and program share (queue.go, ring.go) and are
// read there (parse.go). Without zero-copy support in the driver the kernel copies
// each once, as it does for a socket.
//
// A Port may be closed, or its doors shut, while packets flow: those go to the
// sockets that are bound to the same addresses, and nothing is lost.
package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"causeway/internal/dataplane/udpio"
)

// Port is a device whose packets we take. One goroutine uses it.
type Port struct {
	Name    string
	program *program
	queues  []*queue
	doors   map[netip.AddrPort]bool

	parsed  Packet
	counter Counters
}

// Counters tell what became of packets that the device gave us.
type Counters struct {
	Packets uint64 // given to Read's caller
	Refused uint64 // that the kernel would have dropped: damaged, or from an impossible address
	Dropped uint64 // that found no room here
}

// Open takes a device. The error says what the machine lacks; its packets then
// come over sockets as ever.
func Open(device string) (p *Port, err error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("XDP on %s: %w; see the devices there are with: ip link", device, err)
	}
	if dev.MTU > MaxMTU {
		return nil, fmt.Errorf("XDP on %s: its MTU is %d, at most %d is possible", device, dev.MTU, MaxMTU)
	}
	p = &Port{Name: device, doors: map[netip.AddrPort]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("XDP on %s: %w", device, err), p.Close())
		}
	}()
	if p.program, err = load(dev.Index); err != nil {
		return p, err
	}
	for number := range maxQueues {
		q, err := openQueue(dev.Index, number)
		if errors.Is(err, errNoQueue) {
			break
		}
		if err != nil {
			return p, err
		}
		p.queues = append(p.queues, q)
		if err := p.program.socks.Put(uint32(number), uint32(q.fd)); err != nil {
			return p, fmt.Errorf("receive queue %d: %w", number, err)
		}
	}
	return p, nil
}

// Close gives the device's packets back to the kernel and frees everything. What
// has been received and not read is lost: shut the doors and Read first.
func (p *Port) Close() error {
	var err error
	if p.program != nil {
		err = p.program.close()
		p.program = nil
	}
	for _, q := range p.queues {
		err = errors.Join(err, q.close())
	}
	p.queues = nil
	return err
}

// Native reports whether the driver runs the program, ZeroCopy whether packets
// reach us without being copied.
func (p *Port) Native() bool { return p.program.native }

// ZeroCopy: see Native.
func (p *Port) ZeroCopy() bool { return len(p.queues) > 0 && p.queues[0].zeroCopy }

// OpenDoor begins to take what is for an address and port, ShutDoor ends it: from
// then on it goes to the kernel.
func (p *Port) OpenDoor(a netip.AddrPort) error {
	if err := p.program.doors.Put(keyOf(a), uint32(1)); err != nil {
		return fmt.Errorf("take packets for %v from %s: %w", a, p.Name, err)
	}
	p.doors[a] = true
	return nil
}

// ShutDoor: see OpenDoor.
func (p *Port) ShutDoor(a netip.AddrPort) error {
	if !p.doors[a] {
		return nil
	}
	delete(p.doors, a)
	if err := p.program.doors.Delete(keyOf(a)); err != nil {
		return fmt.Errorf("leave packets for %v to the kernel: %w", a, err)
	}
	return nil
}

// Queues is how many receive queues the device has, and FD the descriptor on which
// to wait for one's packets.
func (p *Port) Queues() int { return len(p.queues) }

// FD: see Queues.
func (p *Port) FD(queue int) int { return p.queues[queue].fd }

// Batch is what one Read got: Messages[i] was sent to To[i].
type Batch struct {
	Messages []udpio.Message
	To       []netip.AddrPort
}

// Read takes what has arrived on a queue, without waiting, and returns how many
// packets that were, those included that the kernel would have dropped. Their bytes
// are borrowed until Release.
func (p *Port) Read(queue int, b *Batch) int {
	b.Messages, b.To = b.Messages[:0], b.To[:0]
	n := p.queues[queue].read(func(frame []byte) {
		if !Parse(frame, &p.parsed) {
			p.counter.Refused++
			return
		}
		b.Messages = append(b.Messages, udpio.Message{Data: p.parsed.Data, From: p.parsed.From, TOS: p.parsed.TOS})
		b.To = append(b.To, p.parsed.To)
	})
	p.counter.Packets += uint64(len(b.Messages))
	return n
}

// Release gives back the memory of everything that was read.
func (p *Port) Release() {
	for _, q := range p.queues {
		if len(q.lent) > 0 {
			q.release()
		}
	}
}

// Counters tell what became of packets so far.
func (p *Port) Counters() Counters {
	c := p.counter
	for _, q := range p.queues {
		c.Dropped += q.dropped()
	}
	return c
}
