package trace

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ttlMessage is the control message that gives one packet its TTL (ip(7), IP_TTL).
func ttlMessage(ttl int) []byte {
	b := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TTL
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], uint32(ttl))
	return b
}

// timespec reads the two 64-bit words of a struct timespec as nanoseconds since 1970.
func timespec(b []byte) int64 {
	return int64(binary.NativeEndian.Uint64(b))*1e9 + int64(binary.NativeEndian.Uint64(b[8:]))
}
