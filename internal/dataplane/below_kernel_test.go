package dataplane

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	ebpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"causeway/internal/dataplane/xdp"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// These tests run a Plane with XDP in a process and network namespace of its own:
//
//	client ─ outside ═ inside ─ PoP ─ near ═ far ─ endpoint
//
// A client's packets are put on the cable as they are, and so read behind it.

const inOwnNamespace = "CAUSEWAY_TEST_NAMESPACE"

// inside runs the test that calls it once more, as a process in a namespace of its
// own, and reports whether this is that process.
func insideNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inOwnNamespace) != "" {
		alone = func() {} // nobody else has its addresses
		for _, c := range []string{
			"ip link set lo up",
			"ip link add outside numrxqueues 2 numtxqueues 2 type veth peer name inside numrxqueues 2 numtxqueues 2",
			"ip link add far type veth peer name near",
			"ip addr add 198.18.0.2/24 dev inside", "ip addr add 198.51.100.1/24 dev near",
			"ip link set outside up", "ip link set inside up", "ip link set far up", "ip link set near up",
			"ip route add 10.0.0.0/8 via 198.18.0.1", "ip neigh add 198.18.0.1 lladdr 02:00:00:00:00:01 dev inside nud permanent",
			"ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev near nud permanent",
			"echo 1 > /proc/sys/net/ipv4/conf/inside/forwarding", "echo 1 > /proc/sys/net/ipv4/conf/near/forwarding",
		} {
			if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c, err, out)
			}
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), inOwnNamespace+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("in a namespace: %v\n%s", err, out)
	}
	return false
}

// cable is the far end of a cable: it takes what a test sends and has what the PoP sent.
type cable struct {
	t     *testing.T
	fd    int
	index int
	to    net.HardwareAddr
	read  []byte
}

func openCable(t *testing.T, here, there string) *cable {
	t.Helper()
	a, err := net.InterfaceByName(here)
	if err != nil {
		t.Fatal(err)
	}
	b, err := net.InterfaceByName(there)
	if err != nil {
		t.Fatal(err)
	}
	const all = 0x0300 // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: a.Index}); err != nil {
		t.Fatal(err)
	}
	// A veth takes what is redirected to it only where its other end has a program.
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	l, err := ebpflink.AttachXDP(ebpflink.XDPOptions{Program: prog, Interface: a.Index, Flags: ebpflink.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &cable{t: t, fd: fd, index: a.Index, to: b.HardwareAddr, read: make([]byte, 1<<16)}
}

func (w *cable) send(f []byte) {
	copy(f, w.to)
	for until := time.Now().Add(20 * time.Second); ; {
		err := unix.Sendto(w.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: w.index, Halen: 6})
		if err == nil {
			return
		}
		if err != unix.EAGAIN && err != unix.ENOBUFS || time.Now().After(until) {
			w.t.Fatalf("send: %v", err)
		}
	}
}

// got reads what has come; nil: nothing. What the test has sent itself is not among it.
func (w *cable) got() []byte {
	for {
		n, from, err := unix.Recvfrom(w.fd, w.read, 0)
		if err != nil {
			return nil
		}
		if a, ok := from.(*unix.SockaddrLinklayer); ok && a.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if f := w.read[:n]; n >= 42 && f[12] == 8 && f[13] == 0 && f[14] == 0x45 && f[23] == 17 {
			return f
		}
	}
}

// datagram makes a frame.
func datagram(from, to netip.AddrPort, tos byte, payload []byte) []byte {
	f := make([]byte, 42, 42+len(payload))
	f[12] = 8
	ip := f[14:]
	copy(ip, []byte{0x45, tos, 0, 0, 0, 7, 0x40, 0, 64, 17})
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], ^onesSum(ip[:20], 0))
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
	f = append(f, payload...)
	sum := ^onesSum(f[34:], uint32(onesSum(f[26:34], uint32(17+8+len(payload)))))
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(f[40:], sum)
	return f
}

func onesSum(b []byte, start uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		start += w
	}
	for start > 0xffff {
		start = start>>16 + start&0xffff
	}
	return uint16(start)
}

// boxed is a PoP that is ingress and egress at once, with an established tunnel.
type boxed struct {
	*testing.T
	plane         *Plane
	left, right   *cable
	client, accel netip.AddrPort
	exit, far     netip.AddrPort
}

