// Package ipsec reads what an IPsec peer leaves in the clear in one UDP payload:
// the IKE header, the ESP header, the NAT keepalive, and the notifies of the one
// exchange that is not encrypted.
//
// It holds no keys, changes no byte and never answers. Who belongs to whom
// (sessions, associations), what to hold back and for how long (resequence) and
// how fast an unproven source may be answered are for others to decide.
//
// The shapes it tells apart (RFC 3948 section 2, RFC 7296 section 3.1, RFC 4303
// section 2), as they stand at the start of a UDP payload:
//
//	port 500     | IKE header, 28 bytes ...                       |
//	port 4500    | 00 00 00 00 | IKE header, 28 bytes ...         |  the non-ESP marker
//	             | SPI, 4      | sequence, 4 | ciphertext, ICV    |  ESP in UDP
//	             | FF |                                              NAT keepalive, exactly one byte
package ipsec

import "encoding/binary"

// The two ports IKE is assigned. Traffic on any port but PortIKE is framed as
// RFC 3948 asks of port 4500, which is also what strongSwan expects of ports a
// user has chosen.
const (
	PortIKE  uint16 = 500
	PortNATT uint16 = 4500
)

// NATT reports whether traffic on a listener's port carries the non-ESP marker,
// and so what to pass to Peek.
func NATT(port uint16) bool { return port != PortIKE }

// Kind is what a UDP payload turned out to be.
type Kind uint8

// The kinds. The zero Kind is Other, so an unread Packet claims nothing.
const (
	Other     Kind = iota // none of the below: too short, damaged, or another protocol
	Keepalive             // one byte 0xFF that holds a NAT mapping open (RFC 3948 section 2.3)
	ESP                   // ESP in UDP; SPI and Seq are set
	IKE                   // IKEv1 or IKEv2; the IKE fields are set
)

// String returns the kind's lower-case name.
func (k Kind) String() string {
	switch k {
	case Keepalive:
		return "keepalive"
	case ESP:
		return "esp"
	case IKE:
		return "ike"
	}
	return "other"
}

// Packet is what Peek read. It holds no reference to the payload.
type Packet struct {
	Kind Kind

	// IKE only.
	Marker      bool // the four zero bytes stood in front of the header
	Version     uint8
	Exchange    Exchange
	Flags       Flags
	NextPayload uint8

	// ESP only. SPI is at least 256: 0 is the marker, 1–255 are IANA's.
	// Seq is the low half of the counter when the peers use extended numbers.
	SPI uint32
	Seq uint32

	// IKE only. The initiator's SPI is never zero; the responder's is zero until
	// the responder has chosen one. IKEv1 calls the same fields cookies.
	MessageID    uint32
	InitiatorSPI uint64
	ResponderSPI uint64

	// Fragment and Fragments are the number of a piece of an IKEv2 message, from 1
	// on, and of how many (RFC 7383 section 2.5); 0 for a message that is whole.
	Fragment, Fragments uint16

	// Init is filled for IKE_SA_INIT, and for IKEv1 messages that are not encrypted.
	Init Init
}

// Exchange is the IKE exchange type: IANA's IKEv2 numbers and, below 34, IKEv1's.
type Exchange uint8

// The exchanges that callers tell apart.
const (
	MainMode        Exchange = 2  // IKEv1
	AggressiveMode  Exchange = 4  // IKEv1
	InformationalV1 Exchange = 5  // IKEv1
	QuickMode       Exchange = 32 // IKEv1
	IKESAInit       Exchange = 34
	IKEAuth         Exchange = 35
	CreateChildSA   Exchange = 36
	Informational   Exchange = 37
)

// Flags are the IKE header's flags.
type Flags uint8

// Flag bits. IKEv2's Initiator tells who began the IKE SA, not who sends this message.
const (
	FlagEncrypted Flags = 0x01 // IKEv1 only
	FlagInitiator Flags = 0x08 // IKEv2 only: sent by the SA's original initiator
	FlagResponse  Flags = 0x20 // IKEv2 only: answers a request with the same message ID
)

const (
	markerLen    = 4
	ikeHeaderLen = 28

	// fragmentHeaderLen is the generic header, the piece's number and their total.
	fragmentHeaderLen = 8

	// minESP is SPI, sequence number and one aligned word of padding, pad length
	// and next header (RFC 4303 section 2.4); real suites are longer.
	minESP = 12

	// firstSPI is the first SPI not reserved by IANA (RFC 4303 section 2.1).
	firstSPI = 256
)

