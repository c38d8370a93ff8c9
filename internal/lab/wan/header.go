package wan

import (
	"encoding/binary"
	"net/netip"
)

// header is what the emulator reads of an IP header.
type header struct {
	v6       bool
	src, dst netip.Addr
	size     int // of the whole packet
	length   int // of the IPv4 header with options, or of the fixed IPv6 header
	ttl      int
	protocol byte
	df       bool // don't fragment; always so in IPv6
	fragment bool // a fragment other than the first
}

// parse reads the header of the packet at the start of b; false is no IP packet.
func parse(b []byte) (header, bool) {
	if len(b) < 20 {
		return header{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	}
	return header{}, false
}

func parse4(b []byte) (header, bool) {
	flags := binary.BigEndian.Uint16(b[6:])
	h := header{
		src: netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:])),
		size: int(binary.BigEndian.Uint16(b[2:])), length: int(b[0]&15) * 4,
		ttl: int(b[8]), protocol: b[9], df: flags&0x4000 != 0, fragment: flags&0x1fff != 0,
	}
	return h, h.length >= 20 && h.size >= h.length && h.size <= len(b)
}

func parse6(b []byte) (header, bool) {
	if len(b) < 40 {
		return header{}, false
	}
	h := header{
		v6: true, src: netip.AddrFrom16([16]byte(b[8:])), dst: netip.AddrFrom16([16]byte(b[24:])),
		size: 40 + int(binary.BigEndian.Uint16(b[4:])), length: 40,
		ttl: int(b[7]), protocol: b[6], df: true,
	}
	const fragmentHeader = 44
	if h.protocol == fragmentHeader && len(b) >= 48 {
		h.fragment = binary.BigEndian.Uint16(b[42:])&0xfff8 != 0
	}
	return h, h.size <= len(b)
}

// age takes hops from the packet's TTL, which must be more than that.
func age(b []byte, h *header, hops int) {
	if hops == 0 {
		return
	}
	if h.v6 {
		b[7] -= byte(hops)
		return
	}
	old := binary.BigEndian.Uint16(b[8:])
	b[8] -= byte(hops)
	patchSum(b[10:12], old, binary.BigEndian.Uint16(b[8:]))
}

// patchSum corrects an Internet checksum for one changed word (RFC 1624, equation 3).
func patchSum(sum []byte, old, now uint16) {
	s := uint32(^binary.BigEndian.Uint16(sum)) + uint32(^old) + uint32(now)
	s = s&0xffff + s>>16
	s = s&0xffff + s>>16
	binary.BigEndian.PutUint16(sum, ^uint16(s))
}

// checksum returns the Internet checksum (RFC 1071) of b, starting from a sum of other words.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// sum16 adds up b, of even length, for checksum.
func sum16(b []byte) (sum uint32) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	return sum
}

// cut makes a fragment as an IPv4 router does (RFC 791): it writes the part of packet b that begins at offset (of its payload, a multiple
// of 8) into out, no larger than mtu, and returns its size and where the next begins;
// next is 0 after the last. out must hold mtu bytes, b's options are copied to all.
func cut(b []byte, h *header, offset, mtu int, out []byte) (size, next int) {
	payload := b[h.length:h.size]
	room := (mtu - h.length) &^ 7
	end := min(offset+room, len(payload))
	size = h.length + end - offset
	copy(out, b[:h.length])
	copy(out[h.length:], payload[offset:end])

	was := binary.BigEndian.Uint16(b[6:])
	field := was&0x1fff + uint16(offset/8) | was&0xc000
	if end < len(payload) || was&0x2000 != 0 {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(out[2:], uint16(size))
	binary.BigEndian.PutUint16(out[6:], field)
	binary.BigEndian.PutUint16(out[10:], 0)
	binary.BigEndian.PutUint16(out[10:], checksum(out[:h.length], 0))
	if end < len(payload) {
		next = end
	}
	return size, next
}