const spiThere, spiBack = 0xc0ffee01, 0xbadcafe1

func newBoxed(t *testing.T, cfg Config, edit func(*snapshot.Snapshot)) *boxed {
	b := &boxed{
		T: t, client: netip.MustParseAddrPort("10.9.1.2:40001"), accel: netip.MustParseAddrPort("198.18.0.2:4500"),
		exit: netip.MustParseAddrPort("198.51.100.1:40001"), far: netip.MustParseAddrPort("198.51.100.2:4500"),
	}
	b.left, b.right = openCable(t, "outside", "inside"), openCable(t, "far", "near")
	cfg.Key = key(t, 1)
	b.plane, _ = runPlane(t, cfg)
	s := snapshot.Snapshot{
		Format: 1, Version: 1, PoP: snapshot.PoP{Name: "box", Label: 1, Overlay: []snapshot.Overlay{{Name: "net", Bind: netip.MustParseAddrPort("198.18.0.2:4600")}}},
		EndpointGroups: []snapshot.EndpointGroup{{Name: "g", PoP: "box", EgressIP: snapshot.Address{Bind: b.exit.Addr()}, Endpoints: []snapshot.Endpoint{{Address: b.far.Addr()}}}},
		Listeners: []snapshot.Listener{{
			Name: "vpn", Addresses: []snapshot.Address{{Bind: b.accel.Addr()}}, Ports: []uint16{500, 4500}, EndpointGroup: "g", InKernel: true,
		}},
	}
	if edit != nil {
		edit(&s)
	}
	if err := b.plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	return b
}

// marked is IKE as it is on port 4500.
func marked(m []byte, id byte) []byte {
	m[23] = id // of the message
	return append(make([]byte, 4), m...)
}

// cross sends a frame at one side and waits until it has come out at the other.
func (b *boxed) cross(in, out *cable, f []byte) []byte {
	b.Helper()
	in.send(f)
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Microsecond) {
		if got := out.got(); got != nil && string(got[42:]) == string(f[42:]) {
			return slices.Clone(got)
		}
	}
	b.Fatalf("% x … did not come out", f[26:min(len(f), 60)])
	return nil
}

// establish proves the client: it repeats what the endpoint has sent it.
func (b *boxed) establish() {
	b.Helper()
	there := func(m []byte) { b.exit = b.cameFrom(b.cross(b.left, b.right, datagram(b.client, b.accel, 0, m))) }
	there(marked(ikeMessage(1<<60, 0, 34, 0x08), 0))
	b.cross(b.right, b.left, datagram(b.far, b.exit, 0, marked(ikeMessage(1<<60, 2, 34, 0x20), 0)))
	there(marked(ikeMessage(1<<60, 2, 35, 0x08), 1))
	b.cross(b.right, b.left, datagram(b.far, b.exit, 0, marked(ikeMessage(1<<60, 2, 35, 0x20), 1)))
	for seq := uint32(1); seq <= 3; seq++ {
		b.cross(b.left, b.right, datagram(b.client, b.accel, 0, espPayload(spiThere, seq, 100)))
		b.cross(b.right, b.left, datagram(b.far, b.exit, 0, espPayload(spiBack, seq, 100)))
	}
}

func (b *boxed) cameFrom(f []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(f[26:30])), binary.BigEndian.Uint16(f[34:]))
}

func espPayload(spi, seq uint32, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*13 + n)
	}
	binary.BigEndian.PutUint32(p, spi)
	binary.BigEndian.PutUint32(p[4:], seq)
	return p
}

// text is what every way has to make of a packet. Its number, time to live and whether
// it has a checksum are each way's own.
func text(t *testing.T, f []byte) string {
	var p xdp.Packet
	if !xdp.Parse(f, &p) {
		t.Errorf("damaged: % x", f[14:42])
	}
	return fmt.Sprintf("%v→%v %#x %x", p.From, p.To, p.TOS, p.Data)
}

func (b *boxed) switchXDP(on bool) {
	b.Helper()
	if err := b.plane.SetXDP(on); err != nil {
		b.Fatal(err)
	}
}

