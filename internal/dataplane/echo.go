package dataplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/mono"
	"causeway/internal/route"
	"causeway/internal/snapshot"
)

// Echo frames measure what a packet of a session meets on its way between two
// PoPs: they take the ways that sessions take, are repaired as sessions are, and
// are answered by the other PoP's data plane.

const (
	// echoesAnswered bounds how many a PoP answers a second; neighbours are PoPs of
	// ours, and each asks once a second.
	echoesAnswered = 2000
	// echoesPending bounds how many wait for their answers.
	echoesPending = 4096
	// echoPatience is how long one waits at the most.
	echoPatience = 10 * time.Second
	// MaxEcho is the largest payload of an Echo: with all that is added, it fits
	// the datagrams of an Ethernet.
	MaxEcho = 1200
)

// echoes is an Engine's part in it.
type echoes struct {
	pending map[uint64]echo
	answers budget
}

type echo struct {
	to       snapshot.Label
	sent     mono.Time
	answered func(rtt time.Duration)
}

// Echo sends size bytes to another PoP, repaired in the mode given, and calls
// answered when they have come back: at most once, from Receive, and never when
// they are lost. Over is the way to send them; nil is the one in use. The answer
// takes the way that the other PoP uses.
func (e *Engine) Echo(now mono.Time, to string, over *route.Route, size int, mode uint8, answered func(rtt time.Duration)) error {
	if e.plan == nil {
		return fmt.Errorf("echo to %s: no snapshot was applied yet", to)
	}
	peer := e.plan.byName[to]
	if peer == nil || e.plan.ways[peer.Label] == nil {
		return fmt.Errorf("echo to %q: there is no route; routes go to %v", to, e.plan.destinations())
	}
	if size < 0 || size > MaxEcho {
		return fmt.Errorf("echo to %s: %d bytes; allowed: 0 to %d", to, size, MaxEcho)
	}
	w := e.plan.ways[peer.Label]
	way := (*candidate)(nil)
	if over != nil {
		i := slices.IndexFunc(w.candidates, func(c candidate) bool { return slices.Equal(c.via, over.Via) })
		if i < 0 {
			return fmt.Errorf("echo to %s over %v: it is no candidate of the route; causeway route explain %s shows them", to, over.Via, to)
		}
		way = &w.candidates[i]
		if firstOf(way) == nil {
			return fmt.Errorf("echo to %s over %v: there is no segment to %s", to, over.Via, peer.Name)
		}
	}
	e.forgetEchoes(now)
	if len(e.echo.pending) >= echoesPending {
		return fmt.Errorf("echo to %s: %d wait for their answers already", to, echoesPending)
	}
	if e.echo.pending == nil {
		e.echo.pending = map[uint64]echo{}
	}
	id := e.cfg.Random()
	e.echo.pending[id] = echo{to: peer.Label, sent: now, answered: answered}
	h := frame.Header{Kind: frame.Echo, Hops: frame.MaxHops, Mode: mode, Origin: e.plan.self, Session: id}
	payload := make([]byte, size)
	if way == nil {
		e.route(now, peer.Label, h, nil, payload)
		return nil
	}
	h.NRoute = uint8(copy(h.Route[:], way.labels[1:]))
	e.sendVia(now, firstOf(way), &h, nil, payload)
	return nil
}

// forgetEchoes gives up those that were lost.
func (e *Engine) forgetEchoes(now mono.Time) {
	for id, one := range e.echo.pending {
		if now.Sub(one.sent) > echoPatience {
			delete(e.echo.pending, id)
		}
	}
}

// hearEcho answers another PoP's, or takes in the answer to one of ours.
func (e *Engine) hearEcho(now mono.Time, h *frame.Header, payload []byte) {
	if h.Flags&frame.ToClient == 0 {
		if len(payload) <= MaxEcho && e.echo.answers.take(now, echoesAnswered) {
			e.route(now, h.Origin, frame.Header{
				Kind: frame.Echo, Flags: frame.ToClient, Hops: frame.MaxHops, Mode: h.Mode, Origin: e.plan.self, Session: h.Session,
			}, nil, payload)
		}
		return
	}
	one, ours := e.echo.pending[h.Session]
	if !ours || one.to != h.Origin {
		return // late, or a copy of one that was answered
	}
	delete(e.echo.pending, h.Session)
	one.answered(now.Sub(one.sent))
}

// Echo sends size bytes to another PoP as a packet of a session would go, and
// returns how long they took there and back. Over names the relays to pass on the
// way there; nil is the way in use. It returns ctx's error when no answer came in
// time. Any goroutine may call it while Run runs.
func (p *Plane) Echo(ctx context.Context, to string, over []string, size int, mode uint8) (time.Duration, error) {
	answer := make(chan time.Duration, 1)
	var want *route.Route
	if over != nil {
		want = &route.Route{To: to, Via: over}
	}
	p.mu.Lock()
	first := p.lanes[0]
	p.mu.Unlock()
	err := ErrStopped
	first.worker.call(func(now mono.Time) {
		err = first.engine.Echo(now, to, want, size, mode, func(rtt time.Duration) { answer <- rtt })
	})
	if err != nil {
		return 0, err
	}
	select {
	case rtt := <-answer:
		return rtt, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
