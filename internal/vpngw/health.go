package vpngw

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"causeway/internal/report"
	"causeway/internal/vpn"
	"causeway/internal/vpngw/failover"
)

// checker asks through a connection, with ICMP echoes, whether the other side
// answers. It owns a goroutine until stop.
type checker struct {
	check  vpn.HealthCheck
	cancel context.CancelFunc
	done   chan struct{}
	fresh  atomic.Bool // what was counted so far was of another tunnel
}

// watchHealth starts, restarts or ends the checks of a connection.
func (e *engine) watchHealth(c *connection) {
	switch {
	case c.HealthCheck == nil:
		c.check.stop()
		c.check, c.health = nil, ""
		return
	case c.check != nil && c.check.check == *c.HealthCheck:
		return
	}
	c.check.stop()
	ctx, cancel := context.WithCancel(context.Background())
	k := &checker{check: *c.HealthCheck, cancel: cancel, done: make(chan struct{})}
	c.check, c.health = k, ""
	name := c.Name
	go func() {
		defer close(k.done)
		k.run(ctx, func(verdict string) {
			_ = e.do(ctx, func(ctx context.Context) { e.verdict(ctx, name, k, verdict) })
		})
	}()
}

// stop ends the checks without waiting: the engine may be what they wait for.
func (k *checker) stop() {
	if k != nil {
		k.cancel()
	}
}

// reset forgets what was counted.
func (k *checker) reset() {
	if k != nil {
		k.fresh.Store(true)
	}
}

// run asks until ctx ends, and tells each verdict: Retries answers, or silences,
// in a row.
func (k *checker) run(ctx context.Context, tell func(verdict string)) {
	ticker := time.NewTicker(k.check.Interval)
	defer ticker.Stop()
	good, bad := 0, 0
	for {
		ask, cancel := context.WithTimeout(ctx, k.check.Interval)
		err := echo(ask, k.check.Source, k.check.Destination)
		cancel()
		if k.fresh.Swap(false) {
			good, bad = 0, 0
		}
		if err == nil {
			good, bad = good+1, 0
		} else {
			good, bad = 0, bad+1
		}
		if good > 0 && good%k.check.Retries == 0 {
			tell("up")
		}
		if bad > 0 && bad%k.check.Retries == 0 {
			tell("down")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// verdict takes a verdict of k about a connection. It is said again and again
// while it holds, so that one tunnel after the other is tried.
func (e *engine) verdict(ctx context.Context, name string, k *checker, verdict string) {
	for _, c := range e.connections {
		if c.Name != name || c.check != k {
			continue
		}
		if c.health != verdict {
			e.log.Info("health check of a connection changed", "connection", name, "health", verdict, "destination", k.check.Destination)
			c.health = verdict
			e.poke()
		}
		if verdict == "up" || c.state != report.IPsecEstablished {
			return
		}
		t := c.chosen()
		if len(c.tunnels) > 1 {
			t.failed = e.clock.Now().Add(failover.Stable)
		}
		if k.check.Reset {
			e.log.Warn("tunnel is negotiated anew: its health check fails", "tunnel", t.Name)
			_ = e.swan.Terminate(ctx, t.Name, 0)
			t.tryAt, t.tries = 0, 0
		}
	}
}

var errSilent = errors.New("no answer")

// echo sends one ICMP echo request (RFC 792, RFC 4443) and waits for its reply
// until ctx ends.
func echo(ctx context.Context, from, to netip.Addr) error {
	network, protocol := "ip4:icmp", 1
	var kind, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		network, protocol = "ip6:ipv6-icmp", 58
		kind, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	c, err := icmp.ListenPacket(network, from.String())
	if err != nil {
		return fmt.Errorf("ping %v from %v: %w", to, from, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	var token [16]byte
	_, _ = rand.Read(token[:])
	request := icmp.Message{Type: kind, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: 1, Data: token[:]}}
	b, err := request.Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return fmt.Errorf("ping %v from %v: %w", to, from, err)
	}
	buf := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return errSilent
		}
		m, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil || m.Type != reply {
			continue
		}
		if body, ok := m.Body.(*icmp.Echo); ok && bytes.Equal(body.Data, token[:]) {
			return nil
		}
	}
}