// capture is what both ends send, in turn; odd numbers come from the endpoint.
func (b *boxed) capture() (list [][]byte) {
	seq := uint32(10)
	for i, n := range []int{12, 13, 60, 61, 255, 700, 1400, 1472} {
		seq++
		list = append(list, datagram(b.client, b.accel, byte(i)<<2|byte(i)&3, espPayload(spiThere, seq, n)), datagram(b.far, b.exit, byte(i)<<2|2, espPayload(spiBack, seq, n)))
	}
	return append(list,
		datagram(b.client, b.accel, 0, marked(ikeMessage(1<<60, 2, 37, 0x08), 2)), datagram(b.far, b.exit, 0, marked(ikeMessage(1<<60, 2, 37, 0x20), 2)),
		datagram(b.client, b.accel, 0, []byte{0xff}), datagram(b.far, b.exit, 0, []byte{0xff}),
		datagram(b.client, b.accel, 0, espPayload(spiThere, 9, 90)), datagram(b.far, b.exit, 0, espPayload(spiBack, 9, 90)),
	)
}

func (b *boxed) replay() (out []string) {
	b.Helper()
	for i, f := range b.capture() {
		if i%2 == 0 {
			out = append(out, text(b.T, b.cross(b.left, b.right, f)))
		} else {
			out = append(out, text(b.T, b.cross(b.right, b.left, f)))
		}
	}
	return out
}

func TestTheKernelForwardsWhatUserSpaceWould(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	b := newBoxed(t, Config{XDP: []string{"inside", "near"}}, nil)
	b.establish()
	before := b.plane.Report()
	if before.Forwarded.Sessions != 1 {
		t.Fatalf("%d sessions were handed over", before.Forwarded.Sessions)
	}
	grown := func() (out []string, by report.PoP) {
		was := b.plane.Report()
		out = b.replay()
		by = b.plane.Report()
		sub := func(x *report.Counter, y report.Counter) { x.Packets -= y.Packets; x.Bytes -= y.Bytes }
		sub(&by.Sessions.List[0].ToEndpoint, was.Sessions.List[0].ToEndpoint)
		sub(&by.Sessions.List[0].ToClient, was.Sessions.List[0].ToClient)
		traffic := func(x *report.Traffic, y report.Traffic) {
			x.PacketsFromPeer -= y.PacketsFromPeer
			x.PacketsToPeer -= y.PacketsToPeer
			x.BytesFromPeer -= y.BytesFromPeer
			x.BytesToPeer -= y.BytesToPeer
		}
		traffic(&by.Listeners[0].Traffic, was.Listeners[0].Traffic)
		traffic(&by.Egresses[0].Endpoints[0].Traffic, was.Egresses[0].Endpoints[0].Traffic)
		by.Forwarded.Packets -= was.Forwarded.Packets
		return out, by
	}
	b.switchXDP(false)
	want, counted := grown()
	if counted.Forwarded.Packets != 0 {
		t.Errorf("%d packets were forwarded while it was off", counted.Forwarded.Packets)
	}
	b.switchXDP(true)
	got, counts := grown()
	if !slices.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("packet %d: in the kernel\n%.120s\nin user space\n%.120s", i, got[i], want[i])
			}
		}
	}
	if n := counts.Forwarded.Packets; n != 18 { // all ESP of SAs that were handed over
		t.Errorf("the kernel forwarded %d packets, want 18", n)
	}
	same := func(what string, got, want any) {
		if got != want {
			t.Errorf("%s: %+v, in user space %+v", what, got, want)
		}
	}
	same("to the endpoint", counts.Sessions.List[0].ToEndpoint, counted.Sessions.List[0].ToEndpoint)
	same("to the client", counts.Sessions.List[0].ToClient, counted.Sessions.List[0].ToClient)
	same("listener", counts.Listeners[0].Traffic, counted.Listeners[0].Traffic)
	same("egress", counts.Egresses[0].Endpoints[0].Traffic, counted.Egresses[0].Endpoints[0].Traffic)
	same("drops", fmt.Sprint(counts.Drops), fmt.Sprint(counted.Drops))

	// An SA that is new comes here until it is known to be one.
	for seq := uint32(1); seq <= 4; seq++ {
		b.cross(b.left, b.right, datagram(b.client, b.accel, 0, espPayload(spiThere+1, seq, 80)))
		b.cross(b.left, b.right, datagram(b.client, b.accel, 0, espPayload(spiThere, 100+seq, 80)))
	}
	if n := b.plane.Report().Forwarded.Packets - before.Forwarded.Packets; n != 18+6 {
		t.Errorf("%d packets of two SAs were forwarded, want 24", n)
	}
}

