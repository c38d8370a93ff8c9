// Package sim is a network in one process under a test's clock: real Engines,
// and clients and endpoints that are functions, joined by weather.Links. The
// same seed gives the same run, so whatever a random run shows can be shown
// again. It imitates what matters of IP: loss, delay, order, MTU, and
// addresses that belong to nobody.
package sim

import (
	"container/heap"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"causeway/internal/dataplane"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
	"causeway/internal/weather"
)

// World is the network and everything on it. Not safe for concurrent use.
type World struct {
	Now mono.Time

	seed    uint64
	rng     *rand.Rand
	events  events
	serial  uint64
	binds   map[netip.AddrPort]*bind
	links   map[[2]netip.Addr]*weather.Link
	cut     map[[2]netip.Addr]bool
	regular weather.Profile
	pops    []*PoP

	// Sent counts datagrams that entered the network, Lost those that it ate.
	Sent, Lost uint64
	// Tap sees every datagram that enters the network; nil: nobody does.
	Tap func(from, to netip.AddrPort, data []byte)
	// Arrived sees every datagram that has crossed it; nil: nobody does.
	Arrived func(from, to netip.AddrPort, data []byte)
}

// bind is who receives at an address.
type bind struct {
	pop   *PoP
	token uint64
	host  *Host
}

// New returns an empty world whose links have the given weather unless Link
// says otherwise.
func New(seed uint64, regular weather.Profile) *World {
	return &World{
		Now: mono.Time(time.Hour), seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), regular: regular,
		binds: map[netip.AddrPort]*bind{}, links: map[[2]netip.Addr]*weather.Link{}, cut: map[[2]netip.Addr]bool{},
	}
}

// Link gives the direction from one address to another weather of its own.
func (w *World) Link(from, to netip.Addr, p weather.Profile) {
	w.links[[2]netip.Addr{from, to}] = weather.NewNamed(p, w.seed, from.String()+">"+to.String())
}

// Cut parts two addresses, or joins them again.
func (w *World) Cut(a, b netip.Addr, parted bool) {
	w.cut[[2]netip.Addr{a, b}], w.cut[[2]netip.Addr{b, a}] = parted, parted
}

// Run lets d pass.
func (w *World) Run(d time.Duration) {
	end := w.Now.Add(d)
	stuck := 0
	for {
		at := w.nextDue()
		if stuck++; w.Now.Before(at) || len(w.events) > 0 {
			stuck = 0
		}
		if stuck > 10_000 { // an Engine that is never done is a bug: say so, do not spin
			panic(fmt.Sprintf("sim: seed %d: an engine is due at %v, and still is after %d turns", w.seed, time.Duration(at), stuck))
		}
		if len(w.events) > 0 && (at == 0 || w.events[0].at <= at) {
			if w.events[0].at > end {
				break
			}
			e := heap.Pop(&w.events).(event)
			w.Now = max(w.Now, e.at)
			e.do()
			continue
		}
		if at == 0 || at > end {
			break
		}
		w.Now = max(w.Now, at)
		for _, p := range w.pops {
			if p.engine != nil {
				if due := p.engine.NextDue(); due != 0 && due <= w.Now {
					p.engine.Due(w.Now)
					p.engine.Flush(w.Now)
				}
			}
		}
	}
	w.Now = end
}

// After calls f when d has passed.
func (w *World) After(d time.Duration, f func()) { w.at(w.Now.Add(d), f) }

// Every calls f now and then every d until it returns false.
func (w *World) Every(d time.Duration, f func() bool) {
	w.After(0, func() { w.again(d, f) })
}

func (w *World) again(d time.Duration, f func() bool) {
	if f() {
		w.After(d, func() { w.again(d, f) })
	}
}

func (w *World) nextDue() (at mono.Time) {
	for _, p := range w.pops {
		if p.engine != nil {
			at = mono.Earliest(at, p.engine.NextDue())
		}
	}
	return at
}

func (w *World) at(t mono.Time, f func()) {
	w.serial++
	heap.Push(&w.events, event{t, w.serial, f})
}

