package health

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"causeway/internal/ipsec"
)

// ikeInit sends an IKE_SA_INIT request (RFC 7296 section 1.2) and takes any
// answer to it as life: COOKIE, INVALID_KE_PAYLOAD and NO_PROPOSAL_CHOSEN too.
//
// The request is made so that answering it leaves nothing half-open. It proposes
// what nearly every device accepts, so that the device need not complain of a
// foreign peer, but brings a key exchange of a group that it did not propose: a
// device that is asked for a cookie first (section 2.6) has nothing to keep, and
// any other must refuse with INVALID_KE_PAYLOAD (section 1.2) before it has
// computed anything. A device that accepts none of the proposals refuses
// with NO_PROPOSAL_CHOSEN. What it asks for is never sent.
func ikeInit(ctx context.Context, t Target) (time.Duration, error) {
	began := time.Now()
	if _, err := askInit(ctx, t, nil); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// ikeBears finds out whether an endpoint passes over a COOKIE that it has not asked
// for, as RFC 7296 section 2.6 has it do: then a PoP may ask strangers for one
// before what they begin crosses. It asks as ikeInit does. known is false when the
// answer says nothing: none came, or the endpoint asks for cookies of its own now.
func ikeBears(ctx context.Context, t Target) (bears, known bool) {
	var cookie [17]byte // as long as a PoP's own
	_, _ = rand.Read(cookie[:])
	answer, err := askInit(ctx, t, cookie[:])
	if err != nil {
		return false, false
	}
	p := ipsec.Peek(answer, ipsec.NATT(t.Check.Port))
	switch {
	case p.Major() != 2:
		return false, true
	case p.Init.Has(ipsec.NotifyCookie):
		return false, false
	}
	return p.Init.HasSA || p.Init.Has(ipsec.NotifyInvalidKE) || p.Init.Has(ipsec.NotifyNoProposalChosen), true
}

// askInit sends a request, with a cookie if there is one, and returns its answer.
func askInit(ctx context.Context, t Target, cookie []byte) ([]byte, error) {
	c, err := t.dialer("udp").DialContext(ctx, "udp", t.address())
	if err != nil {
		return nil, ours(err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()

	var chance [8 + ikeKE + ikeNonce]byte
	_, _ = rand.Read(chance[:])
	chance[0] |= 1 // an SPI is not zero
	request := appendInit(nil, ipsec.NATT(t.Check.Port), chance, cookie)
	if _, err := c.Write(request); err != nil {
		return nil, ours(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil, errSilent
		case err != nil: // most often ICMP says that nobody listens there
			return nil, ours(fmt.Errorf("IKE is not answered: %w", err))
		}
		if answersInit(buf[:n], ipsec.NATT(t.Check.Port), [8]byte(chance[:8])) {
			return buf[:n], nil
		}
	}
}

// Sizes of what is random in a request.
const (
	ikeKE    = 128 // a public value of group 2
	ikeNonce = 32
)

// Numbers of RFC 7296 and its registries.
const (
	ikeHeaderLen    = 28
	ikeVersion      = 0x20
	ikeSAInit       = 34
	ikeInitiator    = 0x08
	ikeResponse     = 0x20
	ikePayloadSA    = 33
	ikePayloadKE    = 34
	ikePayloadNonce = 40

	ikePayloadNotify = 41

	transformENCR, transformPRF, transformINTEG, transformDH = 1, 2, 3, 4
	// ikeForeignGroup is the group of the key exchange: 1024-bit MODP, which
	// every device can read, none of the proposals has, and nobody should accept.
	ikeForeignGroup = 2
)

type transform struct {
	kind   byte
	id     uint16
	keyLen uint16 // bits; 0: the transform has none
}

var (
	ikePRF    = []transform{{transformPRF, 5, 0}, {transformPRF, 6, 0}, {transformPRF, 7, 0}, {transformPRF, 2, 0}}
	ikeGroups = []transform{
		{transformDH, 14, 0}, {transformDH, 19, 0}, {transformDH, 20, 0}, {transformDH, 21, 0}, {transformDH, 31, 0},
		{transformDH, 15, 0}, {transformDH, 16, 0}, {transformDH, 5, 0},
	}
	// ikeProposals: AES-CBC with HMAC, and AES-GCM.
	ikeProposals = [][]transform{
		append(append([]transform{
			{transformENCR, 12, 256}, {transformENCR, 12, 192}, {transformENCR, 12, 128},
			{transformINTEG, 12, 0}, {transformINTEG, 13, 0}, {transformINTEG, 14, 0}, {transformINTEG, 2, 0},
		}, ikePRF...), ikeGroups...),
		append(append([]transform{{transformENCR, 20, 256}, {transformENCR, 20, 128}}, ikePRF...), ikeGroups...),
	}
)

// appendInit appends an IKE_SA_INIT request: SA, KE, Nonce, and a COOKIE in front of
// them if there is one. chance is its SPI, public value and nonce.
func appendInit(dst []byte, natt bool, chance [8 + ikeKE + ikeNonce]byte, cookie []byte) []byte {
	if natt {
		dst = append(dst, 0, 0, 0, 0) // the non-ESP marker of RFC 3948
	}
	start := len(dst)
	dst = append(dst, chance[:8]...)
	first := byte(ikePayloadSA)
	if len(cookie) > 0 {
		first = ikePayloadNotify
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, first, ikeVersion, ikeSAInit, ikeInitiator, 0, 0, 0, 0, 0, 0, 0, 0)
	if len(cookie) > 0 {
		dst = payload(dst, ikePayloadSA, func(dst []byte) []byte { return append(append(dst, 0, 0, 0x40, 0x06), cookie...) }) // protocol, SPI size, COOKIE
	}
	dst = payload(dst, ikePayloadKE, func(dst []byte) []byte {
		for i, p := range ikeProposals {
			dst = appendProposal(dst, byte(i+1), i == len(ikeProposals)-1, p)
		}
		return dst
	})
	dst = payload(dst, ikePayloadNonce, func(dst []byte) []byte {
		dst = binary.BigEndian.AppendUint16(dst, ikeForeignGroup)
		return append(append(dst, 0, 0), chance[8:8+ikeKE]...)
	})
	dst = payload(dst, 0, func(dst []byte) []byte { return append(dst, chance[8+ikeKE:]...) })
	binary.BigEndian.PutUint32(dst[start+24:], uint32(len(dst)-start))
	return dst
}

// payload appends a payload with its generic header; next is the type of the one behind it.
func payload(dst []byte, next byte, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = body(append(dst, next, 0, 0, 0))
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst
}

// appendProposal appends a proposal for IKE (RFC 7296 section 3.3.1).
func appendProposal(dst []byte, number byte, last bool, transforms []transform) []byte {
	start := len(dst)
	more := byte(2)
	if last {
		more = 0
	}
	dst = append(dst, more, 0, 0, 0, number, 1, 0, byte(len(transforms)))
	for i, t := range transforms {
		more, size := byte(3), uint16(8)
		if i == len(transforms)-1 {
			more = 0
		}
		if t.keyLen > 0 {
			size = 12
		}
		dst = append(dst, more, 0)
		dst = binary.BigEndian.AppendUint16(dst, size)
		dst = append(dst, t.kind, 0)
		dst = binary.BigEndian.AppendUint16(dst, t.id)
		if t.keyLen > 0 {
			dst = append(dst, 0x80, 14) // key length, as type and value
			dst = binary.BigEndian.AppendUint16(dst, t.keyLen)
		}
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst
}

// answersInit reports whether b is an answer to our request: it knows our SPI,
// and is no echo of what we sent. An IKEv1 device's answer is one, too.
func answersInit(b []byte, natt bool, spi [8]byte) bool {
	if natt {
		if len(b) < 4 || !bytes.Equal(b[:4], []byte{0, 0, 0, 0}) {
			return false
		}
		b = b[4:]
	}
	if len(b) < ikeHeaderLen || [8]byte(b[:8]) != spi {
		return false
	}
	major := b[17] >> 4
	return major == 2 && b[18] == ikeSAInit && b[19]&ikeResponse != 0 && b[19]&ikeInitiator == 0 || major == 1
}
