package segment

import (
	"bytes"
	"container/heap"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/dataplane/packet"
	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// pair is a segment's two ends and the wires between them, in virtual time.
type pair struct {
	t      testing.TB
	now    mono.Time
	rng    *rand.Rand
	a, b   *end
	queue  flights
	serial int
	// path says when a datagram arrives: none, one or several delays. wire is the
	// sender's number.
	path func(from *end, wire int, size int) []time.Duration
	// tap sees all datagrams that are sent; nil: nobody does.
	tap func(from *end, wire int, datagram []byte)
}

// end is one PoP: it does what an engine does for its one segment.
type end struct {
	p    *pair
	name string
	cfg  Config
	peer *end

	seg       *Segment
	responder *handshake.Responder
	indices   map[uint32]*Segment
	arena     packet.Arena
	wires     []WireConfig

	frames   [][]byte
	at       []mono.Time
	controls [][]byte
	unknown  int // datagrams under keys that are not held
	log      bytes.Buffer
}

func clean(delay time.Duration) func(*end, int, int) []time.Duration {
	return func(*end, int, int) []time.Duration { return []time.Duration{delay} }
}

func lossy(p *pair, delay time.Duration, loss float64) func(*end, int, int) []time.Duration {
	return func(*end, int, int) []time.Duration {
		if p.rng.Float64() < loss {
			return nil
		}
		return []time.Duration{delay}
	}
}

// newPair makes two ends with n wires each. They are not started.
func newPair(t testing.TB, seed uint64, n int) *pair {
	p := &pair{t: t, now: mono.Time(time.Hour), rng: rand.New(rand.NewPCG(seed, 5)), path: clean(20 * time.Millisecond)}
	key := func(n byte) keys.PrivateKey {
		k, err := keys.GenerateFrom(rand.NewChaCha8([32]byte{n}))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := key(1), key(2)
	p.a = &end{p: p, name: "a", cfg: Config{Name: "b", Local: one, Peer: two.Public(), Label: 1, PeerLabel: 2}}
	p.b = &end{p: p, name: "b", cfg: Config{Name: "a", Local: two, Peer: one.Public(), Label: 2, PeerLabel: 1}}
	p.a.peer, p.b.peer = p.b, p.a
	for _, e := range []*end{p.a, p.b} {
		e.cfg.Capabilities, e.cfg.Repair = CanRepair|CanControl, snapshot.Repair{Cap: 3}
		e.cfg.Log = slog.New(slog.NewTextHandler(&e.log, nil))
		for i := range n {
			e.wires = append(e.wires, WireConfig{Name: fmt.Sprint("w", i), Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 4600), MTU: 1500})
		}
	}
	return p
}

// start begins a life of the end: a process with nothing in memory.
func (e *end) start() {
	e.indices = map[uint32]*Segment{}
	e.cfg.Incarnation = e.p.rng.Uint64()
	hello := handshake.Hello{VersionMin: OldestVersion, VersionMax: Version, Capabilities: e.cfg.Capabilities, Label: uint16(e.cfg.Label), Incarnation: e.cfg.Incarnation}
	e.responder = handshake.NewResponder(e.cfg.Local, hello, e.allow, e.newIndex, Entropy)
	seg, err := New(e.cfg, e)
	if err != nil {
		e.p.t.Fatal(err)
	}
	e.seg = seg
	seg.SetWires(e.p.now, e.wires)
}

func (e *end) allow(s handshake.Segment) bool { return s == handshake.Segment{Peer: e.cfg.Peer} }

func (e *end) stop() { e.seg, e.indices = nil, nil }

func (p *pair) startBoth() *pair {
	p.a.start()
	p.b.start()
	return p
}

func (e *end) newIndex() uint32 {
	for {
		if i := e.p.rng.Uint32(); e.indices[i] == nil {
			return i
		}
	}
}

func (e *end) Arena() *packet.Arena { return &e.arena }
func (e *end) Transmit(_ *Segment, wire uint8, datagram []byte) {
	e.p.transmit(e, int(wire), datagram)
}
func (e *end) TakeIndex(s *Segment) uint32 {
	i := e.newIndex()
	e.indices[i] = s
	return i
}
func (e *end) DropIndex(i uint32)             { delete(e.indices, i) }
func (e *end) Confirm(k *handshake.Keys)      { e.responder.Confirm(k) }
func (e *end) Rand() uint64                   { return e.p.rng.Uint64() }
func (e *end) Fate(*Segment, mono.Time, bool) {}
func (e *end) Control(_ mono.Time, _ *Segment, m []byte) {
	e.controls = append(e.controls, bytes.Clone(m))
}
func (e *end) Frame(now mono.Time, _ *Segment, f []byte, _ bool) {
	e.frames, e.at = append(e.frames, bytes.Clone(f)), append(e.at, now)
}

func (p *pair) transmit(from *end, wire int, datagram []byte) {
	if p.tap != nil {
		p.tap(from, wire, datagram)
	}
	for _, d := range p.path(from, wire, len(datagram)+from.overhead(wire)) {
		p.serial++
		heap.Push(&p.queue, flight{p.now.Add(d), p.serial, from.peer, from.wires[wire].Remote, bytes.Clone(datagram)})
	}
}

func (e *end) overhead(wire int) int {
	if wire < len(e.wires) && e.wires[wire].IPv6 {
		return 48
	}
	return 28
}

// receive does what an engine does with a datagram.
func (e *end) receive(wire int, b []byte) {
	if e.seg == nil || len(b) < 8 {
		return
	}
	switch b[0] {
	case seal.Type:
		index, ok := seal.PeekIndex(b)
		if s := e.indices[index]; ok && s != nil {
			s.Receive(e.p.now, index, wire, b)
		} else {
			e.unknown++
		}
	case handshake.TypeInitiation:
		reply, k, _ := e.responder.Respond(e.p.now, e.wires[0].Remote, b)
		if reply != nil {
			e.p.transmit(e, max(wire, 0), reply)
		}
		if k != nil {
			e.indices[k.LocalIndex] = e.seg
			e.seg.Propose(e.p.now, k)
		}
	case handshake.TypeResponse, handshake.TypeCookieReply:
		index, ok := handshake.PeekIndex(b)
		if s := e.indices[index]; ok && s != nil {
			s.HandshakeReply(e.p.now, b)
		}
	}
	e.turn()
}

// turn ends an engine's turn.
func (e *end) turn() {
	if e.seg != nil {
		e.seg.Flush(e.p.now)
	}
	e.arena.Reset()
}

// run lets d pass.
func (p *pair) run(d time.Duration) {
	until := p.now.Add(d)
	for still := 0; ; still++ {
		if still > 100_000 {
			p.t.Fatalf("nothing moves at %v any more: a is due %v, b is due %v", p.now, p.a.due(), p.b.due())
		}
		at := mono.Earliest(p.a.due(), p.b.due())
		if len(p.queue) > 0 && (at == 0 || p.queue[0].at <= at) {
			if p.queue[0].at > until {
				break
			}
			f := heap.Pop(&p.queue).(flight)
			if f.at > p.now {
				p.now, still = f.at, 0
			}
			f.to.receive(slices.IndexFunc(f.to.wires, func(w WireConfig) bool { return w.Remote == f.over }), f.data)
			continue
		}
		if at == 0 || at > until {
			break
		}
		if at > p.now {
			p.now, still = at, 0
		}
		for _, e := range []*end{p.a, p.b} {
			if due := e.due(); due != 0 && due <= p.now {
				e.seg.Due(p.now)
				e.turn()
			}
		}
	}
	p.now = until
}

func (e *end) due() mono.Time {
	if e.seg == nil {
		return 0
	}
	return e.seg.NextDue()
}

// send sends one frame, by itself.
func (e *end) send(mode Mode, frame []byte) bool {
	ok := e.seg.Send(e.p.now, mode, Bulk, frame, nil)
	e.turn()
	return ok
}

// traffic sends frames both ways for d, one every gap, numbered, and returns how
// many were sent each way.
func (p *pair) traffic(d, gap time.Duration, mode Mode) (sent int) {
	for until := p.now.Add(d); p.now < until; {
		sent++
		for _, e := range []*end{p.a, p.b} {
			if e.seg != nil {
				e.send(mode, fmt.Appendf(nil, "frame %d", sent))
			}
		}
		p.run(gap)
	}
	return sent
}

func (p *pair) mustUp() {
	p.t.Helper()
	for _, e := range []*end{p.a, p.b} {
		if !e.seg.Up(p.now) {
			p.t.Fatalf("%s is not up; its log:\n%s", e.name, e.log.String())
		}
	}
}

type flight struct {
	at     mono.Time
	serial int
	to     *end
	over   netip.AddrPort // what the wire is known by at both ends
	data   []byte
}

type flights []flight

func (q flights) Len() int { return len(q) }
func (q flights) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q flights) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *flights) Push(x any)   { *q = append(*q, x.(flight)) }
func (q *flights) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

var off = repair.Off
