package repair

import (
	"testing"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// sizes keeps the longest datagram of each kind, and delivers half of them.
type sizes struct {
	longest map[byte]int
	n       uint64
	peer    *Endpoint
	now     mono.Time
	back    *sizes
}

func (o *sizes) Transmit(wire uint8, b []byte) uint64 {
	o.longest[b[0]] = max(o.longest[b[0]], len(b))
	o.n++
	if o.n*2654435761>>7&1 == 0 && o.peer != nil {
		o.peer.Receive(o.now, wire, o.n, append([]byte(nil), b...), func(Mode, []byte) {}, o.back)
	}
	return o.n
}

func TestNoDatagramIsLongerThanTheWireTakes(t *testing.T) {
	const mtu = 1440
	a, _ := New(Config{PeerRepairs: true, RTT: 20 * time.Millisecond, OverheadCap: 8})
	b, _ := New(Config{PeerRepairs: true, RTT: 20 * time.Millisecond, OverheadCap: 8})
	toB := &sizes{longest: map[byte]int{}, peer: b}
	toA := &sizes{longest: map[byte]int{}, peer: a}
	toB.back, toA.back = toA, toB
	now := mono.Time(time.Hour)
	for _, e := range [...]*Endpoint{a, b} {
		e.SetWires(now, []Wire{{ID: 0, Up: true, RTT: 20 * time.Millisecond, MTU: mtu}})
	}
	symbol := make([]byte, mtu-MaxSourceOverhead)
	for i := range 20000 {
		now = now.Add(time.Millisecond / 2)
		toA.now, toB.now = now, now
		a.Send(now, Mode(i/5000%3), Bulk, symbol, toB)
		for _, e := range [...]*Endpoint{a, b} {
			if due := e.NextDue(); due != 0 && due <= now {
				out := toB
				if e == b {
					out = toA
				}
				e.Tick(now, func(Mode, []byte) {}, out)
			}
		}
	}
	repairs := 0
	for kind, n := range toB.longest {
		if n > mtu {
			t.Errorf("a datagram of kind %#x has %d bytes, the wire takes %d", kind, n, mtu)
		}
		if kind >= kindRepair {
			repairs++
		}
	}
	if repairs == 0 {
		t.Error("no repair was sent: the test shows nothing")
	}
	var s code.Span
	s.Add(0)
	s.Add(code.MaxSpan - 2)
	if s.Size() > maxSpanSize {
		t.Errorf("a span takes %d bytes, more than %d", s.Size(), maxSpanSize)
	}
}
