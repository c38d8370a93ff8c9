package wan

import (
	"encoding/binary"
	"net/netip"
)

// trouble is what an ICMP error tells: its type and code in both families, and
// the MTU where it speaks of one.
type trouble struct {
	type4, code4 byte
	type6, code6 byte
}

var (
	ttlExpired = trouble{11, 0, 3, 0} // RFC 792, RFC 4443 section 3.3
	tooBig     = trouble{3, 4, 2, 0}  // RFC 1191, RFC 4443 section 3.2
	noRoute    = trouble{3, 0, 1, 0}
)

// What an error quotes makes it no larger than this (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4).
const (
	largestError4 = 576
	largestError6 = 1280
)

// complain writes the ICMP error about packet b, from router to its source,
// into out and returns its size; 0 when no error may be sent about such a packet.
func (t trouble) complain(b []byte, h *header, router netip.Addr, mtu int, out []byte) int {
	if h.fragment || h.dst.IsMulticast() || h.src.IsUnspecified() || router.Is6() != h.v6 {
		return 0
	}
	if h.v6 {
		return t.complain6(b, h, router, mtu, out)
	}
	return t.complain4(b, h, router, mtu, out)
}

func (t trouble) complain4(b []byte, h *header, router netip.Addr, mtu int, out []byte) int {
	const icmp = 1
	if h.protocol == icmp && h.size > h.length && isError4(b[h.length]) {
		return 0
	}
	quoted := min(h.size, largestError4-28)
	size := 28 + quoted
	clear(out[:28])
	out[0], out[8], out[9] = 0x45, 64, icmp
	binary.BigEndian.PutUint16(out[2:], uint16(size))
	src, dst := router.As4(), h.src.As4()
	copy(out[12:], src[:])
	copy(out[16:], dst[:])
	binary.BigEndian.PutUint16(out[10:], checksum(out[:20], 0))

	out[20], out[21] = t.type4, t.code4
	if t == tooBig {
		binary.BigEndian.PutUint16(out[26:], uint16(mtu))
	}
	copy(out[28:], b[:quoted])
	binary.BigEndian.PutUint16(out[22:], checksum(out[20:size], 0))
	return size
}

func (t trouble) complain6(b []byte, h *header, router netip.Addr, mtu int, out []byte) int {
	const icmp = 58
	if h.protocol == icmp && h.size > 40 && b[40] < 128 {
		return 0 // about an error
	}
	quoted := min(h.size, largestError6-48)
	size := 48 + quoted
	clear(out[:48])
	out[0], out[6], out[7] = 0x60, icmp, 64
	binary.BigEndian.PutUint16(out[4:], uint16(size-40))
	src, dst := router.As16(), h.src.As16()
	copy(out[8:], src[:])
	copy(out[24:], dst[:])

	out[40], out[41] = t.type6, t.code6
	if t == tooBig {
		binary.BigEndian.PutUint32(out[44:], uint32(mtu))
	}
	copy(out[48:], b[:quoted])
	pseudo := sum16(out[8:40]) + uint32(size-40) + icmp
	binary.BigEndian.PutUint16(out[42:], checksum(out[40:size], pseudo))
	return size
}

// isError4 reports whether an ICMP type is an error, about which no error is sent.
func isError4(kind byte) bool {
	switch kind {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}
