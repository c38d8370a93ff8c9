package health

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// icmpEcho sends one echo request (RFC 792, RFC 4443) and waits for its reply. It
// needs the right to open ping sockets (net.ipv4.ping_group_range) or raw ones
// (CAP_NET_RAW).
func icmpEcho(ctx context.Context, t Target) (time.Duration, error) {
	v6 := t.Endpoint.Is6()
	c, datagram, err := listenICMP(t.Source, v6)
	if err != nil {
		return 0, &BarredError{err}
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()

	var token [16]byte // ids are the kernel's on ping sockets; this is ours alone
	_, _ = rand.Read(token[:])
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: 1, Data: token[:]}}
	protocol := 1
	if v6 {
		request.Type, protocol = ipv6.ICMPTypeEchoRequest, 58
	}
	b, err := request.Marshal(nil)
	if err != nil {
		return 0, &BarredError{err}
	}
	var to net.Addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.Endpoint, 0))
	if !datagram {
		to = &net.IPAddr{IP: t.Endpoint.AsSlice()}
	}
	began := time.Now()
	if _, err := c.WriteTo(b, to); err != nil {
		return 0, ours(err)
	}
	buf := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return 0, errSilent
		case err != nil:
			return 0, ours(err)
		}
		m, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && bytes.Equal(echo.Data, token[:]) {
			return time.Since(began), nil
		}
	}
}

// listenICMP opens a ping socket, or a raw one where that is not allowed.
func listenICMP(source netip.Addr, v6 bool) (c *icmp.PacketConn, datagram bool, err error) {
	from, ping, raw := "0.0.0.0", "udp4", "ip4:icmp"
	if v6 {
		from, ping, raw = "::", "udp6", "ip6:ipv6-icmp"
	}
	if source.IsValid() {
		from = source.String()
	}
	if c, err := icmp.ListenPacket(ping, from); err == nil {
		return c, true, nil
	}
	if c, err = icmp.ListenPacket(raw, from); err != nil {
		return nil, false, fmt.Errorf("%w (allow ping sockets by net.ipv4.ping_group_range, or give CAP_NET_RAW)", err)
	}
	return c, false, nil
}
