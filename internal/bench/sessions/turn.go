package sessions

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/dataplane/udpio"
)

// batch is how many packets a turn carries each way: what a socket's read gives at most.
const batch = 64

// packetSize is the payload of a packet in bytes: ESP's numbers, and what they number.
const packetSize = 256

// turn is the memory of a turn, which every turn uses anew, as a socket's batch is.
type turn struct {
	data     [batch][packetSize]byte
	clients  [batch]udpio.Message
	overlay  []udpio.Message
	tokens   []uint64 // of the egress's sockets that answers come to
	arrived  int
	returned int
}

// times is what a turn took at each of the four places.
type times struct{ fromClient, toEndpoint, fromEndpoint, toClient time.Duration }

func (t *times) add(u times) {
	t.fromClient += u.fromClient
	t.toEndpoint += u.toEndpoint
	t.fromEndpoint += u.fromEndpoint
	t.toClient += u.toClient
}

// cpu is the processor's time that this thread has had: what others on the machine
// take is not in it.
func cpu() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail on Linux
	return time.Duration(t.Nano())
}

// once sends a batch of packets of distinct clients, chosen at random of all, to
// their endpoints, and an answer of each back. Packets are fresh in the caches, as those
// that a socket has just read; the sessions are not.
func (w *world) once() (took times) {
	t := &w.turn
	w.now = w.now.Add(batch * time.Microsecond)
	for i := range t.clients {
		client := w.random.IntN(w.n)
		w.seqs[client]++
		binary.BigEndian.PutUint32(t.data[i][:], uint32(spiOf(client)))
		binary.BigEndian.PutUint32(t.data[i][4:], w.seqs[client])
		t.clients[i] = udpio.Message{Data: t.data[i][:], From: clientOf(client)}
	}

	token := w.ingress.tokens[listener]
	begun := cpu()
	w.ingress.engine.Receive(w.now, token, t.clients[:])
	w.ingress.due(w)
	w.ingress.engine.Flush(w.now)
	took.fromClient = cpu() - begun

	took.toEndpoint = w.across(w.egress, overlayEgress, w.ingress.take())

	// What has left to endpoints comes back, numbered as it was.
	out := w.egress.take()
	back := out[:0]
	for _, d := range out {
		if d.from == overlayEgress {
			w.egress.out = append(w.egress.out, d) // goes with what comes next
			continue
		}
		answer(d.data)
		back = append(back, d)
	}
	t.arrived += len(back)
	t.overlay = t.overlay[:0]
	t.tokens = t.tokens[:0]
	for _, d := range back {
		t.overlay = append(t.overlay, udpio.Message{Data: d.data, From: d.to})
		t.tokens = append(t.tokens, w.egress.tokens[d.from])
	}
	begun = cpu()
	for i, token := range t.tokens { // as they come from a device: see dataplane/ports.go
		w.egress.engine.Warm(token, t.overlay[i:i+1])
	}
	for i, token := range t.tokens {
		w.egress.engine.Receive(w.now, token, t.overlay[i:i+1])
	}
	w.egress.due(w)
	w.egress.engine.Flush(w.now)
	took.fromEndpoint = cpu() - begun

	took.toClient = w.across(w.ingress, overlayIngress, w.egress.take())
	rest := w.ingress.take()
	for _, d := range rest {
		if d.from == overlayIngress {
			w.ingress.out = append(w.ingress.out, d)
		} else {
			t.returned++
		}
	}
	return took
}

// across gives an end what has come to its overlay socket, and returns how long it took.
func (w *world) across(to *end, at netip.AddrPort, list []datagram) time.Duration {
	t := &w.turn
	t.overlay = t.overlay[:0]
	for _, d := range list {
		if d.to == at {
			t.overlay = append(t.overlay, udpio.Message{Data: d.data, From: d.from})
		}
	}
	token := to.tokens[at]
	begun := cpu()
	to.engine.Receive(w.now, token, t.overlay)
	to.due(w)
	to.engine.Flush(w.now)
	return cpu() - begun
}

// due has an engine do what is due, as a worker does.
func (e *end) due(w *world) {
	if next := e.engine.NextDue(); next != 0 && next <= w.now {
		e.engine.Due(w.now)
	}
}
