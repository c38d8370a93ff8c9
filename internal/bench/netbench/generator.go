package netbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stream is what a generator sends: packets of ESP in UDP, from each client in
// turn, numbered one by one in each client's own tunnel.
type Stream struct {
	Clients []netip.AddrPort // IPv4
	To      netip.AddrPort
	Size    int // of the UDP payload, at least 12
	// Kind, when not 0, is the first byte of payloads, as PoPs' datagrams have one, instead
	// of an SPI's.
	Kind byte
}

// Window bounds what a generator has on its way, so that the forwarder always
// has work and nothing is lost for want of room: the forwarder is the
// bottleneck, and what is measured is packets that crossed.
type Window struct {
	// Ring is how many packets may wait at the first device; its ring has 256.
	Ring int
	// Total is how many may be anywhere between generator and sink.
	Total int
}

// DefaultWindow keeps forwarders busy with room to spare in every queue.
var DefaultWindow = Window{Ring: 192, Total: 2048}

// Burst is how many packets one system call of the generator sends.
const Burst = 64

// Generator sends a Stream from a port, packet by packet. Over a socket the checksum is left
// to the device as a network card's driver would: the receiver need not compute it. As frames
// they have none, which is what RFC 3948 wants of ESP.
type Generator struct {
	from, first *Port
	sink        *Sink
	window      Window
	core        Core
	fd          int     // a socket's;
	driver      *frames // when not nil, what is used instead
	waits       bool    // see Wait
	tid         atomic.Int64

	// Of a run.
	sent     uint64
	kind     byte
	refused  uint64 // ever: for which the queue had no room
	heads    []mmsghdr
	iovecs   []unix.Iovec
	frames   []byte
	sequence []uint32 // by client
}

type mmsghdr struct {
	unix.Msghdr
	n uint32
	_ uint32
}

// Feed is how a generator's packets come to the first device.
type Feed int

const (
	Packets Feed = iota // as a socket sends them
	Frames              // as a network card's driver has them (frames.go)
)

// NewGenerator returns a generator on port from, whose cable ends at first. It empties
// the sink while it runs.
func NewGenerator(from, first *Port, sink *Sink, w Window, c Core, feed Feed) (*Generator, error) {
	g := &Generator{from: from, first: first, sink: sink, window: w, core: c, fd: -1}
	err := from.NS.Do(func() (err error) {
		if feed == Frames {
			g.driver, err = openFrames(from.Name)
		} else {
			g.fd, err = openPacket(from.Name)
		}
		return err
	})
	if err == nil && feed == Frames {
		err = from.NS.Up(from.Name + "f")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("generator on %s: %w", from.Name, err), g.Close())
	}
	return g, nil
}

