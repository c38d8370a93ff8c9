package netbench

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJoinedDatagramsAreCountedSingly(t *testing.T) {
	before := Received{Packets: 10, Bytes: 10_000}
	for _, c := range []struct {
		name           string
		packets, bytes uint64
		want           uint64
	}{
		{"nothing", 0, 0, 0},
		{"one", 1, 28 + 256, 1},
		{"seven single ones", 7, 7 * (28 + 256), 7},
		{"seven joined", 1, 28 + 7*256, 7},
		{"three joined and two single", 3, 3*28 + 5*256, 5},
		{"an ARP request", 1, 28, 0},
		{"two and an ARP request", 3, 28 + 2*(28+256), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := Received{before.Packets + c.packets, before.Bytes + c.bytes}
			if got := before.Datagrams(after, 256); got != c.want {
				t.Errorf("counted %d datagrams, want %d", got, c.want)
			}
		})
	}
}

var (
	testClient = netip.MustParseAddrPort("10.0.0.7:4500")
	testTarget = netip.MustParseAddrPort("198.18.0.2:500")
)

// head is a packet's front as the generator makes it.
func testHead(size int) [headLen]byte {
	g := &Generator{from: &Port{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, first: &Port{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}}
	var b [headLen]byte
	g.head(&b, testClient, testTarget, size)
	return b
}

func TestPacketsAreWhatTheySayTheyAre(t *testing.T) {
	const size = 300
	b := testHead(size)
	eth := b[offloadLen:]
	if string(eth[:12]) != "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" || binary.BigEndian.Uint16(eth[12:]) != 0x0800 {
		t.Errorf("Ethernet header % x", eth[:14])
	}
	ip := eth[ethernetLen:]
	if sum(ip[:20], 0) != 0xffff {
		t.Errorf("the IP header's checksum is wrong: % x", ip[:20])
	}
	if n := binary.BigEndian.Uint16(ip[2:]); n != 20+8+size {
		t.Errorf("IP length %d, want %d", n, 20+8+size)
	}
	if from := netip.AddrFrom4([4]byte(ip[12:16])); from != testClient.Addr() {
		t.Errorf("from %v, want %v", from, testClient.Addr())
	}
	if to := netip.AddrFrom4([4]byte(ip[16:20])); to != testTarget.Addr() {
		t.Errorf("to %v, want %v", to, testTarget.Addr())
	}
	udp := ip[20:]
	if from, to, n := binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]), binary.BigEndian.Uint16(udp[4:]); from != 4500 || to != 500 || n != 8+size {
		t.Errorf("UDP from %d to %d, length %d", from, to, n)
	}
	// What the device does: sum from the UDP header on, put the complement in.
	start, at := binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint16(b[8:])
	packet := append(append([]byte(nil), ip...), make([]byte, size)...)
	for i := range size {
		packet[ipUDP+i] = byte(i * 7)
	}
	from := int(start) - ethernetLen
	binary.BigEndian.PutUint16(packet[from+int(at):], ^sum(packet[from:], 0))
	if got := sum(packet[20:], uint32(sum(packet[12:20], unix.IPPROTO_UDP+8+size))); got != 0xffff {
		t.Errorf("with the device's help the UDP checksum comes to %#x", got)
	}
}

func TestAnAnswerGoesBackToWhereThePacketCameFrom(t *testing.T) {
	b := testHead(100)
	packet := append(append([]byte(nil), b[:offloadLen]...), b[offloadLen+ethernetLen:]...)
	packet = append(packet, make([]byte, 100)...)
	if !turnRound(packet, 0) {
		t.Fatal("a UDP packet is not answered")
	}
	ip := packet[offloadLen:]
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(ip[20:]))
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(ip[22:]))
	if from != testTarget || to != testClient {
		t.Errorf("answered from %v to %v, want from %v to %v", from, to, testTarget, testClient)
	}
	if sum(ip[:20], 0) != 0xffff {
		t.Error("the answer's IP checksum is wrong")
	}
	if ip[ipUDP+1] != 0x80 {
		t.Error("the answer has the SPI of the other direction")
	}
	joined := append([]byte(nil), packet...)
	joined[1] = 5 // VIRTIO_NET_HDR_GSO_UDP_L4
	for name, p := range map[string][]byte{"joined datagrams": joined, "a header alone": packet[:offloadLen+ipUDP], "IPv6": append(make([]byte, offloadLen), 0x60)} {
		if turnRound(p, 0) {
			t.Errorf("%s are answered", name)
		}
	}
}

func TestBusyGrows(t *testing.T) {
	first, err := Busy()
	if err != nil {
		t.Fatal(err)
	}
	for spin := 0; ; spin++ {
		now, err := Busy()
		if err != nil {
			t.Fatal(err)
		}
		if now > first {
			return
		}
		if spin > 1_000_000 {
			t.Fatalf("the machine's CPU time stays at %v while this test uses some", now)
		}
	}
}