// Major returns IKE's major version, 1 or 2.
func (p *Packet) Major() int { return int(p.Version >> 4) }

// Opening reports whether the packet is an IKE message that is not encrypted, and
// Init therefore says what stands in it.
func (p *Packet) Opening() bool {
	return p.Kind == IKE && (p.Exchange == IKESAInit || p.Major() == 1 && p.Flags&FlagEncrypted == 0)
}

// Begins reports whether the packet is the first message of a negotiation, from
// whoever begins it.
func (p *Packet) Begins() bool {
	if p.Kind != IKE || p.ResponderSPI != 0 {
		return false
	}
	if p.Major() == 1 {
		return p.Exchange == MainMode || p.Exchange == AggressiveMode
	}
	return p.Exchange == IKESAInit && p.Flags&(FlagInitiator|FlagResponse) == FlagInitiator
}

// sealed reports whether the message is protected by an IKE SA's keys.
func (p *Packet) sealed() bool {
	if p.Major() == 1 {
		return p.Flags&FlagEncrypted != 0 && p.ResponderSPI != 0
	}
	return (p.NextPayload == payloadEncrypted || p.NextPayload == payloadEncryptedFragments) && p.ResponderSPI != 0
}

// Response reports whether the packet is an IKEv2 response. IKEv1 has no such
// mark; it is false there.
func (p *Packet) Response() bool {
	return p.Kind == IKE && p.Major() == 2 && p.Flags&FlagResponse != 0
}

// Peek classifies one UDP payload. natt says that the port frames IKE with the
// non-ESP marker (see NATT). It never fails, allocates nothing and reads
// nothing beyond the payload; whatever fits no shape exactly is Other.
//
// Without natt there is no ESP. A payload with the marker is still known as IKE
// there when it makes sense only that way: some NAT-T peers float early.
func Peek(payload []byte, natt bool) Packet {
	if len(payload) < minESP {
		if len(payload) == 1 && payload[0] == 0xFF {
			return Packet{Kind: Keepalive}
		}
		return Packet{}
	}
	first := binary.BigEndian.Uint32(payload)
	switch {
	case !natt:
		if p := peekIKE(payload, 0); p.Kind == IKE || first != 0 {
			return p
		}
		return peekIKE(payload, markerLen)
	case first == 0:
		return peekIKE(payload, markerLen)
	case first < firstSPI:
		return Packet{}
	}
	return Packet{Kind: ESP, SPI: first, Seq: binary.BigEndian.Uint32(payload[4:])}
}

// peekIKE reads the header at offset at, drawn in RFC 7296 section 3.1:
//
//	 0  initiator's SPI, 8
//	 8  responder's SPI, 8
//	16  next payload, 1 | major and minor version, 4 bits each | exchange, 1 | flags, 1
//	20  message ID, 4
//	24  length of the whole message, 4
//
// Bytes behind the stated length are tolerated, as the peers tolerate them; a
// length beyond the payload is not.
func peekIKE(payload []byte, at int) Packet {
	if len(payload) < at+ikeHeaderLen {
		return Packet{}
	}
	h := payload[at:]
	initiator, version := binary.BigEndian.Uint64(h), h[17]
	length := binary.BigEndian.Uint32(h[24:])
	if major := version >> 4; initiator == 0 || major < 1 || major > 2 {
		return Packet{}
	}
	if length < ikeHeaderLen || uint64(length) > uint64(len(h)) {
		return Packet{}
	}
	p := Packet{
		Kind:         IKE,
		Marker:       at != 0,
		InitiatorSPI: initiator,
		ResponderSPI: binary.BigEndian.Uint64(h[8:]),
		NextPayload:  h[16],
		Version:      version,
		Exchange:     Exchange(h[18]),
		Flags:        Flags(h[19]),
		MessageID:    binary.BigEndian.Uint32(h[20:]),
	}
	message := payload[:at+int(length)]
	switch {
	case p.Opening():
		p.Init = readInit(message, at+ikeHeaderLen, p.NextPayload, p.Major() == 1)
	case p.NextPayload == payloadEncryptedFragments && len(message) >= at+ikeHeaderLen+fragmentHeaderLen:
		p.Fragment = binary.BigEndian.Uint16(message[at+ikeHeaderLen+genericLen:])
		p.Fragments = binary.BigEndian.Uint16(message[at+ikeHeaderLen+genericLen+2:])
	}
	return p
}