// openPacket opens a raw socket that sends past queues and takes with every packet
// what the device is to do to it.
func openPacket(device string) (int, error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: receives nothing
	if err != nil {
		return -1, err
	}
	for _, option := range [...]int{unix.PACKET_QDISC_BYPASS, unix.PACKET_VNET_HDR} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Wait makes packets for which the first device's ring has no room wait in the queue that
// CableOptions.Queue gives it (Linux 6.16): a network card's ring has 1,024 places and more.
func (g *Generator) Wait() error {
	if g.driver != nil {
		return nil
	}
	g.waits = true
	return os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", unix.SetsockoptInt(g.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 0))
}

// Dropped is how many packets found no room at the first device ever.
func (g *Generator) Dropped() (uint64, error) {
	n, err := g.from.Dropped()
	return n + g.refused, err
}

// Close closes the generator.
func (g *Generator) Close() error {
	if g.driver != nil {
		return g.driver.close()
	}
	if g.fd < 0 {
		return nil
	}
	return unix.Close(g.fd)
}

// CPU is what the generating thread has used. It is 0 unless Run runs.
func (g *Generator) CPU() time.Duration {
	if tid := int(g.tid.Load()); tid != 0 {
		t, _ := threadTime(tid, tid)
		return t
	}
	return 0
}

// A packet before the UDP payload, behind what the device is to do (struct
// virtio_net_hdr: flags, GSO type, three lengths, checksum's start and offset).
const (
	offloadLen  = 10
	ethernetLen = 14
	headLen     = offloadLen + ethernetLen + ipUDP
)

// Run sends s until stop is set, and returns how many packets it sent and how many of
// them never came to the sink. The calling goroutine's thread is spent: the goroutine
// must end soon after.
func (g *Generator) Run(s *Stream, stop *atomic.Bool) (sent, lost uint64, err error) {
	runtime.LockOSThread() // and never unlock
	g.tid.Store(int64(unix.Gettid()))
	defer g.tid.Store(0)
	if err := g.core.takeThread(unix.Gettid()); err != nil {
		return 0, 0, fmt.Errorf("generator: %w", err)
	}
	g.prepare(s)
	heads := make([][headLen]byte, len(s.Clients))
	for i, c := range s.Clients {
		g.head(&heads[i], c, s.To, s.Size)
	}
	f, err := g.begin(s.Size)
	for at := 0; err == nil && !stop.Load(); {
		ok, err := f.ready()
		if err != nil {
			return g.sent, 0, err
		}
		if !ok {
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			continue
		}
		for i := range Burst {
			frame := g.frames[i*(headLen+s.Size):]
			copy(frame, heads[at][:])
			g.number(frame, at)
			if at++; at == len(s.Clients) {
				at = 0
			}
		}
		if err := g.send(Burst); err != nil {
			return g.sent, 0, err
		}
	}
	if err == nil {
		lost, err = f.settle()
	}
	return g.sent, lost, err
}

// Greet sends one packet of each client, so that forwarders make its sessions. Not
// while Run runs.
func (g *Generator) Greet(s *Stream) error {
	g.prepare(s)
	for first := 0; first < len(s.Clients); first += Burst {
		n := min(Burst, len(s.Clients)-first)
		for i := range n {
			frame := g.frames[i*(headLen+s.Size):]
			g.head((*[headLen]byte)(frame), s.Clients[first+i], s.To, s.Size)
			g.number(frame, first+i)
		}
		if err := g.send(n); err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the first device's ring holds 256
	}
	return nil
}

// number makes a packet the next of a client's tunnel.
func (g *Generator) number(frame []byte, client int) {
	g.sequence[client]++
	binary.BigEndian.PutUint32(frame[headLen:], uint32(g.kind)<<24|uint32(0x1000+client)) // SPI
	binary.BigEndian.PutUint32(frame[headLen+4:], g.sequence[client])
}

// prepare lays out memory for bursts.
func (g *Generator) prepare(s *Stream) {
	size := headLen + s.Size
	g.kind = s.Kind
	g.frames = make([]byte, Burst*size)
	g.heads, g.iovecs = make([]mmsghdr, Burst), make([]unix.Iovec, Burst)
	if len(g.sequence) < len(s.Clients) { // numbers go on from run to run, as the forwarders' windows do
		g.sequence = append(g.sequence, make([]uint32, len(s.Clients)-len(g.sequence))...)
	}
	for i := range g.heads {
		g.iovecs[i].Base = &g.frames[i*size]
		g.iovecs[i].SetLen(size)
		g.heads[i].Iov = &g.iovecs[i]
		g.heads[i].SetIovlen(1)
	}
}

// head writes everything before the payload.
func (g *Generator) head(b *[headLen]byte, from, to netip.AddrPort, size int) {
	const needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	b[0] = needsChecksum
	binary.NativeEndian.PutUint16(b[6:], ethernetLen+20) // from the UDP header on,
	binary.NativeEndian.PutUint16(b[8:], 6)              // to its checksum field
	eth := b[offloadLen:]
	copy(eth, g.first.MAC)
	copy(eth[6:], g.from.MAC)
	binary.BigEndian.PutUint16(eth[12:], unix.ETH_P_IP)
	ip := eth[ethernetLen:]
	source, target := from.Addr().As4(), to.Addr().As4()
	ip[0], ip[6], ip[8], ip[9] = 0x45, 0x40, 64, unix.IPPROTO_UDP // 20 bytes, DF, TTL
	binary.BigEndian.PutUint16(ip[2:], uint16(ipUDP+size))
	copy(ip[12:], source[:])
	copy(ip[16:], target[:])
	ip[10], ip[11] = 0, 0 // of the packet that was here before
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:20], 0))
	udp := ip[20:]
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+size))
	if g.driver != nil {
		return // none (RFC 768)
	}
	// The pseudo-header's sum; the device would add the rest (RFC 768).
	binary.BigEndian.PutUint16(udp[6:], sum(ip[12:20], uint32(unix.IPPROTO_UDP)+uint32(8+size)))
}

