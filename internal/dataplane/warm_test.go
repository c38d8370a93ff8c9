package dataplane

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Where there are many sessions, few packets of a socket wait for those of others. None
// overtakes another of its own socket, and none stays behind.
func TestFewPacketsWaitForOthersAndKeepTheirOrder(t *testing.T) {
	now := mono.Time(time.Hour)
	out := &sink{tokens: map[netip.AddrPort]uint64{}}
	own, endpoint := netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("198.19.1.2")
	e := engine(t, key(t, 1), out, snapshot.Snapshot{
		Format: 1, Version: 1,
		PoP:            snapshot.PoP{Name: "a", Label: 1, Overlay: []snapshot.Overlay{{Name: "net", Bind: netip.AddrPortFrom(own, 4600)}}},
		Listeners:      []snapshot.Listener{{Name: "l", Addresses: []snapshot.Address{{Bind: own}}, Ports: []uint16{4501}, EndpointGroup: "g"}},
		EndpointGroups: []snapshot.EndpointGroup{{Name: "g", PoP: "a", EgressIP: snapshot.Address{Bind: own}, Endpoints: []snapshot.Endpoint{{Address: endpoint}}}},
		Limits:         snapshot.Limits{SessionsPerPrefix: 1 << 20},
	}, now)
	token := out.tokens[netip.AddrPortFrom(own, 4501)]

	here, err := udpio.Listen(netip.AddrPortFrom(loop(60), 0), udpio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	client, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loop(61), 0)), net.UDPAddrFromAddrPort(here.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sent := uint32(0)
	w := new(worker)
	w.openTurns()
	w.turns.now = now
	c := &conn{Conn: here, lane: &lane{engine: e}, token: token, use: Edge}
	read := func(n int) {
		t.Helper()
		for range n {
			if _, err := client.Write(append(binary.BigEndian.AppendUint32(nil, sent), make([]byte, 60)...)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		if _, more := w.drain(c, 1<<20); more || w.packets != uint64(sent) {
			t.Fatalf("of %d packets sent %d were read", sent, w.packets)
		}
	}
	left := func() int { return len(out.out) }

	read(2)
	if left() != 2 {
		t.Fatalf("with few sessions %d of 2 packets left at once", left())
	}
	known := e.table.ByFlow(1, client.LocalAddr().(*net.UDPAddr).AddrPort(), netip.AddrPortFrom(own, 4501))
	e.table.Prove(known.Assoc) // strangers' packets are few
	if !e.table.Confirm(now, known) {
		t.Fatal("the session cannot be confirmed")
	}
	for i := range 2100 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(20000+i))
		e.Receive(now, token, []udpio.Message{{Data: make([]byte, 64), From: from}})
	}
	if !e.table.Many() {
		t.Fatal("2,100 sessions are not many")
	}
	out.reset()
	first := sent
	read(2)
	if left() != 0 {
		t.Fatalf("%d packets left, which should wait for others", left())
	}
	read(warmLeast + 3) // enough to go by themselves, behind the two
	read(1)
	for range fewMost {
		read(1)
	}
	if left() == int(sent-first) {
		t.Error("none waits at the end, so that nothing is tried")
	}
	w.carry()
	if left() != int(sent-first) {
		t.Fatalf("%d of %d packets left", left(), sent-first)
	}
	for i, m := range out.out {
		if got := binary.BigEndian.Uint32(m.Data); got != first+uint32(i) {
			t.Fatalf("packet %d left in the place of %d", got, first+uint32(i))
		}
	}
}