func TestTheKernelPassesOnWhatUserSpaceWould(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	left, right, at := netip.MustParseAddrPort("10.9.1.2:4600"), netip.MustParseAddrPort("198.51.100.2:4600"), netip.MustParseAddrPort("198.18.0.2:4700")
	b := newBoxed(t, Config{Workers: 2, XDP: []string{"inside", "near"}}, func(s *snapshot.Snapshot) {
		s.Passthroughs = []snapshot.Passthrough{{Local: "net", Port: at.Port(), Ends: [2]snapshot.End{{PoP: "left", Remote: left}, {PoP: "right", Remote: right}}}}
	})
	sealed := func(kind, shard byte, n int) []byte {
		p := espPayload(0, uint32(n), max(n, 8))[:n]
		copy(p, []byte{kind, shard})
		return p
	}
	replay := func() (out []string, by report.PoP) {
		was := b.plane.Report()
		for i, n := range []int{32, 33, 64, 180, 255, 1000, 1400, 1472} {
			for kind := byte(1); kind <= 4; kind++ {
				for shard := range byte(3) {
					p := sealed(kind, shard, n)
					out = append(out, text(t, b.cross(b.left, b.right, datagram(left, at, byte(i)<<2|kind&3, p))), text(t, b.cross(b.right, b.left, datagram(right, at, byte(i), p))))
				}
			}
		}
		strangers := 0
		for _, from := range []netip.AddrPort{netip.AddrPortFrom(left.Addr(), 4601), netip.MustParseAddrPort("10.9.9.9:4600")} {
			b.left.send(datagram(from, at, 0, sealed(4, 0, 100)))
			strangers++
		}
		for _, p := range [][]byte{sealed(5, 0, 100), sealed(0, 1, 100), sealed(4, 0, 31), {}} {
			b.left.send(datagram(left, at, 0, p))
		}
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			by = b.plane.Report()
			if by.Drops["passthrough_stranger"]-was.Drops["passthrough_stranger"] == uint64(strangers) && by.Drops["not_overlay"]-was.Drops["not_overlay"] == 4 {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("drops %v, before %v", by.Drops, was.Drops)
			}
		}
		for i := range by.Passthroughs[0].Ends {
			c, old := &by.Passthroughs[0].Ends[i].Sent, was.Passthroughs[0].Ends[i].Sent
			c.Packets -= old.Packets
			c.Bytes -= old.Bytes
		}
		by.Forwarded.Packets -= was.Forwarded.Packets
		return out, by
	}
	b.switchXDP(false)
	want, counted := replay()
	if counted.Forwarded.Packets != 0 {
		t.Errorf("%d packets were forwarded while it was off", counted.Forwarded.Packets)
	}
	b.switchXDP(true)
	got, counts := replay()
	if len(want) != 8*4*3*2 || !slices.Equal(got, want) {
		t.Errorf("in the kernel\n%.2000q\nin user space\n%.2000q", got, want)
	}
	if n := counts.Forwarded.Packets; n != uint64(len(want)) {
		t.Errorf("the kernel passed on %d packets of %d", n, len(want))
	}
	if p := counts.Passthroughs[0]; p != counted.Passthroughs[0] || !p.InKernel || p.Ends[0].Sent.Packets != uint64(len(want)/2) || p.Ends[0].Sent.Bytes != p.Ends[1].Sent.Bytes {
		t.Errorf("in the kernel %+v, in user space %+v", p, counted.Passthroughs[0])
	}
	// The same again changes nothing; another end, and the old one is a stranger.
	s := *b.plane.applied
	s.Version++
	s.Passthroughs = slices.Clone(s.Passthroughs)
	if err := b.plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	before := b.plane.Report()
	b.cross(b.left, b.right, datagram(left, at, 0, sealed(4, 0, 99)))
	if now := b.plane.Report(); now.Forwarded.Packets != before.Forwarded.Packets+1 || now.Passthroughs[0].Ends[0].Sent.Packets != before.Passthroughs[0].Ends[0].Sent.Packets+1 {
		t.Errorf("after the same snapshot: %+v, before %+v", now.Passthroughs, before.Passthroughs)
	}
	s.Version++
	s.Passthroughs[0].Ends[0].Remote = netip.AddrPortFrom(left.Addr(), 4610)
	if err := b.plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	b.cross(b.left, b.right, datagram(s.Passthroughs[0].Ends[0].Remote, at, 0, sealed(4, 0, 98)))
	b.left.send(datagram(left, at, 0, sealed(4, 0, 97)))
	for until := time.Now().Add(20 * time.Second); b.plane.Report().Drops["passthrough_stranger"] == before.Drops["passthrough_stranger"]; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the former end is no stranger")
		}
	}
	if now := b.plane.Report().Passthroughs[0]; now.Ends[0].Sent.Packets != 1 {
		t.Errorf("the new end has sent %d", now.Ends[0].Sent.Packets)
	}
}

