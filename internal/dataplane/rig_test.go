package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// rig is three engines, Shanghai, Tokyo and Seoul, on a network without delay,
// with a client and an endpoint that only a test moves.
type rig struct {
	t          testing.TB
	now        mono.Time
	sh, tk, se *rigPoP
	at         map[netip.AddrPort]*rigSocket
	queue      []parcel
	got        []parcel // what came to addresses that no engine has
	// lose tells which datagrams between engines vanish; nil: none.
	lose func(p parcel) bool
}

type rigPoP struct {
	*rig
	name   string
	label  snapshot.Label
	addr   netip.Addr
	key    keys.PrivateKey
	snap   snapshot.Snapshot
	store  session.Store
	engine *Engine
	log    bytes.Buffer
	busy   func(netip.AddrPort) bool // addresses that something else has
	opened int                       // sockets open now
	stats  udpio.SendStats           // what the next Flush says
	flows  chan report.Flow          // takes records of flows; nil: nobody wants them
}

type parcel struct {
	from, to netip.AddrPort
	data     []byte
	tos      uint8
}

type rigSocket struct {
	pop    *rigPoP
	addr   netip.AddrPort
	token  uint64
	queued []parcel
	closed bool
}

var (
	clientIP   = netip.MustParseAddr("198.18.1.2")
	endpointIP = netip.MustParseAddr("198.19.1.2")
)

func port(a netip.Addr, p uint16) netip.AddrPort { return netip.AddrPortFrom(a, p) }

// newRig makes the three engines; edit may change snapshots before they are
// applied. Segments are up when it returns.
func newRig(t testing.TB, edit func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, now: mono.Time(time.Hour), at: map[netip.AddrPort]*rigSocket{}}
	pops := []*rigPoP{
		{name: "sh", label: 1, addr: netip.MustParseAddr("203.0.113.10")},
		{name: "tk", label: 3, addr: netip.MustParseAddr("203.0.113.30")},
		{name: "se", label: 2, addr: netip.MustParseAddr("203.0.113.20")},
	}
	r.sh, r.tk, r.se = pops[0], pops[1], pops[2]
	for _, p := range pops {
		p.rig, p.key = r, key(t, byte(p.label))
	}
	for _, p := range pops {
		p.snap = snapshot.Snapshot{
			Format: 1, Version: 1,
			PoP: snapshot.PoP{Name: p.name, Label: p.label, Overlay: []snapshot.Overlay{{Name: "net", Bind: port(p.addr, 4600)}}},
			EndpointGroups: []snapshot.EndpointGroup{{
				Name: "seoul", PoP: "se", EgressIP: snapshot.Address{Bind: r.se.addr}, Endpoints: []snapshot.Endpoint{{Address: endpointIP}},
			}},
		}
		for _, q := range pops {
			if p != q {
				p.snap.Peers = append(p.snap.Peers, snapshot.Peer{
					Name: q.name, Label: q.label, PublicKey: q.key.Public().String(),
					Wires: []snapshot.Wire{{Local: "net", Remote: port(q.addr, 4600)}},
				})
			}
		}
	}
	r.sh.snap.Listeners = []snapshot.Listener{{
		Name: "vpn", Addresses: []snapshot.Address{{Bind: r.sh.addr}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul",
	}}
	if edit != nil {
		edit(r)
	}
	for _, p := range pops {
		p.start()
	}
	r.run(2 * time.Second)
	return r
}

// start begins a life of the PoP's process.
func (p *rigPoP) start() {
	p.t.Helper()
	p.engine = NewEngine(EngineConfig{
		Key: p.key, Network: p, Store: p.store, Flows: p.flows, Log: slog.New(slog.NewTextHandler(&p.log, nil)),
		Random: rand.New(rand.NewPCG(uint64(p.now), uint64(p.label))).Uint64,
		Wall:   func() time.Time { return time.Unix(1_700_000_000, int64(p.now)) },
	})
	if err := p.engine.Apply(p.now, p.snap); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// apply changes the PoP's snapshot while it runs.
func (p *rigPoP) apply(edit func(*snapshot.Snapshot)) {
	p.t.Helper()
	edit(&p.snap)
	p.snap.Version++
	if err := p.engine.Apply(p.now, p.snap); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.engine.Flush(p.now)
}

var errInUse = errors.New("address already in use")

func (p *rigPoP) Listen(addr netip.AddrPort, _ Use, token uint64) (Socket, error) {
	if p.at[addr] != nil || p.busy != nil && p.busy(addr) {
		return nil, errInUse
	}
	s := &rigSocket{pop: p, addr: addr, token: token}
	p.at[addr] = s
	p.opened++
	return s, nil
}

func (s *rigSocket) Queue(data []byte, to netip.AddrPort, tos uint8) {
	s.queued = append(s.queued, parcel{s.addr, to, data, tos})
}

func (s *rigSocket) Warm() uint64 { return 0 }

func (s *rigSocket) Flush() udpio.SendStats {
	for _, p := range s.queued { // arena memory lives until here
		p.data = bytes.Clone(p.data)
		s.pop.queue = append(s.pop.queue, p)
	}
	s.queued = s.queued[:0]
	st := s.pop.stats
	s.pop.stats = udpio.SendStats{}
	return st
}

func (s *rigSocket) Close() error {
	if s.closed {
		s.pop.t.Errorf("%v was closed twice", s.addr)
	}
	s.closed = true
	s.pop.opened--
	delete(s.pop.at, s.addr)
	return nil
}

// carry delivers all that is on its way, and what that causes.
func (r *rig) carry() {
	for turn := 0; len(r.queue) > 0; turn++ {
		if turn > 200_000 {
			r.t.Fatalf("packets go round for ever: %v to %v", r.queue[0].from, r.queue[0].to)
		}
		p := r.queue[0]
		r.queue = r.queue[1:]
		s := r.at[p.to]
		if s == nil {
			r.got = append(r.got, p)
			continue
		}
		if r.lose == nil || !r.lose(p) {
			r.deliver(s, p)
		}
	}
}

func (r *rig) deliver(s *rigSocket, p parcel) {
	e := s.pop.engine
	e.Receive(r.now, s.token, []udpio.Message{{Data: bytes.Clone(p.data), From: p.from, TOS: p.tos}})
	e.Flush(r.now)
}

// run lets d pass in steps of 10 ms.
func (r *rig) run(d time.Duration) {
	for until := r.now.Add(d); r.now < until; {
		r.now = r.now.Add(10 * time.Millisecond)
		for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
			if p.engine == nil {
				continue
			}
			for turn := 0; ; turn++ {
				p.engine.Due(r.now)
				p.engine.Flush(r.now)
				if due := p.engine.NextDue(); due == 0 || due > r.now {
					break
				}
				if turn > 1000 {
					r.t.Fatalf("%s is never done at %v", p.name, r.now)
				}
			}
		}
		r.carry()
	}
}

