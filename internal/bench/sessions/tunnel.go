package sessions

import (
	"encoding/binary"
	"slices"
)

// What the two VPN devices say, as far as a PoP can see: IKE_SA_INIT, IKE_AUTH
// (RFC 7296 sections 1.2 and 3.1) and ESP, all in UDP of port 4500 (RFC 3948).
const (
	exchangeInit, exchangeAuth = 34, 35
	payloadSA, payloadSK       = 33, 46
	flagInitiator              = 0x08
	flagResponse               = 0x20

	marker = 4 // zero bytes before IKE
)

func ikeInit(spi uint64) []byte { return ike(spi, 0, exchangeInit, payloadSA, flagInitiator) }

func ikeAuth(spi uint64) []byte { return ike(spi, ^spi, exchangeAuth, payloadSK, flagInitiator) }

// ike is a message with one payload of 60 bytes.
func ike(initiator, responder uint64, exchange, payload, flags byte) []byte {
	b := make([]byte, marker, marker+28+60)
	b = binary.BigEndian.AppendUint64(b, initiator)
	b = binary.BigEndian.AppendUint64(b, responder)
	b = append(b, payload, 0x20, exchange, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(exchange-exchangeInit)) // message ID
	b = binary.BigEndian.AppendUint32(b, 28+60)
	b = append(b, 0, 0, 0, 60)
	return append(b, make([]byte, 56)...)
}

func esp(spi uint64) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(spi))
	return append(binary.BigEndian.AppendUint32(b, 1), make([]byte, 56)...)
}

// answer turns what the initiator sent into what the responder answers.
func answer(b []byte) {
	if !slices.Equal(b[:marker], make([]byte, marker)) {
		b[0] ^= 0x80 // an SPI of the other direction
		return
	}
	h := b[marker:]
	binary.BigEndian.PutUint64(h[8:], ^binary.BigEndian.Uint64(h))
	h[19] = flagResponse
}
