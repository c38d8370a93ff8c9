package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/udpio"
	"causeway/internal/snapshot"
)

// held applies p's ingress snapshot again, with allowances on the listener and on its group.
func (p *pair) held(t testing.TB, listener, group snapshot.Allowance) {
	t.Helper()
	s := p.ingress.plan.snap
	listener.Name, group.Name = "basic", "crossing"
	s.Allowances = []snapshot.Allowance{listener, group}
	s.Listeners[0].Allowances, s.EndpointGroups[0].Allowances = []string{"basic"}, []string{"crossing"}
	if err := p.ingress.Apply(p.now, s); err != nil {
		t.Fatal(err)
	}
}

func TestAllowancesAllocateNothing(t *testing.T) {
	for name, rate := range map[string]int64{"wide": snapshot.MaxRate, "narrow": 1_000_000} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, snapshot.Balanced)
			p.held(t, snapshot.Allowance{Rate: rate}, snapshot.Allowance{Rate: rate, Sessions: 10})
			batch, seq := clientBatch(p, 32, 1436), uint32(0)
			for range 200 {
				p.cross(batch, &seq)
			}
			if n := testing.AllocsPerRun(200, func() { p.cross(batch, &seq) }); n > 0 {
				t.Errorf("%v allocations per batch", n)
			}
			if narrow := name == "narrow"; narrow != (p.ingress.drops[DropBandwidth] > 0) {
				t.Errorf("drops %v", p.ingress.drops.Map())
			}
		})
	}
}

// While a way changes, ESP comes over two. What the client does not get twice is
// not charged twice.
func TestASecondCopyIsNotCharged(t *testing.T) {
	p := newPair(t, snapshot.Balanced)
	p.held(t, snapshot.Allowance{Rate: 1_000_000}, snapshot.Allowance{Rate: 1_000_000})
	batch, seq := clientBatch(p, 32, 1000), uint32(0)
	p.cross(batch, &seq)
	s := p.ingress.table.ByFlow(1, p.client, netip.MustParseAddrPort("203.0.113.10:4500"))
	for i := range uint32(10) {
		packet := make([]byte, 1000)
		binary.BigEndian.PutUint32(packet, 4711)
		binary.BigEndian.PutUint32(packet[4:], i+1)
		for range 3 {
			p.ingress.toClient(p.now, s, 0, packet, false)
		}
		p.ingress.Flush(p.now)
	}
	lane := &p.ingress.plan.allowances["basic"].Lanes[limit.ToClient]
	copies := p.ingress.drops[DropDuplicate] // those of the first packets pass: an SPI must be believed first
	if copies < 10 || lane.Passed.Packets != 30-copies || lane.Passed.Bytes != 1000*(30-copies) {
		t.Errorf("%+v passed, drops %v", lane.Passed, p.ingress.drops.Map())
	}
}

// BenchmarkFailover is what it costs to move many clients at once, on the
// ingress's loop: everything else waits for it.
func BenchmarkFailover(b *testing.B) {
	const clients = 50_000
	endpoints := []snapshot.Endpoint{{Address: netip.MustParseAddr("198.19.1.2")}, {Address: netip.MustParseAddr("198.19.1.3")}}
	for b.Loop() {
		b.StopTimer()
		p := newPair(b, snapshot.Balanced)
		s := p.ingress.plan.snap
		s.EndpointGroups[0].Endpoints = endpoints
		s.Limits.Unconfirmed, s.Limits.SessionsPerPrefix = snapshot.MaxUnconfirmed, 1<<20
		if err := p.ingress.Apply(p.now, s); err != nil {
			b.Fatal(err)
		}
		token := p.atIngress.tokens[netip.MustParseAddrPort("203.0.113.10:4500")]
		one := []udpio.Message{{Data: make([]byte, 64)}}
		for i := range clients {
			binary.BigEndian.PutUint32(one[0].Data, uint32(i+300))
			one[0].From = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4500)
			p.ingress.Receive(p.now, token, one)
			p.ingress.Flush(p.now)
			p.atIngress.reset()
		}
		before, _ := p.ingress.table.Len()
		b.StartTimer()
		p.word(10, false, 2, endpoints[0].Address)
		p.ingress.dueHealth(p.now)
		b.StopTimer()
		after, _ := p.ingress.table.Len()
		b.ReportMetric(float64(before-after), "sessions")
		b.StartTimer()
	}
}
