package dataplane

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// pair is an ingress and an egress whose overlay sockets are joined by memory:
// the whole packet path without a kernel or a network around it.
type pair struct {
	now              mono.Time
	ingress, egress  *Engine
	atIngress        *sink
	atEgress         *sink
	client, endpoint netip.AddrPort
}

// sink is a Network of sockets that keep what is queued until it is taken.
type sink struct {
	tokens map[netip.AddrPort]uint64
	out    []udpio.Message // From is where it goes
	source []netip.AddrPort
	bytes  []byte
}

type sinkSocket struct {
	*sink
	addr netip.AddrPort
}

func (s *sink) Listen(addr netip.AddrPort, _ Use, token uint64) (Socket, error) {
	s.tokens[addr] = token
	return &sinkSocket{s, addr}, nil
}

func (s *sinkSocket) Queue(data []byte, to netip.AddrPort, tos uint8) {
	at := len(s.bytes)
	s.bytes = append(s.bytes, data...)
	s.out = append(s.out, udpio.Message{Data: s.bytes[at:], From: to, TOS: tos})
	s.source = append(s.source, s.addr)
}
func (s *sinkSocket) Warm() uint64 { return 0 }

func (s *sinkSocket) Flush() udpio.SendStats { return udpio.SendStats{} }
func (s *sinkSocket) Close() error           { delete(s.tokens, s.addr); return nil }

func (s *sink) reset() { s.out, s.source, s.bytes = s.out[:0], s.source[:0], s.bytes[:0] }

