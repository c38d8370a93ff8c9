// Package frame is the overlay's inner packet: what one PoP says to another
// about one session, most often a client's packet, or about the endpoints
// behind it. Frames travel inside a
// segment's sealed datagrams (segment/pack joins and splits them), pass relays
// unchanged but for their route, and are read here and nowhere else.
//
//	 0      kind (4 bits) | flags (4 bits)
//	 1      hops left (4) | repair mode (2) | labels that follow (2)
//	 2      TOS of the client's packet: DSCP and ECN (RFC 2474, RFC 3168)
//	 3      reserved, zero when sent, ignored when read
//	 4..5   origin: label of the PoP the frame started at
//	 6..13  session; of Health frames a sequence number, of Echo frames any
//	14..    labels of the PoPs still to pass, the last is the destination (2 bytes each)
//	  ..    Open frames: the session's description (see Description)
//	  ..    payload: the client's or endpoint's UDP payload
//
// A frame with no labels left is for the PoP that reads it. Numbers are big-endian.
package frame

import (
	"encoding/binary"

	"causeway/internal/snapshot"
)

// Kind says what a frame is.
type Kind uint8

const (
	Data    Kind = 0 // a packet of a session both ends know
	Open    Kind = 1 // a description, then a packet (perhaps empty)
	Opened  Kind = 2 // the reader's description arrived; stop repeating it
	Unknown Kind = 3 // the reader's session is not known here; describe it again
	Close   Kind = 4 // the session ended here; forget it
	Health  Kind = 5 // of no session: how the endpoints behind the origin are (see EndpointHealth)
	Echo    Kind = 6 // of no session: to be sent back, ToClient set, to its origin; only measures
)

// Flags.
const (
	ToClient uint8 = 1 << 0 // travels egress → ingress; clear: ingress → egress
	Urgent   uint8 = 1 << 1 // IKE, keepalives: protected like control traffic, never held for order
	Once     uint8 = 1 << 2 // must not be sent twice: the exit could not tell
)

// MaxHops bounds how many segments a frame may cross, so that no mistake in
// routes can make it circle: ingress, two relays, egress are three.
const MaxHops = 4

// MaxRoute is how many labels fit: two relays and the destination, less the
// next hop, which the segment implies.
const MaxRoute = 3

// HeaderLen is the length of a header without labels.
const HeaderLen = 14

// Header is a frame's fixed part.
type Header struct {
	Kind    Kind
	Flags   uint8
	Hops    uint8
	Mode    uint8 // repair.Mode of the listener, 0–3: relays repair by it too
	TOS     uint8
	Origin  snapshot.Label
	Session uint64
	NRoute  uint8
	Route   [MaxRoute]snapshot.Label
}

// Len is how many bytes h takes when appended.
func (h *Header) Len() int { return HeaderLen + 2*int(h.NRoute) }

// Append appends h's bytes to dst.
func (h *Header) Append(dst []byte) []byte {
	dst = append(dst,
		uint8(h.Kind)<<4|h.Flags&0xf,
		h.Hops<<4|h.Mode&3<<2|h.NRoute&3,
		h.TOS, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Origin))
	dst = binary.BigEndian.AppendUint64(dst, h.Session)
	for _, l := range h.Route[:h.NRoute] {
		dst = binary.BigEndian.AppendUint16(dst, uint16(l))
	}
	return dst
}

// Parse reads a header from the front of b and returns what follows it, which
// aliases b. ok is false when b is no frame of this version.
func Parse(b []byte) (h Header, rest []byte, ok bool) {
	if len(b) < HeaderLen {
		return h, nil, false
	}
	h.Kind, h.Flags = Kind(b[0]>>4), b[0]&0xf
	h.Hops, h.Mode, h.NRoute = b[1]>>4, b[1]>>2&3, b[1]&3
	h.TOS = b[2]
	h.Origin = snapshot.Label(binary.BigEndian.Uint16(b[4:]))
	h.Session = binary.BigEndian.Uint64(b[6:])
	if len(b) < h.Len() || h.Kind > Echo {
		return h, nil, false
	}
	for i := range int(h.NRoute) {
		h.Route[i] = snapshot.Label(binary.BigEndian.Uint16(b[HeaderLen+2*i:]))
	}
	return h, b[h.Len():], true
}

// PopRoute takes the first label off h's route: the next PoP to go to.
// ok is false when the frame is for this PoP.
func (h *Header) PopRoute() (next snapshot.Label, ok bool) {
	if h.NRoute == 0 {
		return 0, false
	}
	next = h.Route[0]
	copy(h.Route[:], h.Route[1:h.NRoute])
	h.NRoute--
	return next, true
}
