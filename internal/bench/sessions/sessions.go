// Package sessions measures what many sessions cost: what each takes in memory, and
// what a packet of one at random takes of the processor when there are few and when
// there are a million. It opens them through real engines, ingress and egress,
// joined by memory in place of a network.
//
// Sockets are not in it: an egress opens one per port of its egress IP, which
// sessions to different endpoints share, and the kernel keeps them.
package sessions

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"causeway/internal/dataplane"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// endpoints is how many VPN devices stand behind the egress.
const endpoints = 64

// world is two PoPs, and what is sent between them and beyond.
type world struct {
	n               int // sessions that it is for
	now             mono.Time
	ingress, egress *end

	worst  time.Duration // that a packet took which opened a session
	seqs   []uint32      // by client: the newest number of its ESP
	turn   turn
	random *rand.Rand
}

var (
	addrIngress = netip.MustParseAddr("203.0.113.10")
	addrEgress  = netip.MustParseAddr("203.0.113.20")

	listener       = netip.AddrPortFrom(addrIngress, 4500)
	overlayIngress = netip.AddrPortFrom(addrIngress, 4600)
	overlayEgress  = netip.AddrPortFrom(addrEgress, 4600)
)

func newWorld(n int) (*world, error) {
	w := &world{n: n, now: mono.Time(time.Hour), seqs: make([]uint32, n), random: rand.New(rand.NewPCG(7, uint64(n)))}
	var private [2]keys.PrivateKey
	for i := range private {
		k, err := keys.GenerateFrom(rand.NewChaCha8([32]byte{byte(i)}))
		if err != nil {
			return nil, err
		}
		private[i] = k
	}
	group := snapshot.EndpointGroup{Name: "vpn", PoP: "b", EgressIP: snapshot.Address{Bind: addrEgress}}
	for i := range endpoints {
		group.Endpoints = append(group.Endpoints, snapshot.Endpoint{Address: netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)})})
	}
	make := func(i int) snapshot.Snapshot {
		names, addrs := [2]string{"a", "b"}, [2]netip.Addr{addrIngress, addrEgress}
		s := snapshot.Snapshot{
			Format: snapshot.Format, Version: 1,
			PoP: snapshot.PoP{Name: names[i], Label: snapshot.Label(i + 1), Overlay: []snapshot.Overlay{{Name: "net", Bind: netip.AddrPortFrom(addrs[i], 4600)}}},
			Peers: []snapshot.Peer{{
				Name: names[1-i], Label: snapshot.Label(2 - i), PublicKey: private[1-i].Public().String(),
				Wires: []snapshot.Wire{{Local: "net", Remote: netip.AddrPortFrom(addrs[1-i], 4600)}},
			}},
			EndpointGroups: []snapshot.EndpointGroup{group},
			Limits:         snapshot.Limits{Sessions: max(n, 1000), Unconfirmed: 4096},
		}
		if i == 0 {
			s.Listeners = []snapshot.Listener{{
				Name: "vpn", Addresses: []snapshot.Address{{Bind: addrIngress}}, Ports: []uint16{500, 4500}, EndpointGroup: "vpn", IdleTimeout: snapshot.MaxIdle,
			}}
		}
		return s
	}
	var err error
	if w.ingress, err = newEnd("ingress", private[0], make(0), w.now); err != nil {
		return nil, err
	}
	if w.egress, err = newEnd("egress", private[1], make(1), w.now); err != nil {
		return nil, err
	}
	for range 200 { // handshake, pings, size probing
		w.pass(10 * time.Millisecond)
	}
	return w, nil
}

// open brings up the sessions [from, to): an IKE exchange that proves the client, one
// that it protects, and ESP both ways, as a tunnel begins.
func (w *world) open(from, to int) {
	for step, packet := range [...]func(spi uint64) []byte{ikeInit, ikeAuth, esp} {
		for i := from; i < to; i++ {
			m := udpio.Message{Data: packet(spiOf(i)), From: clientOf(i)}
			begun := cpu()
			w.ingress.receive(w.now, listener, m)
			if step == 0 {
				w.worst = max(w.worst, cpu()-begun)
			}
			w.seqs[i] = 1
		}
		w.pass(time.Millisecond)
	}
}