func TestNothingIsLostWhileXDPIsSwitched(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	b := newBoxed(t, Config{XDP: []string{"inside", "near"}}, nil)
	b.establish()
	const packets = 3000
	seen := map[uint32]int{}
	read := func() {
		for f := b.right.got(); f != nil; f = b.right.got() {
			if len(f) >= 50 && binary.BigEndian.Uint32(f[42:]) == spiThere {
				seen[binary.BigEndian.Uint32(f[46:])]++
			}
		}
	}
	forwarded := b.plane.Report().Forwarded.Packets
	for i := range uint32(packets) {
		if i%300 == 150 || i%300 == 299 {
			b.switchXDP(i%300 == 299)
		}
		b.left.send(datagram(b.client, b.accel, 0, espPayload(spiThere, 1000+i, 200)))
		read()
	}
	for until := time.Now().Add(20 * time.Second); len(seen) < packets && time.Now().Before(until); time.Sleep(time.Millisecond) {
		read()
	}
	for i := range uint32(packets) {
		if seen[1000+i] != 1 {
			t.Fatalf("packet %d came %d times; %d of %d came", i, seen[1000+i], len(seen), packets)
		}
	}
	r := b.plane.Report()
	if n := r.Forwarded.Packets - forwarded; n == 0 || n == packets {
		t.Errorf("of %d packets %d were forwarded", packets, n)
	}
	if s := r.Sessions.List[0]; s.ToEndpoint.Packets != packets+5 {
		t.Errorf("the session has %d packets, want %d", s.ToEndpoint.Packets, packets+5)
	}
	if ip := r.Sessions.List[0].IPsec; ip != nil && ip.ToEndpoint.ESP.Lost > 0 {
		t.Errorf("the numbers seem to lack %d", ip.ToEndpoint.ESP.Lost)
	}
}

