// Package sessions measures what a session takes in memory: it opens many through
// real engines, ingress and egress, joined by memory in place of a network, and
// looks at what the heap grew by.
//
// Sockets are not in it: an egress opens one per port of its egress IP, which
// sessions to different endpoints share, and the kernel keeps them.
package sessions

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"causeway/internal/dataplane"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Result is what one end's sessions take.
type Result struct {
	Role      string  `json:"role"` // ingress, egress
	Sessions  int     `json:"sessions"`
	Heap      uint64  `json:"heap_bytes"` // what the heap grew by
	PerEach   float64 `json:"bytes_per_session"`
	Confirmed int     `json:"confirmed"`
}

// Measure opens n sessions (at most 1,000,000), each of a client with a prefix of its
// own, over 64 endpoints, with an answer to each, and returns what they take at
// either end.
func Measure(n int) ([]Result, error) {
	if n < 1 || n > 1_000_000 {
		return nil, fmt.Errorf("%d sessions: want 1 to 1000000", n)
	}
	// Each end by itself, one after the other, so that the heap's growth is its own.
	ingress, err := measure(n, "ingress")
	if err != nil {
		return nil, err
	}
	egress, err := measure(n, "egress")
	return []Result{ingress, egress}, err
}

// measure opens the sessions and then throws one end away: what the heap shrinks by is
// that end's, less what an empty engine takes.
func measure(n int, role string) (Result, error) {
	empty, err := weigh(0, role)
	if err != nil {
		return Result{}, err
	}
	full, err := weigh(n, role)
	if err != nil {
		return Result{}, err
	}
	r := Result{Role: role, Sessions: full.sessions, Confirmed: full.confirmed, Heap: full.bytes - min(full.bytes, empty.bytes)}
	if r.Sessions != n {
		return r, fmt.Errorf("%s: %d of %d sessions came up; drops: %v", role, r.Sessions, n, full.drops)
	}
	r.PerEach = float64(r.Heap) / float64(n)
	return r, nil
}

type weight struct {
	bytes               uint64
	sessions, confirmed int
	drops               map[string]uint64
}

func weigh(n int, role string) (weight, error) {
	w, err := newWorld(n)
	if err != nil {
		return weight{}, err
	}
	const together = 64
	for i := 0; i < n; i += together {
		w.open(i, min(n, i+together))
	}
	end := &w.ingress
	if role == "egress" {
		end = &w.egress
	}
	report := (*end).engine.Report(w.now, time.Now())
	r := weight{sessions: report.Sessions.Confirmed + report.Sessions.Unconfirmed, confirmed: report.Sessions.Confirmed, drops: report.Drops}
	with := heap()
	*end = nil
	r.bytes = with - heap()
	runtime.KeepAlive(w)
	return r, nil
}

// heap is what lives on the heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// endpoints is how many VPN devices stand behind the egress.
const endpoints = 64

// world is two PoPs.
type world struct {
	now             mono.Time
	ingress, egress *end
}

var (
	addrIngress = netip.MustParseAddr("203.0.113.10")
	addrEgress  = netip.MustParseAddr("203.0.113.20")
)

func newWorld(n int) (*world, error) {
	w := &world{now: mono.Time(time.Hour)}
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
	if w.ingress, err = newEnd(private[0], make(0), w.now); err != nil {
		return nil, err
	}
	if w.egress, err = newEnd(private[1], make(1), w.now); err != nil {
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
	for _, packet := range [...]func(spi uint64) []byte{ikeInit, ikeAuth, esp} {
		for i := from; i < to; i++ {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + i>>16), byte(i >> 8), byte(i), 1}), 4500)
			w.ingress.receive(w.now, netip.AddrPortFrom(addrIngress, 4500), udpio.Message{Data: packet(uint64(i) + 1<<20), From: client})
		}
		w.pass(time.Millisecond)
	}
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
	engine *dataplane.Engine
	tokens map[netip.AddrPort]uint64
	out    []datagram
	mute   bool // what is sent goes nowhere
}

type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

func newEnd(key keys.PrivateKey, s snapshot.Snapshot, now mono.Time) (*end, error) {
	e := &end{tokens: map[netip.AddrPort]uint64{}}
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

func (e *end) take() []datagram {
	list := e.out
	e.out = nil
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
	if s.end.mute {
		return
	}
	s.end.out = append(s.end.out, datagram{s.addr, to, append([]byte(nil), data...)})
}

// Flush implements dataplane.Socket.
func (s *socket) Flush() udpio.SendStats { return udpio.SendStats{} }

// Close implements dataplane.Socket.
func (s *socket) Close() error {
	delete(s.end.tokens, s.addr)
	return nil
}
