package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// world3 is the usual picture: Shanghai, Tokyo, Seoul, a client and an endpoint.
type world3 struct {
	*World
	t                testing.TB
	sh, tk, se       *PoP
	client, endpoint *Host

	atEndpoint, atClient []datagram
	// answers is what the endpoint says to a datagram; nil: the datagram itself.
	answers func([]byte) []byte
}

type datagram struct {
	from, to netip.AddrPort
	data     []byte
	at       time.Duration
}

var (
	addrClient      = netip.MustParseAddr("198.18.1.2")
	addrEndpoint    = netip.MustParseAddr("198.19.1.2")
	addrSh          = netip.MustParseAddr("203.0.113.10")
	addrSe          = netip.MustParseAddr("203.0.113.20")
	addrTk          = netip.MustParseAddr("203.0.113.30")
	client500       = netip.AddrPortFrom(addrClient, 500)
	client4500      = netip.AddrPortFrom(addrClient, 4500)
	accelerated500  = netip.AddrPortFrom(addrSh, 500)
	accelerated4500 = netip.AddrPortFrom(addrSh, 4500)
	endpoint500     = netip.AddrPortFrom(addrEndpoint, 500)
	endpoint4500    = netip.AddrPortFrom(addrEndpoint, 4500)
	egress500       = netip.AddrPortFrom(addrSe, 500)
	egress4500      = netip.AddrPortFrom(addrSe, 4500)
)

func overlayOf(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 4600) }

// newWorld3 makes three PoPs that are all joined, with crossing's weather
// everywhere between PoPs and a calm network elsewhere. edits may change their
// snapshots before they run.
func newWorld3(t testing.TB, seed uint64, crossing weather.Profile, edits ...func(*world3)) *world3 {
	t.Helper()
	w := &world3{World: New(seed, weather.Profile{Delay: 2 * time.Millisecond}), t: t}
	w.sh, w.tk, w.se = w.PoP(), w.PoP(), w.PoP()
	pops := []struct {
		p    *PoP
		name string
		addr netip.Addr
	}{{w.sh, "sh1", addrSh}, {w.tk, "tk1", addrTk}, {w.se, "se1", addrSe}}
	group := snapshot.EndpointGroup{
		Name: "seoul", PoP: "se1", EgressIP: snapshot.Address{Bind: addrSe},
		Endpoints: []snapshot.Endpoint{{Address: addrEndpoint}},
	}
	for i, a := range pops {
		s := snapshot.Snapshot{Format: 1, Version: 1, EndpointGroups: []snapshot.EndpointGroup{group}}
		s.PoP = snapshot.PoP{Name: a.name, Label: snapshot.Label(i + 1), Overlay: []snapshot.Overlay{{Name: "net", Bind: overlayOf(a.addr)}}}
		for j, b := range pops {
			if i == j {
				continue
			}
			w.Link(a.addr, b.addr, crossing)
			s.Peers = append(s.Peers, snapshot.Peer{
				Name: b.name, Label: snapshot.Label(j + 1), PublicKey: b.p.Key.Public().String(),
				Wires: []snapshot.Wire{{Local: "net", Remote: overlayOf(b.addr)}},
			})
			s.Routes = append(s.Routes, snapshot.Route{To: b.name})
		}
		a.p.Snapshot = s
	}
	w.sh.Snapshot.Listeners = []snapshot.Listener{{
		Name: "vpn", Addresses: []snapshot.Address{{Bind: addrSh}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul",
	}}
	for _, edit := range edits {
		edit(w)
	}
	for _, a := range pops {
		if err := a.p.Start(); err != nil {
			t.Fatalf("start %s: %v", a.name, err)
		}
	}
	w.client = w.Host(client500, client4500)
	w.client.Receive = func(from, to netip.AddrPort, data []byte) {
		w.atClient = append(w.atClient, datagram{from, to, data, time.Duration(w.Now)})
	}
	w.endpoint = w.Host(endpoint500, endpoint4500)
	w.endpoint.Receive = func(from, to netip.AddrPort, data []byte) {
		w.atEndpoint = append(w.atEndpoint, datagram{from, to, data, time.Duration(w.Now)})
		answer := data
		if w.answers != nil {
			answer = w.answers(data)
		}
		if answer != nil {
			w.endpoint.Send(to, from, answer)
		}
	}
	return w
}

// esp returns an ESP-in-UDP payload of size bytes.
func esp(spi, seq uint32, size int) []byte {
	b := make([]byte, max(size, 16))
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], seq)
	return b
}

// ike returns an IKEv2 message with the given SPIs; on port 4500 it carries the
// non-ESP marker.
func ike(natt bool, initiator, responder uint64, exchange, flags byte, size int) []byte {
	b := make([]byte, max(size, 28))
	binary.BigEndian.PutUint64(b, initiator)
	binary.BigEndian.PutUint64(b[8:], responder)
	b[16], b[17], b[18], b[19] = 46, 0x20, exchange, flags // next payload SK (encrypted)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	if natt {
		return append(make([]byte, 4), b...)
	}
	return b
}

// ikeInit returns an IKE_SA_INIT message that carries a proposal or accepts one.
func ikeInit(initiator, responder uint64, flags byte) []byte {
	b := ike(false, initiator, responder, 34, flags, 28+44)
	b[16] = 33 // next payload: SA
	binary.BigEndian.PutUint16(b[30:], 44)
	return b
}

// spans returns the sequence numbers of the ESP datagrams in list.
func spans(list []datagram) (seqs []uint32) {
	for _, d := range list {
		if len(d.data) >= 8 && binary.BigEndian.Uint32(d.data) != 0 {
			seqs = append(seqs, binary.BigEndian.Uint32(d.data[4:]))
		}
	}
	return seqs
}
