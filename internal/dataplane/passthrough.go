package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/dataplane/xdp"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// passthrough is a port that two other PoPs have to themselves: what one sends there
// goes on to the other, as it is. It is sealed between those two, so nothing of it is
// opened, kept or judged here but that it comes from one of the two and looks like theirs.
type passthrough struct {
	snapshot.Passthrough
	sock   *socket
	public netip.AddrPort
	sent   [2]session.Count // of each end's that went on to the other, the kernel's included
	below  [2]passedBelow
}

// passedBelow is what the kernel passes on of one end's.
type passedBelow struct {
	on   bool
	slot uint32
	told session.Count
}

// passthroughs opens the ports of those of the snapshot, and goes on with what was
// counted of those that stay the same.
func (b *builder) passthroughs() error {
	var errs []error
	for i, p := range b.plan.snap.Passthroughs {
		bind, public, _ := b.plan.snap.PassthroughAt(p)
		sock, err := b.listen(bind, Overlay)
		if err != nil {
			errs = append(errs, fmt.Errorf("passthroughs[%d].port: %w", i, err))
			continue
		}
		t := &passthrough{Passthrough: p, sock: sock, public: public}
		if old := sock.passes; old != nil && old.Ends == p.Ends {
			t.sent, t.below = old.sent, old.below
		}
		b.plan.passthroughs = append(b.plan.passthroughs, t)
	}
	return errors.Join(errs...)
}

// passOn takes a datagram from one end of a passthrough to the other.
func (e *Engine) passOn(sock *socket, m *udpio.Message) {
	p := sock.passes
	from := 0
	if m.From != p.Ends[0].Remote {
		if from = 1; m.From != p.Ends[1].Remote {
			e.drops.add(DropNoEnd)
			return
		}
	}
	if !xdp.IsSealed(m.Data) {
		e.drops.add(DropNotOverlay)
		return
	}
	p.sent[from].Add(len(m.Data))
	e.queue(sock, m.Data, p.Ends[1-from].Remote, m.TOS)
}

// forwarding is what the kernel is to do with what comes from an end.
func (p *passthrough) forwarding(from int) xdp.Forwarding {
	return xdp.Forwarding{
		From: p.Ends[from].Remote, To: p.sock.addr, As: p.sock.addr, Next: p.Ends[1-from].Remote, Sealed: true,
	}
}

// passBelow hands all passthroughs to the kernel, and takes back those that are no
// more; old is the plan before. One lane does it for all: the flows are the same.
func (e *Engine) passBelow(old *plan) {
	if e.cfg.Below == nil || e.lane() != 0 {
		return
	}
	kept := map[netip.AddrPort]*passthrough{}
	for _, p := range e.plan.passthroughs {
		kept[p.sock.addr] = p
	}
	if old != nil {
		for _, p := range old.passthroughs {
			now := kept[p.sock.addr]
			if now != nil && now.Ends == p.Ends {
				continue
			}
			for from := range p.Ends {
				e.recall(p, from)
				e.tellBelow(e.cfg.Below.Know(p.Ends[from].Remote, p.sock.addr, false))
			}
		}
	}
	for _, p := range e.plan.passthroughs {
		for from := range p.Ends {
			e.handPassthrough(p, from)
		}
	}
}

// handPassthrough has the kernel pass on what comes from an end. Where it cannot, it knows
// at least that the end is no stranger.
func (e *Engine) handPassthrough(p *passthrough, from int) {
	way := &p.below[from]
	if way.on {
		return
	}
	var slot uint32
	err := errNotIPv4
	if p.sock.addr.Addr().Unmap().Is4() {
		slot, err = e.cfg.Below.Forward(p.forwarding(from))
	}
	if err != nil {
		if err != errNotIPv4 {
			e.tellBelow(err)
		}
		e.tellBelow(e.cfg.Below.Know(p.Ends[from].Remote, p.sock.addr, true))
		return
	}
	*way = passedBelow{on: true, slot: slot}
}

// errNotIPv4 is why the kernel is not asked.
var errNotIPv4 = errors.New("IPv4 alone is passed on in the kernel")

func (e *Engine) recall(p *passthrough, from int) {
	way := &p.below[from]
	if !way.on {
		return
	}
	packets, bytes, _, err := e.cfg.Below.Recall(way.slot, p.forwarding(from), false)
	e.tellBelow(err)
	e.passedBelow(p, from, session.Count{Packets: packets, Bytes: bytes})
	way.on = false
}

// syncPassthroughs takes in what the kernel has passed on.
func (e *Engine) syncPassthroughs() {
	for _, p := range e.plan.passthroughs {
		for from := range p.below {
			if way := &p.below[from]; way.on {
				packets, bytes, _ := e.cfg.Below.Carried(way.slot)
				e.passedBelow(p, from, session.Count{Packets: packets, Bytes: bytes})
			}
		}
	}
}

// passedBelow counts as passOn would have.
func (e *Engine) passedBelow(p *passthrough, from int, sum session.Count) {
	way := &p.below[from]
	n := session.Count{Packets: sum.Packets - way.told.Packets, Bytes: sum.Bytes - way.told.Bytes}
	way.told = sum
	addCount(&p.sent[from], n)
	addCount(&p.sock.fromPeer, n)
	addCount(&p.sock.toPeer, n)
	addCount(&e.below.total, n)
}

func (p *passthrough) report() report.Passthrough {
	r := report.Passthrough{Bind: p.sock.addr, Public: p.public, InKernel: p.below[0].on && p.below[1].on}
	for i, e := range p.Ends {
		r.Ends[i] = report.PassthroughEnd{PoP: e.PoP, Remote: e.Remote, Sent: report.Counter(p.sent[i])}
	}
	return r
}
