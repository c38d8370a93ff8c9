package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// flow sends ESP from the client every gap until stop, after an IKE exchange on
// port 4500 that proves it.
func (w *world3) flow(gap time.Duration) (stop func() (sent int)) {
	w.answers = func(b []byte) []byte {
		if len(b) > 22 && bytes.Equal(b[:4], make([]byte, 4)) { // IKE
			return ike(true, 0xaaaa, 0xbbbb, b[22], 0x20, 200)
		}
		return b
	}
	for _, exchange := range []byte{35, 35, 37} {
		w.client.Send(client4500, accelerated4500, ike(true, 0xaaaa, 0xbbbb, exchange, 8, 300))
		w.Run(200 * time.Millisecond)
	}
	w.atEndpoint, w.atClient = nil, nil
	seq, on := uint32(0), true
	w.Every(gap, func() bool {
		if on {
			seq++
			w.client.Send(client4500, accelerated4500, esp(0x700, seq, 200))
		}
		return on
	})
	return func() int {
		on = false
		return int(seq)
	}
}

// missing are the numbers of 1…sent that did not come.
func missing(list []datagram, sent int) (out []int) {
	got := map[uint32]bool{}
	for _, seq := range spans(list) {
		got[seq] = true
	}
	for n := 1; n <= sent; n++ {
		if !got[uint32(n)] {
			out = append(out, n)
		}
	}
	return out
}

func (w *world3) mustLoseNothing(sent int) {
	w.t.Helper()
	if a, b := missing(w.atEndpoint, sent), missing(w.atClient, sent); len(a)+len(b) > 0 {
		w.t.Errorf("of %d packets %d did not reach the endpoint %v, %d did not come back %v; drops %v %v %v", sent, len(a), a[:min(len(a), 9)], len(b), b[:min(len(b), 9)],
			w.sh.Report().Drops, w.tk.Report().Drops, w.se.Report().Drops)
	}
	for _, list := range [][]datagram{w.atEndpoint, w.atClient} {
		if seqs := spans(list); !slices.IsSorted(seqs) {
			w.t.Error("they came out of order")
		}
	}
}

func TestHalfAnHourLosesNothing(t *testing.T) {
	w := newWorld3(t, 1, calm)
	w.Run(2 * time.Second)
	stop := w.flow(100 * time.Millisecond)
	w.Run(30 * time.Minute)
	sent := stop()
	w.Run(time.Second)
	w.mustLoseNothing(sent)
	for _, p := range []*PoP{w.sh, w.tk, w.se} {
		for _, s := range p.Report().Segments {
			if s.Handshakes < 14 || s.Handshakes > 20 {
				t.Errorf("%s to %s: %d handshakes in half an hour", p.Report().Name, s.Peer, s.Handshakes)
			}
		}
	}
}

