package ipsec

import "encoding/binary"

// Notify is an IKEv2 notify message type (IANA; RFC 7296 section 3.10.1).
type Notify uint16

// The notifies that say something about the way between the peers.
const (
	NotifyInvalidIKESPI          Notify = 4
	NotifyInvalidMajorVersion    Notify = 5
	NotifyInvalidSyntax          Notify = 7
	NotifyNoProposalChosen       Notify = 14
	NotifyInvalidKE              Notify = 17
	NotifyAuthenticationFailed   Notify = 24
	NotifyNATDetectionSource     Notify = 16388
	NotifyNATDetectionDest       Notify = 16389
	NotifyCookie                 Notify = 16390
	NotifyRedirectSupported      Notify = 16406
	NotifyRedirect               Notify = 16407
	NotifyFragmentationSupported Notify = 16430
)

// Payload types (RFC 7296 section 3.2 and RFC 2408 section 3.1).
const (
	payloadNone               = 0
	payloadV1SA               = 1
	payloadV1Notify           = 11
	payloadV1NATD             = 20
	payloadV1NATDDraft        = 130 // before RFC 3947
	payloadSA                 = 33
	payloadNotify             = 41
	payloadEncrypted          = 46
	payloadEncryptedFragments = 53
)

const (
	maxPayloads    = 32 // payloads looked at in one message; real ones have about ten
	maxNotifies    = 8  // notifies remembered
	maxCookie      = 64 // RFC 7296 section 2.6
	genericLen     = 4  // next payload, critical bit, length
	notifyFixedLen = 8  // generic header, protocol, SPI size, type
	v1NotifyLen    = 12 // generic header, domain, protocol, SPI size, type (RFC 2408 section 3.14)
)

// Init is what an IKE_SA_INIT message, or an IKEv1 message that is not encrypted,
// shows in the clear.
type Init struct {
	// HasSA says that an SA payload is present: a request proposes, a response
	// has accepted (one that refuses or asks for a cookie carries only notifies).
	HasSA bool
	// Damaged says that the chain of payloads did not add up; what stands here
	// was read before the damage.
	Damaged bool
	natd    bool // NAT detection of IKEv1
	// Count is how many of Notifies are valid; later notifies are not kept.
	Count    uint8
	Notifies [maxNotifies]Notify

	cookieAt  uint16 // offset of the cookie's bytes in the payload; 0 when there is none
	cookieLen uint8
}

// Has reports whether the message carries the notify n among those kept.
func (i *Init) Has(n Notify) bool {
	for _, have := range i.Notifies[:min(int(i.Count), maxNotifies)] {
		if have == n {
			return true
		}
	}
	return false
}

// NATDetection reports whether the sender offers NAT traversal. A peer that does
// not will send bare ESP, which no UDP listener ever sees.
func (i *Init) NATDetection() bool {
	return i.natd || i.Has(NotifyNATDetectionSource) && i.Has(NotifyNATDetectionDest)
}

// Cookie returns the COOKIE notify's 1 to 64 bytes, nil when there is none.
// payload must be the one given to Peek; the result points into it.
func (i *Init) Cookie(payload []byte) []byte {
	end := int(i.cookieAt) + int(i.cookieLen)
	if i.cookieAt == 0 || end > len(payload) {
		return nil
	}
	return payload[i.cookieAt:end:end]
}

// readInit walks the chain of payloads that begins at offset at with type next.
// message ends where the IKE header says. It looks at no more than maxPayloads
// and into nothing but notifies. v1 says that payloads have IKEv1's types.
func readInit(message []byte, at int, next uint8, v1 bool) (i Init) {
	for seen := 0; next != payloadNone; seen++ {
		if seen == maxPayloads || len(message)-at < genericLen {
			i.Damaged = true
			return i
		}
		length := int(binary.BigEndian.Uint16(message[at+2:]))
		if length < genericLen || length > len(message)-at {
			i.Damaged = true
			return i
		}
		switch {
		case next == payloadSA && !v1, next == payloadV1SA && v1:
			i.HasSA = true
		case next == payloadNotify && !v1:
			i.addNotify(message[:at+length], at)
		case next == payloadV1Notify && v1 && length >= v1NotifyLen:
			i.add(Notify(binary.BigEndian.Uint16(message[at+10:])))
		case (next == payloadV1NATD || next == payloadV1NATDDraft) && v1:
			i.natd = true
		}
		next = message[at]
		at += length
	}
	return i
}

// addNotify remembers the notify payload that runs from at to the end of message:
//
//	0  generic header, 4 | protocol, 1 | SPI size, 1 | type, 2 | SPI | data
func (i *Init) addNotify(message []byte, at int) {
	n := message[at:]
	if len(n) < notifyFixedLen || len(n) < notifyFixedLen+int(n[5]) {
		i.Damaged = true
		return
	}
	kind := Notify(binary.BigEndian.Uint16(n[6:]))
	i.add(kind)
	data := notifyFixedLen + int(n[5])
	size := len(n) - data
	if kind == NotifyCookie && i.cookieAt == 0 && size >= 1 && size <= maxCookie && at+data <= 0xFFFF {
		i.cookieAt, i.cookieLen = uint16(at+data), uint8(size)
	}
}

func (i *Init) add(kind Notify) {
	if i.Count < maxNotifies {
		i.Notifies[i.Count] = kind
		i.Count++
	}
}