// send lets a datagram arrive that no engine sent, and returns what left for
// the outside because of it.
func (r *rig) send(from, to netip.AddrPort, data []byte) []parcel {
	r.got = nil
	s := r.at[to]
	if s == nil {
		r.t.Fatalf("nobody listens on %v", to)
	}
	r.deliver(s, parcel{from: from, to: to, data: data})
	r.carry()
	return r.got
}

// drops is how often the PoP dropped for a reason.
func (p *rigPoP) drops(reason string) uint64 { return p.engine.drops.Map()[reason] }

// frame sends bytes as an authentic frame to another PoP.
func (p *rigPoP) frame(to *rigPoP, b []byte) {
	s := p.engine.plan.peers[to.label].segment
	if !s.Send(p.now, 3, 0, b, nil) {
		p.t.Fatal("no keys")
	}
	s.Flush(p.now)
	p.engine.Flush(p.now)
	p.carry()
}

func espPacket(spi, seq uint32, size int) []byte {
	b := make([]byte, max(size, 16))
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

// ikeMessage is an IKEv2 message as on port 500; inits carry an SA, others are sealed.
func ikeMessage(initiator, responder uint64, exchange, flags byte) []byte {
	b := make([]byte, 28+44)
	binary.BigEndian.PutUint64(b, initiator)
	binary.BigEndian.PutUint64(b[8:], responder)
	b[16], b[17], b[18], b[19] = 46, 0x20, exchange, flags
	if exchange == 34 {
		b[16] = 33
	}
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	binary.BigEndian.PutUint16(b[30:], 44)
	return b
}

// tunnel lets a client make an IKE SA on port 500, and returns the address that
// the endpoint sees it under. The client is proven then, and its session kept.
func (r *rig) tunnel(client netip.AddrPort) netip.AddrPort {
	r.t.Helper()
	accelerated, endpoint := port(r.sh.addr, 500), port(endpointIP, 500)
	spi := uint64(client.Port())<<32 | uint64(client.Addr().As16()[15]) | 1<<63
	out := r.send(client, accelerated, ikeMessage(spi, 0, 34, 8))
	if len(out) != 1 || out[0].to != endpoint {
		r.t.Fatalf("the endpoint got %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
	egress := out[0].from
	for _, m := range [][2][]byte{
		{nil, ikeMessage(spi, spi+1, 34, 0x20)},
		{ikeMessage(spi, spi+1, 35, 8), ikeMessage(spi, spi+1, 35, 0x20)},
	} {
		if m[0] != nil {
			if out := r.send(client, accelerated, m[0]); len(out) != 1 || out[0].from != egress {
				r.t.Fatalf("the endpoint got %v", out)
			}
		}
		if out := r.send(endpoint, egress, m[1]); len(out) != 1 || out[0].to != client || out[0].from != accelerated {
			r.t.Fatalf("the client got %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
		}
	}
	return egress
}

func (r *rig) mustReach(client netip.AddrPort, egress netip.AddrPort) {
	r.t.Helper()
	payload := []byte("is anybody there?")
	to := port(r.sh.addr, 500)
	if out := r.send(client, to, payload); len(out) != 1 || out[0].from != egress || !bytes.Equal(out[0].data, payload) {
		r.t.Fatalf("the endpoint got %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
	if out := r.send(port(endpointIP, 500), egress, payload); len(out) != 1 || out[0].to != client || out[0].from != to {
		r.t.Fatalf("the client got %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
}

func (p *rigPoP) sessions() (n int) {
	n, _ = p.engine.table.Len()
	return n
}
