package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"causeway/internal/lab/attack"
	"causeway/internal/lab/scenario"
)

// attacks are those that a script has begun; they go on beside it.
type attacks struct {
	running sync.WaitGroup
	ends    []context.CancelFunc
	all     []*going
}

type going struct {
	event int // which of those done
	count attack.Count
	err   error
}

func (a *attacks) begin(ctx context.Context, l *Lab, x *scenario.Attack, event int) error {
	ns, err := l.node(x.From)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	a.ends = append(a.ends, cancel)
	g := &going{event: event}
	a.all = append(a.all, g)
	a.running.Go(func() {
		g.count, g.err = attack.Run(ctx, attack.Config{
			Target: netip.AddrPortFrom(x.To, 500), Rate: x.Rate, For: x.For, Cookies: x.Cookies,
			Listen: func() (conn net.PacketConn, err error) {
				err = ns.Do(func() (err error) {
					conn, err = net.ListenPacket("udp4", ":0")
					return err
				})
				return conn, err
			},
		})
	})
	return nil
}

// stop ends those that still go on.
func (a *attacks) stop() {
	for _, end := range a.ends {
		end()
	}
	a.running.Wait()
}

// report waits for the attacks' ends and writes what they did beside the events.
func (a *attacks) report(say *Progress, done []Done) {
	a.running.Wait()
	for _, g := range a.all {
		d := &done[g.event]
		d.Where += fmt.Sprintf(" (%v)", g.count)
		switch {
		case g.err != nil:
			d.Err = g.err
		case g.count.Answered+g.count.Asked == 0:
			d.Err = errors.New("nobody answered any of it, so it was no attack")
		}
		say.Step("%s %s", d.What, d.Where)
	}
}

// reconnectTimeout is when a tunnel that is called anew is given up.
const reconnectTimeout = 20 * time.Second

// reconnect takes a tunnel down at both ends and calls it anew. It returns how
// long that took from the first packet on.
func (l *Lab) reconnect(ctx context.Context, tunnel string) (time.Duration, error) {
	t, _ := l.Scenario.Tunnel(tunnel)
	_ = l.initiator(t).Terminate(ctx, tunnel) // there may be none to take down
	return l.initiator(t).Initiate(ctx, tunnel, reconnectTimeout)
}