func TestAReloadUnderLoadLosesNothing(t *testing.T) {
	w := newWorld3(t, 2, weather.Profile{Delay: 25 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: weather.Loss{Random: 0.02}})
	w.Run(2 * time.Second)
	stop := w.flow(10 * time.Millisecond)
	extra := snapshot.Listener{Name: "more", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("203.0.113.11")}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul"}
	for i := range 20 {
		w.Run(300 * time.Millisecond)
		s := w.sh.Snapshot
		s.Version++
		s.Listeners = s.Listeners[:1:1]
		if i%2 == 0 {
			s.Listeners = append(s.Listeners, extra)
		}
		for _, p := range []*PoP{w.sh, w.tk, w.se} {
			if p != w.sh {
				s = p.Snapshot
				s.Version++
			}
			if err := p.Apply(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent := stop()
	w.Run(time.Second)
	if n := len(missing(w.atEndpoint, sent)) + len(missing(w.atClient, sent)); n > 2 {
		t.Errorf("%d of %d packets were lost", n, 2*sent)
	}
}

// secondWire joins Shanghai and Seoul by another carrier.
func secondWire(w *world3) {
	shCU, seCU := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
	for _, x := range []struct {
		p           *PoP
		own, remote netip.Addr
		peer        string
	}{{w.sh, shCU, seCU, "se1"}, {w.se, seCU, shCU, "sh1"}} {
		x.p.Snapshot.PoP.Overlay = append(x.p.Snapshot.PoP.Overlay, snapshot.Overlay{Name: "cu", Bind: overlayOf(x.own)})
		for i := range x.p.Snapshot.Peers {
			if x.p.Snapshot.Peers[i].Name == x.peer {
				x.p.Snapshot.Peers[i].Wires = append(x.p.Snapshot.Peers[i].Wires, snapshot.Wire{Local: "cu", Remote: overlayOf(x.remote)})
			}
		}
		w.Link(x.own, x.remote, weather.Profile{Delay: 32 * time.Millisecond, MTU: 1480})
	}
}

func wiresUp(r report.PoP, peer string) (up []bool) {
	for _, s := range r.Segments {
		if s.Peer == peer {
			for _, wire := range s.Wires {
				up = append(up, wire.Up)
			}
		}
	}
	return up
}

func TestOfTwoWiresEitherMayDie(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.20")
	for n, cut := range [][2]netip.Addr{{addrSh, addrSe}, {a, b}} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			w := newWorld3(t, 3, weather.Profile{Delay: 25 * time.Millisecond, MTU: 1500}, secondWire)
			w.Run(3 * time.Second)
			if up := wiresUp(w.sh.Report(), "se1"); !slices.Equal(up, []bool{true, true}) {
				t.Fatalf("wires up: %v", up)
			}
			stop := w.flow(10 * time.Millisecond)
			w.Run(2 * time.Second)
			w.Cut(cut[0], cut[1], true)
			w.Run(3 * time.Second)
			if up := wiresUp(w.sh.Report(), "se1"); up[n] || !up[1-n] {
				t.Errorf("wires up after the cut: %v", up)
			}
			w.Cut(cut[0], cut[1], false)
			w.Run(time.Second)
			if up := wiresUp(w.sh.Report(), "se1"); !up[0] || !up[1] {
				t.Errorf("wires up when all is well again: %v", up)
			}
			sent := stop()
			w.Run(time.Second)
			if lost := len(missing(w.atEndpoint, sent)); lost > sent/20 {
				t.Errorf("%d of %d packets were lost", lost, sent)
			}
			late := missing(w.atEndpoint, sent)
			for _, n := range late {
				if n > 280 { // 800 ms after the cut
					t.Fatalf("packet %d was lost long after the cut: %v", n, late)
				}
			}
		})
	}
}

func TestARelayMayDieAndComeBack(t *testing.T) {
	w := newWorld3(t, 4, calm)
	w.Run(2 * time.Second)
	w.Cut(addrSh, addrSe, true)
	w.Run(3 * time.Second)
	stop := w.flow(10 * time.Millisecond)
	w.Run(2 * time.Second)
	if n := len(w.atEndpoint); n < 190 {
		t.Fatalf("%d of 200 packets came over the relay", n)
	}
	w.tk.Kill()
	w.Run(300 * time.Millisecond)
	if err := w.tk.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(time.Second)
	before := len(w.atEndpoint)
	w.Run(2 * time.Second)
	if n := len(w.atEndpoint) - before; n < 195 {
		t.Errorf("%d of 200 packets came a second after the relay was back", n)
	}
	w.tk.Kill()
	w.Cut(addrSh, addrSe, false)
	w.Run(1500 * time.Millisecond)
	before = len(w.atEndpoint)
	w.Run(2 * time.Second)
	if n := len(w.atEndpoint) - before; n < 195 {
		t.Errorf("%d of 200 packets came directly after the relay died for good", n)
	}
	stop()
}