// send puts a datagram on the network.
func (w *World) send(from, to netip.AddrPort, tos uint8, data []byte, mayFragment bool) {
	w.Sent++
	if w.Tap != nil {
		w.Tap(from, to, data)
	}
	key := [2]netip.Addr{from.Addr(), to.Addr()}
	if w.cut[key] {
		w.Lost++
		return
	}
	link := w.links[key]
	if link == nil {
		link = weather.NewNamed(w.regular, w.seed, fmt.Sprint(key))
		w.links[key] = link
	}
	size := len(data) + headers(to.Addr())
	if mtu := link.MTU(w.Now); mayFragment && mtu > 0 && size > mtu {
		size = mtu // fragments: one fate for all is close enough
	}
	v := link.Offer(w.Now, size)
	if v.N == 0 {
		w.Lost++
	}
	for _, at := range v.At[:v.N] {
		copied := append([]byte(nil), data...)
		w.at(at, func() { w.arrive(from, to, tos, copied) })
	}
}

// headers is what IP and UDP add to a payload.
func headers(to netip.Addr) int {
	if to.Is6() {
		return 40 + 8
	}
	return 20 + 8
}

func (w *World) arrive(from, to netip.AddrPort, tos uint8, data []byte) {
	b := w.binds[to]
	if w.Arrived != nil {
		w.Arrived(from, to, data)
	}
	switch {
	case b == nil:
		w.Lost++
	case b.host != nil:
		b.host.receive(from, to, data)
	case b.pop.engine != nil:
		b.pop.engine.Receive(w.Now, b.token, []udpio.Message{{Data: data, From: from, TOS: tos}})
		b.pop.engine.Flush(w.Now)
	}
}

// Host is a client or an endpoint: it sends what a test tells it to.
type Host struct {
	world *World
	// Receive is called for every datagram that reaches the host; nil: nobody is there.
	Receive func(from, to netip.AddrPort, data []byte)
}

// Host returns a host that receives on the given addresses.
func (w *World) Host(addrs ...netip.AddrPort) *Host {
	h := &Host{world: w}
	for _, a := range addrs {
		w.binds[a] = &bind{host: h}
	}
	return h
}

// Send sends a datagram from one of the host's addresses.
func (h *Host) Send(from, to netip.AddrPort, data []byte) { h.world.send(from, to, 0, data, true) }

func (h *Host) receive(from, to netip.AddrPort, data []byte) {
	if h.Receive != nil {
		h.Receive(from, to, data)
	}
}

// socket is an Engine's socket on the network.
type socket struct {
	world *World
	addr  netip.AddrPort
	use   dataplane.Use
	queue []queued
}

type queued struct {
	data []byte
	to   netip.AddrPort
	tos  uint8
}

func (s *socket) Queue(data []byte, to netip.AddrPort, tos uint8) {
	s.queue = append(s.queue, queued{data, to, tos})
}

func (s *socket) Warm() uint64 { return 0 }

func (s *socket) Flush() (st udpio.SendStats) {
	for _, q := range s.queue {
		s.world.send(s.addr, q.to, q.tos, q.data, s.use == dataplane.Edge)
		st.Sent++
	}
	s.queue = s.queue[:0]
	return st
}

func (s *socket) Close() error {
	delete(s.world.binds, s.addr)
	return nil
}

// memory is a session.Store that outlives a PoP's process.
type memory map[int][]byte

func (m memory) Write(slot int, rec []byte) { m[slot] = append([]byte(nil), rec...) }
func (m memory) Erase(slot int)             { delete(m, slot) }
func (m memory) Records(f func(int, []byte)) {
	top := -1
	for slot := range m {
		top = max(top, slot)
	}
	for slot := range top + 1 {
		if rec, ok := m[slot]; ok {
			f(slot, rec)
		}
	}
}

var _ session.Store = memory{}

type event struct {
	at     mono.Time
	serial uint64
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

var discard = slog.New(slog.DiscardHandler)