// sum is the Internet's checksum (RFC 1071) of an even number of bytes.
func sum(b []byte, start uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		start += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for start > 0xffff {
		start = start>>16 + start&0xffff
	}
	return uint16(start)
}

// stallAfter is how long nothing may arrive with the window full before what is
// on its way counts as lost. It is long because the machine's other work, and its
// hypervisor, hold up forwarders: what is then taken for lost would come on top.
const stallAfter = 250 * time.Millisecond

// flow knows what is on its way.
type flow struct {
	g       *Generator
	payload int
	atFirst uint64
	atSink  uint64
	drops   uint64
	lost    uint64 // given up
	arrived uint64
	moved   time.Time // when arrived last grew
}

func (g *Generator) begin(payload int) (f flow, err error) {
	if err := g.sink.drain(payload); err != nil { // what is left of a run before
		return f, err
	}
	f = flow{g: g, payload: payload, atSink: g.sink.Count(), moved: time.Now()}
	g.sent = 0
	first, err := g.first.Received()
	if err != nil {
		return f, err
	}
	f.atFirst = first.Packets
	f.drops, err = g.from.Dropped()
	return f, err
}

// underway is how many packets wait at the first device, and how many are anywhere
// before the sink.
func (f *flow) underway() (ring, total uint64, err error) {
	if err := f.g.sink.drain(f.payload); err != nil {
		return 0, 0, err
	}
	if arrived := f.g.sink.Count() - f.atSink; arrived != f.arrived {
		f.arrived, f.moved = arrived, time.Now()
	}
	first, err := f.g.first.Received()
	if err != nil {
		return 0, 0, err
	}
	drops, err := f.g.from.Dropped()
	if err != nil {
		return 0, 0, err
	}
	sent := f.g.sent - (drops - f.drops)
	// What was given up may arrive after all.
	return sent - min(sent, first.Packets-f.atFirst), sent - min(sent, f.arrived+f.lost), nil
}

// ready reports whether another burst may be sent.
func (f *flow) ready() (bool, error) {
	ring, total, err := f.underway()
	if err != nil || ring+Burst > uint64(f.g.window.Ring) {
		return false, err
	}
	if total+Burst <= uint64(f.g.window.Total) {
		return true, nil
	}
	if time.Since(f.moved) > stallAfter {
		f.lost, f.moved = f.lost+total, time.Now()
	}
	return false, nil
}

// settle waits until all has arrived, or nothing comes any more, and returns how much
// of what was sent was lost.
func (f *flow) settle() (lost uint64, err error) {
	f.lost, f.moved = 0, time.Now()
	for {
		_, total, err := f.underway()
		if err != nil || total == 0 || time.Since(f.moved) > stallAfter {
			return total, err
		}
		time.Sleep(time.Millisecond)
	}
}

// send sends the first n frames. What the kernel does not take at once is tried again.
func (g *Generator) send(n int) error {
	if g.driver != nil {
		return g.handOver(n)
	}
	for at := 0; at < n; {
		took, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(g.fd), uintptr(unsafe.Pointer(&g.heads[at])), uintptr(n-at), 0, 0, 0)
		switch errno {
		case 0:
			at += int(took)
		case unix.EINTR, unix.EAGAIN:
		case unix.ENOBUFS: // the first device's ring was full: dropped, and counted there but for its queue
			at++
			if g.waits {
				g.refused++
			}
		default:
			return fmt.Errorf("generator: send: %w", errno)
		}
	}
	g.sent += uint64(n)
	return nil
}

// handOver is send without a socket.
func (g *Generator) handOver(n int) error {
	for i := range n {
		v := g.heads[i].Iov
		if err := g.driver.send(unsafe.Slice(v.Base, v.Len)[offloadLen:]); err != nil {
			return err
		}
	}
	g.sent += uint64(n)
	return nil
}
