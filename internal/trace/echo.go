package trace

import (
	"encoding/binary"
	"net/netip"
)

// ICMP messages the prober knows (RFC 792).
const (
	echoReply    = 0
	unreachable  = 3
	echoRequest  = 8
	timeExceeded = 11
)

const (
	icmpHeader = 8
	maxPayload = 8972 // so that a probe is at most 9,000 bytes
	protoICMP  = 1
)

// putEcho fills b, header and payload, with an echo request. The payload's
// content is of no meaning; every byte of it is set.
//
//	0      7 8     15 16             31
//	+--------+--------+----------------+
//	| type 8 | code 0 |    checksum    |
//	+--------+--------+----------------+
//	|       id        |      seq       |
//	+-----------------+----------------+
//	| payload ...
func putEcho(b []byte, id, seq uint16) {
	b[0], b[1], b[2], b[3] = echoRequest, 0, 0, 0
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	for i := icmpHeader; i < len(b); i++ {
		b[i] = byte(i)
	}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
}

// answer is what somebody said to one of our probes.
type answer struct {
	from    netip.Addr
	id, seq uint16 // of the probe it is about
	kind    byte   // echoReply, timeExceeded or unreachable
	about   netip.Addr
}

// parseAnswer reads an IPv4 packet as a raw ICMP socket gives it. ok is false
// for everything that is no answer to an echo request, damaged or not.
func parseAnswer(b []byte) (a answer, ok bool) {
	from, _, body, ok := parseIPv4(b)
	if !ok || len(body) < icmpHeader || checksum(body) != 0 {
		return a, false
	}
	a.from, a.kind = from, body[0]
	switch a.kind {
	case echoReply:
		a.about = from
		a.id, a.seq = binary.BigEndian.Uint16(body[4:]), binary.BigEndian.Uint16(body[6:])
		return a, true
	case timeExceeded, unreachable:
		return parseQuoted(a, body[icmpHeader:])
	}
	return a, false
}

// parseQuoted reads our own probe out of an ICMP error: the IP header and at
// least eight bytes of what caused it (RFC 792).
func parseQuoted(a answer, b []byte) (answer, bool) {
	_, to, echo, ok := parseIPv4(b)
	if !ok || len(echo) < icmpHeader || echo[0] != echoRequest {
		return a, false
	}
	a.about = to
	a.id, a.seq = binary.BigEndian.Uint16(echo[4:]), binary.BigEndian.Uint16(echo[6:])
	return a, true
}

// parseIPv4 takes an IPv4 header carrying ICMP off b. The length field is not
// believed: errors quote packets cut short.
func parseIPv4(b []byte) (from, to netip.Addr, body []byte, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != protoICMP {
		return from, to, nil, false
	}
	n := int(b[0]&15) * 4
	if n < 20 || n > len(b) {
		return from, to, nil, false
	}
	from, to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return from, to, b[n:], true
}

// checksum is the Internet checksum (RFC 1071); zero over data that carries a
// right one.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
