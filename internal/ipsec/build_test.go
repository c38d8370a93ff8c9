package ipsec

import "encoding/binary"

// message describes an IKE message for tests to lay out.
type message struct {
	initiator, responder uint64
	version              uint8
	exchange             Exchange
	flags                Flags
	id                   uint32
	payloads             []part
}

type part struct {
	kind uint8
	body []byte
}

// bytes lays the message out as RFC 7296 section 3.1 draws it.
func (m message) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, m.initiator)
	b = binary.BigEndian.AppendUint64(b, m.responder)
	next := func(i int) uint8 {
		if i < len(m.payloads) {
			return m.payloads[i].kind
		}
		return 0
	}
	b = append(b, next(0), m.version, uint8(m.exchange), uint8(m.flags))
	b = binary.BigEndian.AppendUint32(b, m.id)
	b = binary.BigEndian.AppendUint32(b, 0)
	for i, p := range m.payloads {
		b = append(b, next(i+1), 0)
		b = binary.BigEndian.AppendUint16(b, uint16(4+len(p.body)))
		b = append(b, p.body...)
	}
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

func marked(b []byte) []byte { return append(make([]byte, 4), b...) }

func sa() part { return part{kind: payloadSA, body: make([]byte, 44)} }

func notify(n Notify, data []byte) part {
	return part{kind: payloadNotify, body: append([]byte{0, 0, byte(n >> 8), byte(n)}, data...)}
}

func sealed() part { return part{kind: payloadEncrypted, body: make([]byte, 60)} }

func espBytes(spi, seq uint32, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

func initRequest(initiator uint64, extra ...part) message {
	return message{initiator: initiator, version: 0x20, exchange: IKESAInit, flags: FlagInitiator,
		payloads: append([]part{sa()}, extra...)}
}

func initResponse(initiator, responder uint64, parts ...part) message {
	return message{initiator: initiator, responder: responder, version: 0x20, exchange: IKESAInit,
		flags: FlagResponse, payloads: parts}
}