func TestARouteOverTwoRelays(t *testing.T) {
	addrOs := netip.MustParseAddr("203.0.113.40")
	var os *PoP
	w := newWorld3(t, 5, calm, func(w *world3) {
		os = w.PoP()
		os.Snapshot = snapshot.Snapshot{
			Format: 1, Version: 1,
			PoP: snapshot.PoP{Name: "os1", Label: 4, Overlay: []snapshot.Overlay{{Name: "net", Bind: overlayOf(addrOs)}}},
		}
		peer := func(name string, label snapshot.Label, p *PoP, a netip.Addr) snapshot.Peer {
			s := snapshot.Peer{Name: name, Label: label, PublicKey: p.Key.Public().String()}
			if a.IsValid() {
				s.Wires = []snapshot.Wire{{Local: "net", Remote: overlayOf(a)}}
			}
			return s
		}
		var none netip.Addr
		// Shanghai – Tokyo – Osaka – Seoul, and no other segments.
		w.sh.Snapshot.Peers = []snapshot.Peer{peer("tk1", 2, w.tk, addrTk), peer("os1", 4, os, none), peer("se1", 3, w.se, none)}
		w.tk.Snapshot.Peers = []snapshot.Peer{peer("sh1", 1, w.sh, addrSh), peer("os1", 4, os, addrOs), peer("se1", 3, w.se, none)}
		os.Snapshot.Peers = []snapshot.Peer{peer("tk1", 2, w.tk, addrTk), peer("se1", 3, w.se, addrSe)}
		w.se.Snapshot.Peers = []snapshot.Peer{peer("os1", 4, os, addrOs), peer("tk1", 2, w.tk, none), peer("sh1", 1, w.sh, none)}
		w.sh.Snapshot.Routes = []snapshot.Route{{To: "se1", Candidates: [][]string{{"tk1", "os1"}}}}
		w.se.Snapshot.Routes = []snapshot.Route{{To: "sh1", Candidates: [][]string{{"os1", "tk1"}}}}
		w.tk.Snapshot.Routes = nil
		if err := os.Start(); err != nil {
			w.t.Fatal(err)
		}
	})
	w.Run(3 * time.Second)
	stop := w.flow(20 * time.Millisecond)
	w.Run(5 * time.Second)
	sent := stop()
	w.Run(time.Second)
	w.mustLoseNothing(sent)
}

func TestIPv6AllTheWay(t *testing.T) {
	v6 := func(s string) netip.Addr { return netip.MustParseAddr("2001:db8::" + s) }
	accelerated, egress, endpointAddr, clientAddr := v6("a:10"), v6("e:20"), v6("7"), v6("c:2")
	overlay := map[string]netip.Addr{"sh1": v6("f:1"), "tk1": v6("f:2"), "se1": v6("f:3")}
	w := newWorld3(t, 6, weather.Profile{Delay: 25 * time.Millisecond}, func(w *world3) {
		for _, p := range []*PoP{w.sh, w.tk, w.se} {
			s := &p.Snapshot
			s.PoP.Overlay = []snapshot.Overlay{{Name: "six", Bind: overlayOf(overlay[s.PoP.Name])}}
			for i := range s.Peers {
				to := overlay[s.Peers[i].Name]
				s.Peers[i].Wires = []snapshot.Wire{{Local: "six", Remote: overlayOf(to)}}
				w.Link(overlay[s.PoP.Name], to, weather.Profile{Delay: 20 * time.Millisecond, MTU: 1480})
			}
			s.EndpointGroups[0].EgressIP.Bind = egress
			s.EndpointGroups[0].Endpoints = []snapshot.Endpoint{{Address: endpointAddr}}
		}
		w.sh.Snapshot.Listeners[0].Addresses = []snapshot.Address{{Bind: accelerated}}
	})
	from, to, acc := netip.AddrPortFrom(clientAddr, 4500), netip.AddrPortFrom(endpointAddr, 4500), netip.AddrPortFrom(accelerated, 4500)
	var atEndpoint, atClient []datagram
	endpoint, client := w.Host(to), w.Host(from)
	endpoint.Receive = func(f, t netip.AddrPort, b []byte) {
		atEndpoint = append(atEndpoint, datagram{from: f, data: b})
		endpoint.Send(t, f, b)
	}
	client.Receive = func(f, t netip.AddrPort, b []byte) { atClient = append(atClient, datagram{from: f, data: b}) }
	w.Run(3 * time.Second)
	sizes := []int{12, 100, 1300, 1400, 1452, 1453, 4000, 65487}
	for i, n := range sizes {
		b := bytes.Repeat([]byte{byte(i + 65)}, n)
		client.Send(from, acc, b)
		w.Run(300 * time.Millisecond)
	}
	if len(atEndpoint) != len(sizes) || len(atClient) != len(sizes) {
		t.Fatalf("%d and %d of %d arrived; drops %v %v", len(atEndpoint), len(atClient), len(sizes), w.sh.Report().Drops, w.se.Report().Drops)
	}
	for i := range sizes {
		if atEndpoint[i].from != netip.AddrPortFrom(egress, 4500) || atClient[i].from != acc || len(atEndpoint[i].data) != sizes[i] || len(atClient[i].data) != sizes[i] {
			t.Errorf("%d bytes: %d from %v, %d from %v", sizes[i], len(atEndpoint[i].data), atEndpoint[i].from, len(atClient[i].data), atClient[i].from)
		}
	}
}