func newPair(t testing.TB, mode snapshot.RepairMode) *pair {
	t.Helper()
	p := &pair{
		now:       mono.Time(time.Hour),
		atIngress: &sink{tokens: map[netip.AddrPort]uint64{}}, atEgress: &sink{tokens: map[netip.AddrPort]uint64{}},
		client: netip.MustParseAddrPort("198.18.1.2:4500"), endpoint: netip.MustParseAddrPort("198.19.1.2:4500"),
	}
	a, b := key(t, 1), key(t, 2)
	addrA, addrB := netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("203.0.113.20")
	group := []snapshot.EndpointGroup{{
		Name: "seoul", PoP: "se", EgressIP: snapshot.Address{Bind: addrB}, Endpoints: []snapshot.Endpoint{{Address: p.endpoint.Addr()}},
	}}
	snap := func(name string, label snapshot.Label, own netip.Addr, peer string, peerLabel snapshot.Label, k keys.PublicKey, remote netip.Addr) snapshot.Snapshot {
		return snapshot.Snapshot{
			Format: 1, Version: 1,
			PoP:            snapshot.PoP{Name: name, Label: label, Overlay: []snapshot.Overlay{{Name: "net", Bind: netip.AddrPortFrom(own, 4600)}}},
			Peers:          []snapshot.Peer{{Name: peer, Label: peerLabel, PublicKey: k.String(), Wires: []snapshot.Wire{{Local: "net", Remote: netip.AddrPortFrom(remote, 4600)}}}},
			EndpointGroups: group,
			Limits:         snapshot.Limits{SessionsPerPrefix: 1 << 20},
		}
	}
	sa := snap("sh", 1, addrA, "se", 2, b.Public(), addrB)
	sa.Listeners = []snapshot.Listener{{
		Name: "vpn", Addresses: []snapshot.Address{{Bind: addrA}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul", Repair: mode,
	}}
	sb := snap("se", 2, addrB, "sh", 1, a.Public(), addrA)
	p.ingress = engine(t, a, p.atIngress, sa, p.now)
	p.egress = engine(t, b, p.atEgress, sb, p.now)
	for range 200 { // handshake, pings, size probing
		p.pass(10 * time.Millisecond)
	}
	return p
}

func key(t testing.TB, n byte) keys.PrivateKey {
	k, err := keys.GenerateFrom(rand.NewChaCha8([32]byte{n}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func engine(t testing.TB, k keys.PrivateKey, n Network, s snapshot.Snapshot, now mono.Time) *Engine {
	e := NewEngine(EngineConfig{Key: k, Network: n, Log: slog.New(slog.DiscardHandler), Random: rand.New(rand.NewPCG(1, uint64(k[0]))).Uint64})
	if err := e.Apply(now, s); err != nil {
		t.Fatal(err)
	}
	return e
}

// pass lets time pass and carries what is on its way between the two.
func (p *pair) pass(d time.Duration) {
	p.now = p.now.Add(d)
	for _, e := range [...]*Engine{p.ingress, p.egress} {
		e.Due(p.now)
		e.Flush(p.now)
	}
	p.carry(p.atIngress, p.egress, p.atEgress)
	p.carry(p.atEgress, p.ingress, p.atIngress)
}

// carry hands what from's sockets sent to the other engine, where it is for it.
func (p *pair) carry(from *sink, to *Engine, its *sink) {
	var one [1]udpio.Message
	for i := range from.out {
		if token, ok := its.tokens[from.out[i].From]; ok {
			one[0] = from.out[i]
			one[0].From = from.source[i]
			to.Receive(p.now, token, one[:])
			to.Flush(p.now)
		}
	}
	from.reset()
}

// cross sends a batch of ESP packets from the client to the endpoint, and
// returns how many left.
func (p *pair) cross(batch []udpio.Message, seq *uint32) (left int) {
	for i := range batch {
		*seq++
		binary.BigEndian.PutUint32(batch[i].Data, 77)
		binary.BigEndian.PutUint32(batch[i].Data[4:], *seq)
	}
	p.now = p.now.Add(time.Millisecond)
	p.ingress.Receive(p.now, p.atIngress.tokens[netip.AddrPortFrom(netip.MustParseAddr("203.0.113.10"), 4500)], batch)
	p.ingress.Due(p.now)
	p.ingress.Flush(p.now)
	p.carry(p.atIngress, p.egress, p.atEgress)
	p.egress.Due(p.now)
	p.egress.Flush(p.now)
	for i := range p.atEgress.out {
		if p.atEgress.out[i].From == p.endpoint {
			left++
		}
	}
	p.carry(p.atEgress, p.ingress, p.atIngress)
	p.atIngress.reset()
	return left
}

func clientBatch(p *pair, n, size int) []udpio.Message {
	b := make([]udpio.Message, n)
	for i := range b {
		b[i] = udpio.Message{Data: make([]byte, size), From: p.client}
	}
	return b
}

func TestThePacketPathAllocatesNothing(t *testing.T) {
	for _, mode := range []snapshot.RepairMode{snapshot.Off, snapshot.Balanced} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPair(t, mode)
			batch, seq := clientBatch(p, 32, 1436), uint32(0)
			for range 200 {
				if n := p.cross(batch, &seq); n == 0 {
					t.Fatalf("nothing crossed; drops %v %v", p.ingress.drops.Map(), p.egress.drops.Map())
				}
			}
			got := testing.AllocsPerRun(200, func() { p.cross(batch, &seq) })
			if got > 0 {
				t.Errorf("%v allocations per batch of %d packets across ingress and egress, want 0", got, len(batch))
			}
		})
	}
}

func BenchmarkCross(b *testing.B) {
	for _, mode := range []snapshot.RepairMode{snapshot.Off, snapshot.Balanced} {
		for _, size := range []int{64, 256, 1400} {
			b.Run(string(mode)+"/"+strconv.Itoa(size), func(b *testing.B) {
				p := newPair(b, mode)
				batch, seq := clientBatch(p, 32, size), uint32(0)
				for range 100 {
					p.cross(batch, &seq)
				}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				b.ResetTimer()
				for n := 0; n < b.N; n += len(batch) {
					p.cross(batch, &seq)
				}
			})
		}
	}
}

// BenchmarkReject is what it costs to say nothing to a stranger.
func BenchmarkReject(b *testing.B) {
	p := newPair(b, snapshot.Balanced)
	overlay := p.atIngress.tokens[netip.MustParseAddrPort("203.0.113.10:4600")]
	stranger := netip.MustParseAddrPort("192.0.2.1:1234")
	data := make([]byte, 128)
	data[0] = 4
	initiation := make([]byte, 180)
	initiation[0] = 1
	for _, c := range []struct {
		name string
		data []byte
	}{{"data", data}, {"initiation", initiation}, {"noise", append([]byte{99}, data...)}} {
		b.Run(c.name, func(b *testing.B) {
			batch := []udpio.Message{{Data: c.data, From: stranger}}
			b.ReportAllocs()
			for b.Loop() {
				p.ingress.Receive(p.now, overlay, batch)
			}
			p.ingress.Flush(p.now)
		})
	}
}