func TestWhatMayNotBeForwardedIsNot(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	b := newBoxed(t, Config{XDP: []string{"inside", "near"}}, nil)
	b.establish()
	applied := *b.plane.applied
	version := applied.Version
	handed := func(why string, want int, edit func(*snapshot.Snapshot)) {
		t.Helper()
		s := applied
		s.Listeners = slices.Clone(s.Listeners)
		version++
		s.Version = version
		edit(&s)
		if err := b.plane.Apply(s); err != nil {
			t.Fatal(err)
		}
		for seq := uint32(1); seq <= 2; seq++ {
			b.cross(b.left, b.right, datagram(b.client, b.accel, 0, espPayload(spiThere, 100*uint32(version)+seq, 80)))
		}
		if n := b.plane.Report().Forwarded.Sessions; n != want {
			t.Errorf("%s: %d sessions are handed over, want %d", why, n, want)
		}
	}
	handed("the same again", 1, func(*snapshot.Snapshot) {})
	handed("not allowed", 0, func(s *snapshot.Snapshot) { s.Listeners[0].InKernel = false })
	handed("allowed", 1, func(*snapshot.Snapshot) {})
	bandwidths := func(names ...string) func(s *snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) {
			for _, name := range names {
				s.Allowances = append(s.Allowances, snapshot.Allowance{Name: name, Rate: 1e9, Burst: 1 << 20})
			}
			s.Listeners[0].Allowances = names
		}
	}
	handed("with a bandwidth", 1, bandwidths("a"))
	handed("with two", 1, bandwidths("a", "b"))
	handed("with three", 0, bandwidths("a", "b", "c"))
	handed("with one that is new", 1, bandwidths("d"))
	if n := len(b.plane.lanes[0].engine.below.loans); n != 1 {
		t.Errorf("%d loans are out, want one, of the direction that packets came in", n)
	}
	handed("without", 1, func(*snapshot.Snapshot) {})
	handed("denied elsewhere", 1, func(s *snapshot.Snapshot) {
		s.Listeners[0].Deny = []netip.Prefix{netip.MustParsePrefix("10.10.0.0/16")}
	})

	// A client that moves is followed as ever, and forwarded from where it is then.
	b.client = netip.MustParseAddrPort("10.9.7.7:41000")
	b.left.send(datagram(b.client, b.accel, 0, espPayload(spiThere, 5000, 80)))
	for until := time.Now().Add(20 * time.Second); b.plane.Report().Forwarded.Sessions != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the session is forwarded while its client may be elsewhere")
		}
	}

	// Strangers are dropped on the device and counted as ever.
	was := b.plane.Report()
	for range 5 {
		b.left.send(datagram(netip.MustParseAddrPort("10.10.1.1:4500"), b.accel, 0, espPayload(7, 7, 80)))
		b.left.send(datagram(netip.MustParseAddrPort("10.9.1.1:4500"), netip.MustParseAddrPort("198.18.0.2:4600"), 0, espPayload(0x04000000, 9, 80)))
	}
	now := b.plane.Report()
	for until := time.Now().Add(20 * time.Second); now.Drops["client_denied"]-was.Drops["client_denied"] < 5 || now.Drops["unknown_index"]-was.Drops["unknown_index"] < 5; now = b.plane.Report() {
		if time.Now().After(until) {
			t.Fatalf("drops %v, before %v", now.Drops, was.Drops)
		}
	}
	if n := now.Listeners[0].Traffic.PacketsFromPeer - was.Listeners[0].Traffic.PacketsFromPeer; n != 5 {
		t.Errorf("the listener counts %d packets of strangers, want 5", n)
	}
	if w := now.Workers[0].Packets - was.Workers[0].Packets; w != 0 {
		t.Errorf("%d of them reached the worker", w)
	}
}

// Two workers share a device of two queues, and each client's packets reach the one worker
// that its sessions are with, whichever queue they come by.
func TestWorkersShareADevice(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	b := newBoxed(t, Config{Workers: 2, XDP: []string{"inside"}}, func(s *snapshot.Snapshot) { s.Listeners[0].InKernel = false })
	if n := b.plane.devices.list[0].Queues(); n != 2 {
		t.Fatalf("%d queues", n)
	}
	const clients, rounds = 40, 5
	for i := range clients {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i), 1}), uint16(30000+i))
		for seq := range uint32(rounds) {
			b.cross(b.left, b.right, datagram(from, b.accel, 0, espPayload(uint32(1000+i), seq+1, 80)))
		}
	}
	r := b.plane.Report()
	if len(r.Workers) != 2 || r.Workers[0].Packets == 0 || r.Workers[1].Packets == 0 {
		t.Fatalf("workers %+v", r.Workers)
	}
	if n := r.Workers[0].Packets + r.Workers[1].Packets; n != clients*rounds {
		t.Errorf("%d packets, want %d", n, clients*rounds)
	}
	for _, w := range r.Workers {
		if w.PassedOn > 0 || w.Sessions == 0 {
			t.Errorf("worker %d passed on %d packets; it has %d sessions", w.ID, w.PassedOn, w.Sessions)
		}
	}
	if s := r.Sessions.Confirmed + r.Sessions.Unconfirmed; s != clients {
		t.Errorf("%d sessions", s)
	}
	var over []string
	for _, p := range b.plane.devices.list {
		for w := range 2 {
			over = append(over, fmt.Sprint(p.Counters(w).Packets))
		}
	}
	if slices.Contains(over, "0") {
		t.Errorf("packets over XDP by worker: %s", strings.Join(over, ", "))
	}
	b.switchXDP(false)
	for i := range clients {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i), 1}), uint16(30000+i))
		b.cross(b.left, b.right, datagram(from, b.accel, 0, espPayload(uint32(1000+i), rounds+1, 80)))
	}
	for _, w := range b.plane.Report().Workers {
		if w.PassedOn > 0 {
			t.Errorf("over sockets worker %d passed on %d packets", w.ID, w.PassedOn)
		}
	}
}
