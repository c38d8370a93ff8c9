package xdp

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// frame makes an Ethernet frame with a UDP datagram, checksums right.
func frame(from, to netip.AddrPort, tos uint8, payload []byte) []byte {
	udp := make([]byte, udpLen, udpLen+len(payload))
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+len(payload)))
	udp = append(udp, payload...)
	f := make([]byte, ethLen)
	var ip []byte
	src, dst := from.Addr().AsSlice(), to.Addr().AsSlice()
	if from.Addr().Is4() {
		binary.BigEndian.PutUint16(f[offType:], typeIPv4)
		ip = []byte{0x45, tos, 0, 0, 0, 1, 0x40, 0, 64, protoUDP, 0, 0}
		ip = append(append(ip, src...), dst...)
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(udp)))
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip)))
	} else {
		binary.BigEndian.PutUint16(f[offType:], typeIPv6)
		ip = []byte{0x60 | tos>>4, tos << 4, 0, 0, 0, 0, protoUDP, 64}
		ip = append(append(ip, src...), dst...)
		binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
	}
	check := ^fold(sum(src) + sum(dst) + protoUDP + uint64(len(udp)) + sum(udp))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return append(append(f, ip...), udp...)
}

var (
	v4a, v4b = netip.MustParseAddrPort("10.9.1.2:4500"), netip.MustParseAddrPort("198.18.0.2:4500")
	v6a, v6b = netip.MustParseAddrPort("[fd00::9]:4500"), netip.MustParseAddrPort("[fd00::2]:4600")
)

func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}

func TestWhatComesOutIsWhatWasSent(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 8, 31, 32, 33, 1399, 1400, 1472} {
		for _, c := range [][2]netip.AddrPort{{v4a, v4b}, {v6a, v6b}} {
			f := frame(c[0], c[1], 0xb9, payload(n))
			var p Packet
			if !Parse(append(f, 0, 0, 0), &p) { // with padding behind
				t.Errorf("%d bytes from %v: refused", n, c[0])
				continue
			}
			if p.From != c[0] || p.To != c[1] || p.TOS != 0xb9 || string(p.Data) != string(payload(n)) {
				t.Errorf("%d bytes: got %v → %v, TOS %#x, %d bytes", n, p.From, p.To, p.TOS, len(p.Data))
			}
		}
	}
}

func TestEveryDamagedByteIsNoticed(t *testing.T) {
	for _, c := range [][2]netip.AddrPort{{v4a, v4b}, {v6a, v6b}} {
		good := frame(c[0], c[1], 0, payload(101))
		for i := ethLen; i < len(good); i++ {
			if c[0].Addr().Is6() && i < ethLen+8 && i != ethLen+4 && i != ethLen+5 {
				continue // of the IPv6 header nothing but addresses and length is covered
			}
			bad := append([]byte(nil), good...)
			bad[i] ^= 0x10
			var p Packet
			if Parse(bad, &p) {
				t.Errorf("byte %d changed: taken", i)
			}
		}
	}
}

func TestAChecksumLeftToTheDeviceIsTaken(t *testing.T) {
	f := frame(v4a, v4b, 0, payload(500))
	udp := f[ethLen+ip4Len:]
	binary.BigEndian.PutUint16(udp[6:], fold(sum(f[ethLen+12:ethLen+20])+protoUDP+uint64(len(udp))))
	var p Packet
	if !Parse(f, &p) {
		t.Error("partial checksum refused")
	}
	binary.BigEndian.PutUint16(udp[6:], 0)
	if !Parse(f, &p) {
		t.Error("datagram without checksum refused over IPv4")
	}
	g := frame(v6a, v6b, 0, payload(500))
	binary.BigEndian.PutUint16(g[ethLen+ip6Len+6:], 0)
	if Parse(g, &p) {
		t.Error("datagram without checksum taken over IPv6")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frame(v4a, v4b, 3, payload(40)))
	f.Add(frame(v6a, v6b, 3, payload(40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if !Parse(b, &p) {
			return
		}
		if len(p.Data) > len(b)-ethLen-ip4Len-udpLen {
			t.Errorf("%d bytes of payload in a frame of %d", len(p.Data), len(b))
		}
		if !p.From.IsValid() || !p.To.IsValid() {
			t.Errorf("%v → %v", p.From, p.To)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	f := frame(v4a, v4b, 0, payload(1400))
	var p Packet
	for b.Loop() {
		if !Parse(f, &p) {
			b.Fatal("refused")
		}
	}
}
