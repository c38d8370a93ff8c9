package health

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway/internal/dataplane/admission"
	"causeway/internal/ipsec"
	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/mono"
)

// challenger stands between two VPN gateways as a PoP does: it asks each first message
// for a cookie, and passes on unchanged what comes with the right one.
type challenger struct {
	cookies         admission.Cookies
	clock           mono.Clock
	asked, admitted atomic.Int64
	closers         []*net.UDPConn
}

// open makes the sockets of one port, in the namespace of the calling thread.
func (c *challenger) open(port uint16, accelerated, egress, endpoint netip.Addr) error {
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(accelerated, port)))
	if err != nil {
		return err
	}
	back, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(egress, port)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(endpoint, port)))
	if err != nil {
		return err
	}
	c.closers = append(c.closers, front, back)
	var client atomic.Pointer[netip.AddrPort]
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			client.Store(&from)
			if c.passes(front, from, buf[:n], ipsec.NATT(port)) {
				_, _ = back.Write(buf[:n])
			}
		}
	}()
	go func() {
		buf := make([]byte, 65536)
		for {
			n, err := back.Read(buf)
			if err != nil {
				if strings.Contains(err.Error(), "closed") {
					return
				}
				continue // ICMP
			}
			if to := client.Load(); to != nil {
				_, _ = front.WriteToUDPAddrPort(buf[:n], *to)
			}
		}
	}()
	return nil
}

func (c *challenger) passes(front *net.UDPConn, from netip.AddrPort, b []byte, natt bool) bool {
	p := ipsec.Peek(b, natt)
	if !p.Begins() {
		return true
	}
	now := c.clock.Now()
	if cookie := p.Init.Cookie(b); cookie != nil && c.cookies.Check(now, from, p.InitiatorSPI, cookie) {
		c.admitted.Add(1)
		return true
	}
	c.asked.Add(1)
	_, _ = front.WriteToUDPAddrPort(c.cookies.AppendChallenge(nil, now, from, p.InitiatorSPI, p.Marker), from)
	return false
}

// Two real strongSwans, and a PoP between them that asks for a cookie which the
// responder has not asked for: the responder must take the request as it is, and
// the authentication, which covers it, must hold.
func TestStrongSwanTakesACookieThatItHasNotAskedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if gateway.Charon() == "" {
		t.Skip("charon-systemd of strongSwan is not installed")
	}
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	name := func(node string) string { return netns.Name(fmt.Sprintf("k%d", os.Getpid()), node) }
	var ns [3]*netns.NS
	for i, node := range []string{"client", "pop", "vpn"} {
		made, err := netns.Create(name(node))
		if err != nil {
			t.Fatal(err)
		}
		defer made.Delete()
		ns[i] = made
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	client, pop, vpn := ns[0], ns[1], ns[2]
	addrClient, accelerated := netip.MustParseAddr("198.18.0.2"), netip.MustParseAddr("198.18.0.10")
	addrVPN, egress := netip.MustParseAddr("198.18.1.2"), netip.MustParseAddr("198.18.1.20")
	must(netns.Veth(client, "out", pop, "east", 1500))
	must(netns.Veth(vpn, "out", pop, "west", 1500))
	for _, a := range []struct {
		in   *netns.NS
		link string
		addr netip.Addr
	}{{client, "out", addrClient}, {pop, "east", accelerated}, {vpn, "out", addrVPN}, {pop, "west", egress}} {
		must(a.in.AddAddr(a.link, netip.PrefixFrom(a.addr, 24)))
		must(a.in.Up(a.link))
	}
	random, clock := uint64(1), mono.NewClock()
	c := &challenger{clock: clock, cookies: admission.Cookies{Random: func() uint64 { random = ipsec.Mix(random); return random }}}
	must(pop.Do(func() error {
		for _, port := range []uint16{500, 4500} {
			if err := c.open(port, accelerated, egress, addrVPN); err != nil {
				return err
			}
		}
		return nil
	}))
	defer func() {
		for _, s := range c.closers {
			s.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := func(in *netns.NS, own, peer netip.Addr, id, peerID, net, peerNet string) gateway.Gateway {
		t.Helper()
		var charon process.Record
		g, err := gateway.Start(ctx, gateway.Config{
			Name: id, Dir: t.TempDir(), Backend: gateway.Detect(in.Do), In: in.Do,
			Connections: []gateway.Connection{{
				Name: "tunnel", Local: own, Remote: peer, LocalID: id, RemoteID: peerID, PSK: "for this test only",
				LocalNets: []netip.Prefix{netip.MustParsePrefix(net)}, RemoteNets: []netip.Prefix{netip.MustParsePrefix(peerNet)},
			}},
		}, func(r process.Record) error { charon = r; return nil })
		t.Cleanup(func() {
			if charon.PID != 0 {
				if err := charon.Stop(5 * time.Second); err != nil {
					t.Error(err)
				}
			}
		})
		must(err)
		return g
	}
	responder := start(vpn, addrVPN, egress, "vpn", "client", "10.2.0.0/24", "10.1.0.0/24")
	initiator := start(client, addrClient, accelerated, "client", "vpn", "10.1.0.0/24", "10.2.0.0/24")
	// Without routes the ESP SA is refused: the IKE SA is what this is about.
	_, _ = initiator.Initiate(ctx, "tunnel", 30*time.Second)
	if c.asked.Load() == 0 || c.admitted.Load() == 0 {
		t.Errorf("asked %d times, admitted %d", c.asked.Load(), c.admitted.Load())
	}
	log, err := os.ReadFile(responder.Log())
	must(err)
	for _, want := range []string{"N(COOKIE)", "IKE_SA tunnel[1] established"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the responder's log does not have %q:\n%s", want, log)
		}
	}
	if strings.Contains(string(log), "generating IKE_SA_INIT response 0 [ N(COOKIE)") {
		t.Error("the responder has asked for a cookie itself: this shows nothing")
	}
	// And the probe finds it out by itself.
	must(pop.Do(func() error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		at := Target{Endpoint: addrVPN, Source: egress}
		at.Check.Port = 500
		if bears, known := ikeBears(ctx, at); !bears || !known {
			t.Errorf("the probe says: bears %v, known %v", bears, known)
		}
		return nil
	}))
}
