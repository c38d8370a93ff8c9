package dataplane

import (
	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/segment"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Frame implements segment.Host: a frame came over a segment.
func (e *Engine) Frame(now mono.Time, from *segment.Segment, b []byte, stable bool) {
	h, rest, ok := frame.Parse(b)
	if !ok {
		e.drops.add(DropMalformed)
		return
	}
	if h.NRoute > 0 {
		e.forward(now, h, rest)
		return
	}
	if !e.gather(now, from, &h, rest, stable) {
		e.deliver(now, from, h, rest, stable)
	}
}

// deliver takes in a frame that is for this PoP.
func (e *Engine) deliver(now mono.Time, from *segment.Segment, h frame.Header, rest []byte, stable bool) {
	e.arrivedFrom, e.arrivedDirect = from, h.Origin == from.PeerLabel()
	e.arrived(now, h, rest, stable)
	e.arrivedFrom = nil
}

// forward passes a frame on to the next PoP of its route, in whatever order
// frames come.
func (e *Engine) forward(now mono.Time, h frame.Header, rest []byte) {
	next, _ := h.PopRoute()
	if h.Hops <= 1 {
		e.drops.add(DropHops)
		return
	}
	h.Hops--
	p := e.plan.peers[next]
	if p == nil || p.segment == nil {
		e.drops.add(DropNotNeighbour)
		return
	}
	e.plan.relayed.Add(len(rest))
	e.sendVia(now, p.segment, &h, nil, rest)
}

// route sends a frame of ours to another PoP over the way chosen at present.
// While the choice is changing ESP goes over two ways: the exit delivers it once.
func (e *Engine) route(now mono.Time, to snapshot.Label, h frame.Header, describe func([]byte) []byte, payload []byte) {
	w := e.plan.way(to)
	if w == nil || w.copies == 0 {
		e.drops.add(DropNoRoute)
		return
	}
	if h.Kind != frame.Health && h.Kind != frame.Echo { // which go to everyone all the time, and are no use of a way
		w.carried.Add(len(payload))
		w.carriedAt = now
	}
	sent := false
	for i := range w.use[:w.copies] {
		if sent && h.Flags&frame.Once != 0 {
			break
		}
		s := firstOf(&w.use[i])
		if s == nil {
			continue
		}
		sent = true
		h.NRoute = uint8(copy(h.Route[:], w.use[i].labels[1:]))
		e.sendVia(now, s, &h, describe, payload)
	}
	if !sent {
		e.drops.add(DropNoRoute)
	}
}

func (e *Engine) sendVia(now mono.Time, s *segment.Segment, h *frame.Header, describe func([]byte) []byte, payload []byte) {
	head := h.Append(e.header[:0])
	if describe != nil {
		head = describe(head)
	}
	if !s.Pending() {
		e.busy = append(e.busy, s)
	}
	s.Send(now, segment.Mode(h.Mode), classOf(h.Flags), head, payload)
}
