package dataplane

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// An accelerator whose listeners are flooded, on however many sockets, takes nothing of
// another's share: the worker is made to look at both when all is in the sockets' buffers.
func TestAFloodedAcceleratorDoesNotHoldUpAnother(t *testing.T) {
	const port, sockets, each, honest = 45100, 20, 400, 10
	noLeaks(t)
	box := ownAddress(t)
	endpoint, err := udpio.Listen(netip.AddrPortFrom(box, port), udpio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	if got, _ := endpoint.BufferSizes(); got < udpio.DefaultBuffer {
		t.Skip("needs CAP_NET_ADMIN, to have buffers for all that is sent at once")
	}
	plane, _ := runPlane(t, Config{Key: key(t, 1)})
	s := snapshot.Snapshot{
		Format: 1, Version: 1, PoP: snapshot.PoP{Name: "in", Label: 1, Overlay: []snapshot.Overlay{{Name: "lo", Bind: netip.AddrPortFrom(loop(1), 46101)}}},
		EndpointGroups: []snapshot.EndpointGroup{{Name: "g", PoP: "in", EgressIP: snapshot.Address{Bind: loop(98)}, Endpoints: []snapshot.Endpoint{{Address: box}}}},
	}
	var to []netip.AddrPort // the last is the honest one's
	for i := range sockets + 1 {
		l := snapshot.Listener{Name: "flooded", Accelerator: "a", Ports: []uint16{port}, EndpointGroup: "g"}
		if i == sockets {
			l.Name, l.Accelerator = "honest", "b"
		}
		l.Name += string(rune('a' + i))
		l.Addresses = []snapshot.Address{{Bind: loop(byte(100 + i))}}
		s.Listeners = append(s.Listeners, l)
		to = append(to, netip.AddrPortFrom(loop(byte(100+i)), port))
	}
	if err := plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	client, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loop(99), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	poller, err := udpio.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	if err := poller.Add(endpoint, 1); err != nil {
		t.Fatal(err)
	}
	batch, ready := udpio.NewBatch(64), make([]uint64, 1)
	// The client is one that the endpoint answers: of others only so much crosses.
	const spi = 1 << 40
	marked := func(responder uint64, exchange, flags byte) []byte {
		return append(make([]byte, 4), ikeMessage(spi, responder, exchange, flags)...)
	}
	for _, ask := range [][]byte{marked(0, 34, 8), marked(spi+1, 35, 8)} {
		if _, err := client.WriteToUDPAddrPort(ask, to[0]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the endpoint is asked", func() bool {
			n, err := endpoint.Read(batch)
			return err == nil && n > 0
		})
		endpoint.Queue(marked(spi+1, ask[4+18], 0x20), batch.Messages[0].From, 0)
		endpoint.Flush()
		answer := make([]byte, 256)
		if err := client.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	send := func(to netip.AddrPort, what byte) {
		if _, err := client.WriteToUDPAddrPort(append(make([]byte, 63), what), to); err != nil {
			t.Error(err)
		}
	}
	// All is there before the worker looks.
	plane.workers[0].call(func(mono.Time) {
		for range each {
			for _, a := range to[:sockets] {
				send(a, 'a')
			}
		}
		for range honest {
			send(to[sockets], 'b')
		}
	})
	before := 0 // of the flood, before the last honest packet
	for came, until := 0, time.Now().Add(time.Minute); came < honest; {
		if time.Now().After(until) {
			t.Fatalf("%d of %d honest packets came, and %d others", came, honest, before)
		}
		if _, err := poller.Wait(100*time.Millisecond, ready); err != nil {
			t.Fatal(err)
		}
		if _, err := endpoint.Read(batch); err != nil {
			t.Fatal(err)
		}
		for _, m := range batch.Messages {
			if came == honest {
				break
			}
			if m.Data[len(m.Data)-1] == 'b' {
				came++
			} else {
				before++
			}
		}
	}
	// A share of 512 KB, one batch beyond it, and what one write sends before the other.
	if most := quantum/packetCost + 2*batchReceives; before > most {
		t.Errorf("%d packets of a flood of %d went before the other accelerator's %d; at most %d should", before, sockets*each, honest, most)
	}
	// And all of the flood is carried in the end, though its sockets were told of once.
	eventually(t, "all that was sent is carried", func() bool {
		return plane.Report().Workers[0].Packets >= sockets*each+honest
	})
}