func TestWhoBeginsDoesNotMatter(t *testing.T) {
	init := func(port500 bool, spi uint64) []byte {
		if port500 {
			return ikeInit(spi, 0, 8)
		}
		return append(make([]byte, 4), ikeInit(spi, 0, 8)...)
	}
	configured := func(w *world3) {
		for _, p := range []*PoP{w.sh, w.se} {
			p.Snapshot.EndpointGroups = slices.Clone(p.Snapshot.EndpointGroups)
			p.Snapshot.EndpointGroups[0].Initiate = []snapshot.Initiate{{Endpoint: addrEndpoint, Client: addrClient, Ingress: "sh1", Accelerated: addrSh}}
		}
	}
	for name, c := range map[string]struct{ clientAt, endpointAt time.Duration }{
		"the client":         {0, 500 * time.Millisecond},
		"the endpoint":       {500 * time.Millisecond, 0},
		"both at once":       {0, 0},
		"the endpoint just":  {10 * time.Millisecond, 0},
		"the client just":    {0, 10 * time.Millisecond},
		"both, on their way": {0, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld3(t, 7, calm, configured)
			w.answers = func([]byte) []byte { return nil }
			w.Run(2 * time.Second)
			for _, is500 := range []bool{true, false} {
				client, acc, endpoint, egress := client500, accelerated500, endpoint500, egress500
				if !is500 {
					client, acc, endpoint, egress = client4500, accelerated4500, endpoint4500, egress4500
				}
				w.atEndpoint, w.atClient = nil, nil
				w.After(c.clientAt, func() { w.client.Send(client, acc, init(is500, 1)) })
				w.After(c.endpointAt, func() { w.endpoint.Send(endpoint, egress, init(is500, 2)) })
				w.Run(time.Second)
				for n := range 5 {
					w.client.Send(client, acc, []byte{byte(n), 1, 2})
					w.endpoint.Send(endpoint, egress, []byte{byte(n), 3, 4})
					w.Run(100 * time.Millisecond)
				}
				if len(w.atEndpoint) != 6 || len(w.atClient) != 6 {
					t.Fatalf("port 500 %v: the endpoint got %d, the client %d of 6; drops %v %v", is500, len(w.atEndpoint), len(w.atClient), w.sh.Report().Drops, w.se.Report().Drops)
				}
				for _, d := range w.atEndpoint {
					if d.from != egress || d.to != endpoint {
						t.Errorf("the endpoint got a packet from %v to %v", d.from, d.to)
					}
				}
				for _, d := range w.atClient {
					if d.from != acc || d.to != client {
						t.Errorf("the client got a packet from %v to %v", d.from, d.to)
					}
				}
			}
			for _, p := range []*PoP{w.sh, w.se} {
				if s := p.Report().Sessions; s.Confirmed+s.Unconfirmed != 2 {
					t.Errorf("%s has %+v", p.Report().Name, s)
				}
			}
		})
	}
}

func TestAKilledPoPLosesNoESPForLongAtAnyMoment(t *testing.T) {
	for n := range 12 {
		w := newWorld3(t, uint64(n), calm)
		w.Run(2 * time.Second)
		stop := w.flow(10 * time.Millisecond)
		w.Run(time.Second + time.Duration(n)*37*time.Millisecond)
		p := []*PoP{w.sh, w.se}[n%2]
		p.Kill()
		w.Run(50 * time.Millisecond)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		w.Run(2 * time.Second)
		sent := stop()
		w.Run(time.Second)
		lost := missing(w.atEndpoint, sent)
		if len(lost) > 40 { // 50 ms away, and 150 ms until keys and sessions are known
			t.Errorf("run %d: %d packets were lost: %v", n, len(lost), lost)
		}
		for _, d := range w.atEndpoint {
			if d.from != egress4500 {
				t.Fatalf("run %d: left as %v", n, d.from)
			}
		}
	}
}
