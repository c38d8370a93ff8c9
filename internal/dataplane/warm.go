package dataplane

import (
	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/segment"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
)

// Where there are many sessions a packet's is in no cache. So a batch's are read
// together before the first is carried (session.Table.Warm). Of frames that is only known
// once their datagrams are open: they are gathered, in order, until the batch ends.

// warmLeast is from how many packets of a socket on Receive does so by itself.
const warmLeast = 4

// Warm notes a batch that Receive is given soon, and others before it: where there
// are few packets of each of many sockets, their sessions are still read together. It reports
// whether it is worth waiting for others.
func (e *Engine) Warm(token uint64, batch []udpio.Message) bool {
	if len(batch) >= warmLeast || e.table == nil || !e.table.Many() {
		return false
	}
	sock := e.sockets.at(token)
	if sock == nil || sock.use != Edge {
		return false
	}
	e.warm(sock, batch)
	return true
}

func (e *Engine) warm(sock *socket, batch []udpio.Message) {
	if sock.use != Edge || e.table == nil || !e.table.Many() {
		return
	}
	for i := range batch {
		if sock.listener != nil {
			e.table.WarmFlow(e.plan.self, batch[i].From, sock.addr)
		} else {
			e.table.WarmEgress(sock.addr, batch[i].From)
		}
	}
}

// gathering are frames for this PoP, whose payload lives until Flush.
type gathering struct {
	on   bool // a batch is being received
	list []gathered
}

type gathered struct {
	from *segment.Segment
	h    frame.Header
	rest []byte
}

// gatherMost is how many wait at most.
const gatherMost = 64

// gather keeps a frame until others have come whose sessions are read together with
// its. It reports false when that is not to be: the frame comes now, after those that wait.
func (e *Engine) gather(now mono.Time, from *segment.Segment, h *frame.Header, rest []byte, stable bool) bool {
	g := &e.gathering
	if !g.on {
		return false
	}
	if h.Kind != frame.Data {
		e.deliverGathered(now)
		return false
	}
	if !stable { // it would be copied where it leaves
		rest = e.arena.Copy(rest)
	}
	e.table.WarmID(h.Session)
	g.list = append(g.list, gathered{from, *h, rest})
	if len(g.list) == gatherMost {
		e.deliverGathered(now)
	}
	return true
}

// deliverGathered carries the frames that wait.
func (e *Engine) deliverGathered(now mono.Time) {
	g := &e.gathering
	if len(g.list) == 0 {
		return
	}
	e.table.Warm()
	for i := range g.list {
		f := &g.list[i]
		e.deliver(now, f.from, f.h, f.rest, true)
	}
	g.list = g.list[:0]
}
