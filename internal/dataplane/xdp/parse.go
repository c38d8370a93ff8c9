package xdp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Packet is a UDP datagram in the frame it came in.
type Packet struct {
	From, To netip.AddrPort
	TOS      uint8  // DSCP and ECN
	Data     []byte // the payload, in the frame's memory
}

// Parse reads an Ethernet frame with a UDP datagram in it and holds it against what
// the kernel would: lengths, the IP header's checksum, an address that can have sent
// it, and the datagram's checksum. ok is false when the kernel would drop it.
//
// A checksum that only covers the pseudo header counts as right: that is how a
// virtual device hands over what was never on a line.
func Parse(frame []byte, p *Packet) (ok bool) {
	if len(frame) < ethLen+ip4Len+udpLen {
		return false
	}
	switch ip := frame[ethLen:]; binary.BigEndian.Uint16(frame[offType:]) {
	case typeIPv4:
		return parseIPv4(ip, p)
	case typeIPv6:
		return parseIPv6(ip, p)
	}
	return false
}

func parseIPv4(ip []byte, p *Packet) bool {
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0] != 0x45 || ip[9] != protoUDP || total > len(ip) || total < ip4Len+udpLen || fold(sum(ip[:ip4Len])) != 0xffff {
		return false
	}
	from, to := [4]byte(ip[12:16]), [4]byte(ip[16:20])
	if from[0] == 0 || from[0] == 127 || from[0] >= 224 { // no address of a host on a line
		return false
	}
	p.TOS = ip[1]
	pseudo := sum(ip[12:20]) + protoUDP
	return p.take(netip.AddrFrom4(from), netip.AddrFrom4(to), ip[ip4Len:total], pseudo, true)
}

func parseIPv6(ip []byte, p *Packet) bool {
	if len(ip) < ip6Len+udpLen || ip[0]>>4 != 6 || ip[6] != protoUDP {
		return false
	}
	total := ip6Len + int(binary.BigEndian.Uint16(ip[4:]))
	if total > len(ip) || total < ip6Len+udpLen {
		return false
	}
	from, to := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	if from.IsMulticast() || from.IsLoopback() || from.IsUnspecified() || from.Is4In6() {
		return false
	}
	p.TOS = ip[0]<<4 | ip[1]>>4
	return p.take(from, to, ip[ip6Len:total], sum(ip[8:40])+protoUDP, false)
}

// take reads the UDP header. Without a checksum is allowed over IPv4 only.
func (p *Packet) take(from, to netip.Addr, udp []byte, pseudo uint64, may0 bool) bool {
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if n < udpLen || n > len(udp) {
		return false
	}
	udp = udp[:n:n]
	check := binary.BigEndian.Uint16(udp[6:])
	pseudo += uint64(n)
	switch {
	case check == 0 && may0:
	case check == 0:
		return false
	case fold(pseudo) == check: // partial: the device was to do the rest
	case fold(pseudo+sum(udp)) != 0xffff:
		return false
	}
	p.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(udp))
	p.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(udp[2:]))
	p.Data = udp[udpLen:]
	return true
}

// sum adds up 16-bit words (RFC 1071), eight bytes at a time; fold brings such sums
// to 16 bits. The sum of two sums is theirs, too, if both are below 2^63.
func sum(b []byte) uint64 {
	var s, carry uint64
	for len(b) >= 32 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b[24:]), carry)
		s, carry = bits.Add64(s, 0, carry)
		s += carry
		b = b[32:]
	}
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += carry
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	s, carry = bits.Add64(s, binary.BigEndian.Uint64(last[:]), 0)
	return uint64(fold(s + carry))
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
