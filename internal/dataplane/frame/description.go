package frame

import (
	"encoding/binary"
	"net/netip"
	"time"

	"causeway/internal/snapshot"
)

// Description is everything either end needs to make a session it has never
// heard of, so that both may restart, or move, at any time.
//
//	byte   length of all that follows, as a uint16
//	       client, accelerated, endpoint, egress: family (4 or 6), address, port each
//	       wanted port on the egress side (uint16)
//	       label of the ingress, label of the egress (uint16 each)
//	       order (1), replay window (uint16), repair mode (1), idle timeout in seconds (uint32)
//	       endpoint group: length (1), name
//	       listener: length (1), name
//
// What a later version appends is skipped by the length.
type Description struct {
	Client      netip.AddrPort // the VPN device near the ingress
	Accelerated netip.AddrPort // the listener's address in its bind form
	Endpoint    netip.AddrPort
	Egress      netip.AddrPort // in its bind form; port 0: not given out yet
	WantPort    uint16         // the client's own source port
	Ingress     snapshot.Label
	EgressPoP   snapshot.Label
	Order       uint8 // resequence mode
	Window      uint16
	Mode        uint8
	Idle        time.Duration // whole seconds on the wire
	Group       string        // endpoint group, at most 63 bytes
	Listener    string        // at most 63 bytes
}

// MaxDescription is the longest a description can be on the wire.
const MaxDescription = 2 + 4*19 + 2 + 4 + 8 + 2*64

// Append appends d's bytes to dst. Names longer than 63 bytes are not
// representable and were refused with the snapshot.
func (d *Description) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0)
	for _, a := range [...]netip.AddrPort{d.Client, d.Accelerated, d.Endpoint, d.Egress} {
		dst = appendAddrPort(dst, a)
	}
	dst = binary.BigEndian.AppendUint16(dst, d.WantPort)
	dst = binary.BigEndian.AppendUint16(dst, uint16(d.Ingress))
	dst = binary.BigEndian.AppendUint16(dst, uint16(d.EgressPoP))
	dst = append(dst, d.Order)
	dst = binary.BigEndian.AppendUint16(dst, d.Window)
	dst = append(dst, d.Mode)
	dst = binary.BigEndian.AppendUint32(dst, uint32(d.Idle/time.Second))
	dst = append(dst, byte(len(d.Group)))
	dst = append(dst, d.Group...)
	dst = append(dst, byte(len(d.Listener)))
	dst = append(dst, d.Listener...)
	binary.BigEndian.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst
}

// ParseDescription reads a description from the front of b and returns the
// payload behind it, which aliases b.
func ParseDescription(b []byte) (d Description, rest []byte, ok bool) {
	if len(b) < 2 {
		return d, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return d, nil, false
	}
	r := reader{b: b[2 : 2+n]}
	d.Client, d.Accelerated = r.addrPort(), r.addrPort()
	d.Endpoint, d.Egress = r.addrPort(), r.addrPort()
	d.WantPort = r.u16()
	d.Ingress, d.EgressPoP = snapshot.Label(r.u16()), snapshot.Label(r.u16())
	d.Order = r.u8()
	d.Window = r.u16()
	d.Mode = r.u8()
	d.Idle = time.Duration(r.u32()) * time.Second
	d.Group, d.Listener = r.name(), r.name()
	if r.bad || !d.Client.IsValid() || !d.Accelerated.IsValid() || !d.Endpoint.IsValid() {
		return Description{}, nil, false
	}
	return d, b[2+n:], true
}

func appendAddrPort(dst []byte, a netip.AddrPort) []byte {
	switch ip := a.Addr().Unmap(); {
	case ip.Is4():
		b := ip.As4()
		dst = append(append(dst, 4), b[:]...)
	case ip.Is6():
		b := ip.As16()
		dst = append(append(dst, 6), b[:]...)
	default:
		return append(dst, 0)
	}
	return binary.BigEndian.AppendUint16(dst, a.Port())
}

// reader takes fields off the front; after the first that is not there it
// yields zeros and remembers.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) name() string {
	n := int(r.u8())
	if n > 63 {
		r.bad = true
		return ""
	}
	return string(r.take(n))
}

func (r *reader) addrPort() netip.AddrPort {
	switch r.u8() {
	case 0:
		return netip.AddrPort{}
	case 4:
		if b := r.take(4); b != nil {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), r.u16())
		}
	case 6:
		if b := r.take(16); b != nil {
			// An IPv4 address has one spelling: a mapped one is the address itself.
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), r.u16())
		}
	}
	r.bad = true
	return netip.AddrPort{}
}
