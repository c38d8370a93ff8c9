package dataplane

import (
	"net/netip"

	"causeway/internal/dataplane/fair"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
)

// turns is whose turn it is. Sockets that have something to read wait in line: those of the
// overlay come first, since all accelerators' packets come over them. The others belong to
// somebody, an accelerator or the endpoints behind an egress IP, and share what time there
// is: when a worker has more to do than it can, what is too much waits, and is lost, in
// the buffers of those whose it is.
type turns struct {
	overlay    []*conn
	edge       fair.Rota[*conn]
	parties    map[owner]*fair.Party[*conn]
	generation uint64                                // of parties
	drain      func(c *conn, budget int) (int, bool) // worker.drain, bound once

	batch *udpio.Batch
	held  int // bytes in batch that wait for Flush
	now   mono.Time

	// Few packets of each of many sockets: they are carried together, see Engine.Warm.
	few  []udpio.Message
	from []*conn // of each
}

// conn is a socket and whose it is.
type conn struct {
	*udpio.Conn
	lane  *lane
	token uint64 // the engine's own
	use   Use
	waits bool // in line

	party      *fair.Party[*conn]
	generation uint64 // that party is of
}

// owner is on whose account a socket's packets are.
type owner struct {
	accelerator string
	listener    string     // where a listener names no accelerator
	egress      netip.Addr // what endpoints send to
}

// owner is who owns the socket with that token.
func (e *Engine) owner(token uint64) owner {
	switch sock := e.sockets.at(token); {
	case sock == nil:
		return owner{}
	case sock.listener == nil:
		return owner{egress: sock.addr.Addr()}
	case sock.listener.Accelerator != "":
		return owner{accelerator: sock.listener.Accelerator}
	default:
		return owner{listener: sock.listener.Name}
	}
}

const (
	// batchReceives is how many receives wait for Flush at most.
	batchReceives = 256
	// packetCost is what a packet costs beside its bytes, in bytes: carrying one of 64
	// bytes takes half as long as carrying one of 1,400.
	packetCost = 1 << 10
	// quantum is an owner's share of a round: half a millisecond or so.
	quantum = 512 << 10
	// overlayTurn is what is read of an overlay socket at a time.
	overlayTurn = 1 << 20
)

func (w *worker) openTurns() {
	w.turns.edge.Quantum = quantum
	w.turns.parties = map[owner]*fair.Party[*conn]{}
	w.turns.batch = udpio.NewBatch(batchReceives)
	w.turns.drain = w.drain
}

// waiting tells whether there is something to read that was told of before.
func (t *turns) waiting() bool { return len(t.overlay) > 0 || t.edge.Waiting() }

// disown makes owners be looked up anew: the snapshot has changed.
func (t *turns) disown() {
	t.generation++
	clear(t.parties)
}

// queue puts the socket of that token in line.
func (w *worker) queue(token uint64) {
	c := w.conns[token]
	if c == nil || c.waits {
		return
	}
	t := &w.turns
	c.waits = true
	if c.use == Overlay {
		t.overlay = append(t.overlay, c)
		return
	}
	if c.party == nil || c.generation != t.generation {
		whose := c.lane.engine.owner(c.token)
		if c.party = t.parties[whose]; c.party == nil {
			c.party = new(fair.Party[*conn])
			t.parties[whose] = c.party
		}
		c.generation = t.generation
	}
	t.edge.Add(c.party, c)
}

// turn carries of what waits: some of each overlay socket, and each owner's share of
// the rest. It writes when some has gathered, so that what goes to one place goes together.
func (w *worker) turn(now mono.Time) mono.Time {
	t := &w.turns
	if !t.waiting() {
		return now
	}
	t.now = now
	left := t.overlay[:0]
	for _, c := range t.overlay {
		if _, more := w.drain(c, overlayTurn); more {
			left = append(left, c)
		}
	}
	clear(t.overlay[len(left):])
	t.overlay = left
	t.edge.Round(t.drain)
	w.settle()
	return t.now
}

// drain carries what has arrived on one socket, until it has cost budget.
func (w *worker) drain(c *conn, budget int) (cost int, more bool) {
	t, engine := &w.turns, c.lane.engine
	for more = true; more && cost < budget; {
		if t.batch.Full() {
			w.settle()
		}
		t.batch.Want = engine.appetite()
		n, err := c.ReadMore(t.batch)
		if err != nil { // closed by what came before
			more = false
			break
		}
		more = t.batch.More
		bytes := 0
		for i := range t.batch.Messages {
			bytes += len(t.batch.Messages[i].Data)
		}
		if n > 0 {
			w.batches++
			w.packets += uint64(n)
			if engine.Warm(c.token, t.batch.Messages) {
				w.wait(c)
			} else {
				w.carry() // in the order in which they came
				engine.Receive(t.now, c.token, t.batch.Messages)
			}
		}
		cost += bytes + max(n, 1)*packetCost
		if t.held += bytes; t.held >= t.batch.Want {
			w.settle()
		}
	}
	c.waits = more
	return cost, more
}

// fewMost is how many packets wait to be carried together.
const fewMost = 64

// wait puts off what was just read of a socket, until there is more of others.
func (w *worker) wait(c *conn) {
	t := &w.turns
	for i := range t.batch.Messages {
		t.few, t.from = append(t.few, t.batch.Messages[i]), append(t.from, c)
	}
	if len(t.few) >= fewMost {
		w.carry()
	}
}

// carry carries what was put off.
func (w *worker) carry() {
	t := &w.turns
	for i := 0; i < len(t.few); {
		c, j := t.from[i], i+1
		for j < len(t.few) && t.from[j] == c {
			j++
		}
		c.lane.engine.Receive(t.now, c.token, t.few[i:j])
		i = j
	}
	clear(t.from)
	t.few, t.from = t.few[:0], t.from[:0]
}

// settle writes out what was made of what is held.
func (w *worker) settle() {
	t := &w.turns
	w.carry()
	w.flush(t.now)
	t.batch.Clear()
	t.held, t.now = 0, w.plane.clock.Now()
}
