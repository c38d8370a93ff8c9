package dataplane

import (
	"net/netip"
	"testing"
	"time"
)

// A client whose new address is steered to another worker than its old one is
// followed all the same, and leaves from the address it had.
func TestAClientIsFollowedIntoAnotherWorkersLane(t *testing.T) {
	l := newLined(t, 2, 2, "", nil)
	old, other := listenOn(t, port(clientOf(0, 2), 47000)), listenOn(t, port(clientOf(1, 2), 48000))
	natt := func(b []byte) []byte { return append(make([]byte, 4), b...) }
	listener := port(loop(3), 45000)
	var egress netip.AddrPort
	for _, exchange := range []byte{34, 35, 37} {
		responder := uint64(6)
		if exchange == 34 {
			responder = 0
		}
		egress = l.exchange(old, l.endpoint, listener, natt(ikeMessage(10, responder, exchange, 8)))
	}
	seq := uint32(0)
	for range 5 {
		seq++
		l.exchange(old, l.endpoint, listener, espPacket(700, seq, 100))
	}
	buf := make([]byte, 2000)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing came to the new address; sessions %+v", l.a.Report().Sessions)
		}
		seq++
		if _, err := other.WriteToUDPAddrPort(espPacket(700, seq, 100), listener); err != nil {
			t.Fatal(err)
		}
		l.endpoint.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, from, err := l.endpoint.ReadFromUDPAddrPort(buf)
		if err != nil || from != egress {
			t.Fatalf("the endpoint saw %v, before %v: %v; drops %v, %v", from, egress, err, l.a.Report().Drops, l.b.Report().Drops)
		}
		if _, err := l.endpoint.WriteToUDPAddrPort(espPacket(900, seq, 100), from); err != nil {
			t.Fatal(err)
		}
		other.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, from, err := other.ReadFromUDPAddrPort(buf); err == nil {
			if from != listener {
				t.Errorf("it came from %v", from)
			}
			break
		}
	}
	r := l.a.Report()
	if r.Sessions.Moved != 1 {
		t.Errorf("sessions: %+v", r.Sessions)
	}
	passed := uint64(0)
	for _, w := range r.Workers {
		passed += w.PassedOn
	}
	if passed == 0 {
		t.Error("no packet was passed from worker to worker: this shows nothing")
	}
	if got := l.exchange(other, l.endpoint, listener, espPacket(700, seq+1, 100)); got != egress {
		t.Errorf("the endpoint sees %v, before %v", got, egress)
	}
}
