package udpio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control messages go beside a datagram: its TOS and, if it is several joined,
// the size of each. They are of uint64 because the kernel wants them aligned.

// cmsgSpace is what one control message of up to 8 bytes takes, in uint64s.
const cmsgSpace = (unix.SizeofCmsghdr + 8) / 8

// control has room for a TOS and a segment size, and one more to be safe.
type control [3 * cmsgSpace]uint64

// readControl returns what the first n bytes of c say of a received datagram:
// its TOS and, if it is several joined, the size of all but the last.
func readControl(c *control, n int) (tos uint8, segment int) {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(c)), min(n, int(unsafe.Sizeof(*c))))
	for len(raw) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&raw[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(raw) {
			return tos, segment
		}
		data := raw[unix.SizeofCmsghdr:size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			tos = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			tos = uint8(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(*(*int32)(unsafe.Pointer(&data[0])))
		}
		raw = raw[min((size+7)&^7, len(raw)):]
	}
	return tos, segment
}

// writeControl fills c for a datagram to be sent and returns the bytes in use.
// A tos of 0 is the socket's own and needs no message; segment 0 means "not joined".
func writeControl(c *control, ipv6 bool, tos uint8, segment int) int {
	used := 0
	if tos != 0 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&c[used]))
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TOS
		if ipv6 {
			h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		h.SetLen(unix.CmsgLen(4))
		*(*int32)(unsafe.Pointer(&c[used+unix.SizeofCmsghdr/8])) = int32(tos)
		used += cmsgSpace
	}
	if segment != 0 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&c[used]))
		h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		*(*uint16)(unsafe.Pointer(&c[used+unix.SizeofCmsghdr/8])) = uint16(segment)
		used += cmsgSpace
	}
	return used * 8
}
