package frame

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// EndpointHealth is how an endpoint is, as its egress PoP sees it. A Health
// frame's payload is a run of them:
//
//	 0..7   endpoint group: the 64-bit hash of its name that sessions have too
//	 8      flags: 1 = it is up, 2 = it accepts cookies of IKE that it did not ask for
//	 9..12  round-trip time of the newest answer, µs
//	13      family of the address, 4 or 6
//	14..    the address
//
// The frame's session field is a sequence number, which grows with every Health
// frame of a PoP, also across restarts unless its clock is set back.
type EndpointHealth struct {
	Group   uint64 // session.NameOf its name
	Address netip.Addr
	Up      bool
	Bears   bool          // accepts an IKE_SA_INIT request with a cookie that it did not ask for
	RTT     time.Duration // 0–71 minutes, in whole µs on the wire
}

// MaxEndpointHealth is the longest an EndpointHealth can be on the wire.
const MaxEndpointHealth = 14 + 16

const (
	healthUp    = 1
	healthBears = 2
)

// Append appends h's bytes to dst.
func (h *EndpointHealth) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Group)
	flags := byte(0)
	if h.Up {
		flags = healthUp
	}
	if h.Bears {
		flags |= healthBears
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(min(max(h.RTT.Microseconds(), 0), 1<<32-1)))
	if ip := h.Address.Unmap(); ip.Is4() {
		b := ip.As4()
		return append(append(dst, 4), b[:]...)
	}
	b := h.Address.As16()
	return append(append(dst, 6), b[:]...)
}

// ParseEndpointHealth reads one EndpointHealth from the front of b and returns
// what follows it, which aliases b.
func ParseEndpointHealth(b []byte) (h EndpointHealth, rest []byte, ok bool) {
	if len(b) < 18 {
		return h, nil, false
	}
	h.Group = binary.BigEndian.Uint64(b)
	h.Up, h.Bears = b[8]&healthUp != 0, b[8]&healthBears != 0
	h.RTT = time.Duration(binary.BigEndian.Uint32(b[9:])) * time.Microsecond
	switch {
	case b[13] == 4:
		h.Address = netip.AddrFrom4([4]byte(b[14:18]))
		return h, b[18:], true
	case b[13] == 6 && len(b) >= MaxEndpointHealth:
		h.Address = netip.AddrFrom16([16]byte(b[14:30])).Unmap() // an IPv4 address has one spelling
		return h, b[30:], true
	}
	return EndpointHealth{}, nil, false
}