// clientOf is a client's address, in a prefix of its own, spiOf its SPI.
func clientOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + i>>16), byte(i >> 8), byte(i), 1}), 4500)
}

func spiOf(i int) uint64 { return uint64(i) + 1<<20 }

// openAll brings up all sessions that the world is for.
func (w *world) openAll() error {
	const together = 64
	for i := 0; i < w.n; i += together {
		w.open(i, min(w.n, i+together))
	}
	for _, e := range [...]*end{w.ingress, w.egress} {
		r := e.engine.Report(w.now, time.Now())
		if r.Sessions.Confirmed != w.n || r.Sessions.Unconfirmed != 0 {
			return fmt.Errorf("%s: %d of %d sessions came up; drops: %v", e.role, r.Sessions.Confirmed, w.n, r.Drops)
		}
	}
	return nil
}

// pass lets time pass and carries what is on its way, until all is quiet.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, e := range [...]*end{w.ingress, w.egress} {
		e.engine.Due(w.now)
		e.engine.Flush(w.now)
	}
	for range 4 { // there, its answer, what that brings about
		a, b := w.ingress.take(), w.egress.take()
		if len(a) == 0 && len(b) == 0 {
			return
		}
		w.carry(a)
		w.carry(b)
	}
}

// carry brings datagrams where they go: to a PoP, or to an endpoint, which answers.
func (w *world) carry(list []datagram) {
	for _, d := range list {
		switch d.to.Addr() {
		case addrIngress:
			w.ingress.receive(w.now, d.to, udpio.Message{Data: d.data, From: d.from})
		case addrEgress:
			w.egress.receive(w.now, d.to, udpio.Message{Data: d.data, From: d.from})
		default:
			if d.from.Addr() == addrEgress {
				answer(d.data)
				w.egress.receive(w.now, d.from, udpio.Message{Data: d.data, From: d.to})
			}
		}
	}
}

// end is an engine and its sockets.
type end struct {
	role   string
	engine *dataplane.Engine
	tokens map[netip.AddrPort]uint64
	out    []datagram
	bytes  []byte // of what is out
	// What was taken last: its memory is used again after the next take.
	bytesBefore []byte
	before      []datagram
}

type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

func newEnd(role string, key keys.PrivateKey, s snapshot.Snapshot, now mono.Time) (*end, error) {
	e := &end{role: role, tokens: map[netip.AddrPort]uint64{}, bytes: make([]byte, 0, 1<<20), bytesBefore: make([]byte, 0, 1<<20)}
	e.engine = dataplane.NewEngine(dataplane.EngineConfig{
		Key: key, Network: e, Log: slog.New(slog.DiscardHandler), Random: rand.New(rand.NewPCG(1, uint64(s.PoP.Label))).Uint64,
	})
	return e, e.engine.Apply(now, s)
}

func (e *end) receive(now mono.Time, at netip.AddrPort, m udpio.Message) {
	if token, ok := e.tokens[at]; ok {
		e.engine.Receive(now, token, []udpio.Message{m})
		e.engine.Flush(now)
	}
}

// take returns what has been sent. It stays until something is sent after the next take.
func (e *end) take() []datagram {
	list := e.out
	e.out, e.before = e.before[:0], list
	e.bytes, e.bytesBefore = e.bytesBefore[:0], e.bytes
	return list
}

// Listen implements dataplane.Network.
func (e *end) Listen(addr netip.AddrPort, _ dataplane.Use, token uint64) (dataplane.Socket, error) {
	e.tokens[addr] = token
	return &socket{e, addr}, nil
}

type socket struct {
	end  *end
	addr netip.AddrPort
}

// Queue implements dataplane.Socket.
func (s *socket) Queue(data []byte, to netip.AddrPort, _ uint8) {
	e := s.end
	begin := len(e.bytes)
	e.bytes = append(e.bytes, data...)
	e.out = append(e.out, datagram{s.addr, to, e.bytes[begin:len(e.bytes):len(e.bytes)]})
}

// Warm implements dataplane.Socket.
func (s *socket) Warm() uint64 { return uint64(s.addr.Port()) }

// Flush implements dataplane.Socket.
func (s *socket) Flush() udpio.SendStats { return udpio.SendStats{} }

// Close implements dataplane.Socket.
func (s *socket) Close() error {
	delete(s.end.tokens, s.addr)
	return nil
}
