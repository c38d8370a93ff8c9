package dataplane

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// lined are two Planes with so many workers each, whose segments are up in all lanes.
type lined struct {
	t        *testing.T
	in, out  snapshot.Snapshot
	a, b     *Plane
	stopB    func()
	endpoint *net.UDPConn
}

func newLined(t *testing.T, workersA, workersB int, dirB string, edit func(in, out *snapshot.Snapshot, endpoint netip.Addr)) *lined {
	alone()
	needPort500(t)
	endpointIP := ownAddress(t)
	noLeaks(t)
	l := &lined{t: t}
	l.in, l.out = twoPlanes(t, endpointIP)
	if edit != nil {
		edit(&l.in, &l.out, endpointIP)
	}
	l.a, _ = runPlane(t, Config{Key: key(t, 1), Workers: workersA})
	l.b, l.stopB = runPlane(t, Config{Key: key(t, 2), Workers: workersB, StateDir: dirB})
	if err := errors.Join(l.a.Apply(l.in), l.b.Apply(l.out)); err != nil {
		t.Fatal(err)
	}
	lanes := int32(max(workersA, workersB))
	eventually(t, "both have all lanes, and they are up", func() bool {
		return l.a.shared.lanes.Load() == lanes && l.b.shared.lanes.Load() == lanes && l.up()
	})
	var err error
	if l.endpoint, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(port(endpointIP, 45000))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.endpoint.Close() })
	return l
}

func (l *lined) up() bool {
	up := func(r report.PoP) bool { return len(r.Segments) == 1 && r.Segments[0].Up }
	routed := func(r report.PoP) bool { return len(r.Routes) == 0 || r.Routes[0].Up }
	ra, rb := l.a.Report(), l.b.Report()
	return up(ra) && up(rb) && routed(ra) && routed(rb)
}

// exchange sends a packet there and one back, and returns where the first came from.
func (l *lined) exchange(client, endpoint *net.UDPConn, listener netip.AddrPort, payload []byte) netip.AddrPort {
	l.t.Helper()
	buf := make([]byte, 2000)
	deadline := time.Now().Add(30 * time.Second)
	client.SetDeadline(deadline)
	endpoint.SetDeadline(deadline)
	if _, err := client.WriteToUDPAddrPort(payload, listener); err != nil {
		l.t.Fatal(err)
	}
	n, from, err := endpoint.ReadFromUDPAddrPort(buf)
	if err != nil || !bytes.Equal(buf[:n], payload) {
		l.t.Fatalf("the endpoint got %q, %v; drops %v, %v", buf[:n], err, l.a.Report().Drops, l.b.Report().Drops)
	}
	if _, err := endpoint.WriteToUDPAddrPort(payload, from); err != nil {
		l.t.Fatal(err)
	}
	n, back, err := client.ReadFromUDPAddrPort(buf)
	if err != nil || !bytes.Equal(buf[:n], payload) || back != listener {
		l.t.Fatalf("the client got %q from %v, %v; drops %v, %v", buf[:n], back, err, l.a.Report().Drops, l.b.Report().Drops)
	}
	return from
}

func listenOn(t *testing.T, addr netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEveryClientCrossesWithHoweverManyWorkersEachPoPHas(t *testing.T) {
	for _, workers := range [][2]int{{2, 2}, {1, 2}, {2, 1}, {3, 2}} {
		t.Run(fmt.Sprintf("%d and %d", workers[0], workers[1]), func(t *testing.T) {
			l := newLined(t, workers[0], workers[1], "", nil)
			var clients []*net.UDPConn
			for i := range 12 {
				clients = append(clients, listenOn(t, port(loop(byte(60+i)), 47000)))
			}
			seen := map[netip.AddrPort]bool{}
			for round := range 3 {
				for i, c := range clients {
					seen[l.exchange(c, l.endpoint, port(loop(3), 45000), fmt.Appendf(nil, "round %d client %d", round, i))] = true
				}
			}
			if len(seen) != len(clients) {
				t.Errorf("the endpoint saw %d addresses of %d clients", len(seen), len(clients))
			}
			r := l.a.Report()
			if r.Sessions.Unconfirmed+r.Sessions.Confirmed != len(clients) || len(r.Sessions.List) != len(clients) {
				t.Errorf("sessions: %+v", r.Sessions)
			}
			for i, w := range r.Workers {
				if w.Sessions == 0 || w.Packets == 0 {
					t.Errorf("worker %d of %d has nothing to do: %+v", i, workers[0], w)
				}
			}
			if len(r.Segments) != 1 || len(r.Listeners) != 1 || r.Listeners[0].Sessions != len(clients) {
				t.Errorf("merged report: %d segments, %+v", len(r.Segments), r.Listeners)
			}
		})
	}
}

// clientOf is a client's address whose packets are steered to a lane, of n.
func clientOf(lane, n int) netip.Addr {
	for i := byte(100); ; i++ {
		if a := loop(i); udpio.SourceOf(a, n) == lane {
			return a
		}
	}
}

func TestAnEndpointThatBeginsReachesItsClientInWhicheverLane(t *testing.T) {
	for lane := range 2 {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			client := clientOf(lane, 2)
			l := newLined(t, 2, 2, "", func(in, out *snapshot.Snapshot, endpoint netip.Addr) {
				in.Listeners[0].Ports = []uint16{45000, 4500}
				group := slices.Clone(in.EndpointGroups)
				group[0].Initiate = []snapshot.Initiate{{Endpoint: endpoint, Client: client, Accelerated: loop(3), Ingress: "in", Listener: "l"}}
				in.EndpointGroups, out.EndpointGroups = group, group
			})
			endpoint := listenOn(t, port(l.endpoint.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), 4500))
			c := listenOn(t, port(client, 4500))
			buf := make([]byte, 2000)
			for i := range 3 {
				say := fmt.Appendf(nil, "begin %d", i)
				deadline := time.Now().Add(10 * time.Second)
				endpoint.SetDeadline(deadline)
				c.SetDeadline(deadline)
				if _, err := endpoint.WriteToUDPAddrPort(say, port(loop(4), 4500)); err != nil {
					t.Fatal(err)
				}
				n, from, err := c.ReadFromUDPAddrPort(buf)
				if err != nil || !bytes.Equal(buf[:n], say) || from != port(loop(3), 4500) {
					t.Fatalf("the client got %q from %v, %v; drops %v, %v", buf[:n], from, err, l.a.Report().Drops, l.b.Report().Drops)
				}
				// The answer must reach the endpoint from where it was asked.
				if _, err := c.WriteToUDPAddrPort(say, from); err != nil {
					t.Fatal(err)
				}
				n, from, err = endpoint.ReadFromUDPAddrPort(buf)
				if err != nil || !bytes.Equal(buf[:n], say) || from != port(loop(4), 4500) {
					t.Fatalf("the endpoint got %q from %v, %v; drops %v, %v", buf[:n], from, err, l.a.Report().Drops, l.b.Report().Drops)
				}
			}
		})
	}
}

func TestSessionsOnDiskLiveOnWithAnotherNumberOfWorkers(t *testing.T) {
	dir := t.TempDir()
	l := newLined(t, 2, 2, dir, nil)
	var clients []*net.UDPConn
	seen := map[int]netip.AddrPort{}
	natt := func(b []byte) []byte { return append(make([]byte, 4), b...) }
	for i := range 4 {
		c := listenOn(t, port(loop(byte(60+i)), 47000))
		clients = append(clients, c)
		spi := uint64(10 + i)
		l.exchange(c, l.endpoint, port(loop(3), 45000), natt(ikeMessage(spi, 0, 34, 8)))
		seen[i] = l.exchange(c, l.endpoint, port(loop(3), 45000), natt(ikeMessage(spi, 6, 35, 8)))
		l.exchange(c, l.endpoint, port(loop(3), 45000), natt(ikeMessage(spi, 6, 37, 8)))
	}
	for _, workers := range []int{1, 3} {
		l.stopB()
		l.b, l.stopB = runPlane(t, Config{Key: key(t, 2), Workers: workers, StateDir: dir})
		if err := l.b.Apply(l.out); err != nil {
			t.Fatal(err)
		}
		if r := l.b.Report(); r.Sessions.Restored != uint64(len(clients)) {
			t.Errorf("%d workers: %d sessions were restored, want %d", workers, r.Sessions.Restored, len(clients))
		}
		eventually(t, "the segment is up again", l.up)
		for i, c := range clients {
			if from := l.exchange(c, l.endpoint, port(loop(3), 45000), fmt.Appendf(nil, "again %d", i)); from != seen[i] {
				t.Errorf("%d workers: client %d came from %v, before from %v", workers, i, from, seen[i])
			}
		}
	}
}

func TestASnapshotIsRefusedWholeByAllWorkers(t *testing.T) {
	noLeaks(t)
	in, _ := twoPlanes(t, netip.MustParseAddr("192.0.2.1"))
	p, _ := runPlane(t, Config{Key: key(t, 1), Workers: 2})
	if err := p.Apply(in); err != nil {
		t.Fatal(err)
	}
	other := listenOn(t, port(loop(30), 45001))
	before := len(openFiles(t))
	next := in
	next.Listeners = append(slices.Clone(next.Listeners), snapshot.Listener{Name: "m", Addresses: []snapshot.Address{{Bind: loop(30)}}, Ports: []uint16{45000, 45001}, EndpointGroup: "g"})
	if err := p.Apply(next); err == nil {
		t.Error("applied although a port is in use")
	}
	if n := len(openFiles(t)); n != before {
		t.Errorf("%d files are open, before %d", n, before)
	}
	other.Close()
	if err := p.Apply(next); err != nil {
		t.Errorf("the port is free now: %v", err)
	}
}

func TestWithoutWhatAKernelMayLackPacketsCrossAllTheSame(t *testing.T) {
	for _, name := range append([]string{"all"}, FeatureNames...) {
		t.Run(name, func(t *testing.T) {
			alone()
			needPort500(t)
			endpointIP := ownAddress(t)
			noLeaks(t)
			without := []string{name}
			if name == "all" {
				without = FeatureNames
			}
			l := &lined{t: t}
			l.in, l.out = twoPlanes(t, endpointIP)
			l.a, _ = runPlane(t, Config{Key: key(t, 1), Without: without})
			l.b, l.stopB = runPlane(t, Config{Key: key(t, 2), Without: without})
			if err := errors.Join(l.a.Apply(l.in), l.b.Apply(l.out)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the segment is up", l.up)
			endpoint := listenOn(t, port(endpointIP, 45000))
			client := listenOn(t, port(loop(9), 47000))
			for i := range 20 {
				l.exchange(client, endpoint, port(loop(3), 45000), bytes.Repeat([]byte{byte(i)}, 1+60*i))
			}
			for _, f := range without {
				if have, known := l.a.Report().Features[f]; have || !known {
					t.Errorf("feature %s: have %v, known %v", f, have, known)
				}
			}
		})
	}
}

func TestLanesShareAnAllowanceByWhatTheyUse(t *testing.T) {
	var d directory
	d.lanes.Store(2)
	if part, _ := d.share("gold", 0, 0, 0, 0); part != 0.5 {
		t.Errorf("of an allowance that nobody uses a lane has %v, want half", part)
	}
	var parts [2]float64
	for range 20 {
		parts[0], _ = d.share("gold", 0, 0, 9000, 3)
		parts[1], _ = d.share("gold", 0, 1, 1000, 4)
	}
	if sum := parts[0] + parts[1]; sum < 0.97 || sum > 1.03 || parts[0] < 0.8 || parts[1] < 0.1 {
		t.Errorf("parts %v of uses 9:1", parts)
	}
	for range 20 {
		parts[0], _ = d.share("gold", 0, 0, 0, 3)
		parts[1], _ = d.share("gold", 0, 1, 1000, 4)
	}
	if parts[0] < 1.0/16 || parts[0] > 0.1 || parts[1] < 0.9 {
		t.Errorf("parts %v when only one uses it", parts)
	}
	if _, others := d.share("gold", 0, 1, 0, 4); others != 3 {
		t.Errorf("others have %d sessions, want 3", others)
	}
}

func TestReportsOfLanesAddUp(t *testing.T) {
	one := report.PoP{
		Name: "p", Label: 3, Drops: map[string]uint64{"stranger": 2},
		Snapshot: report.Snapshot{Version: 7},
		Segments: []report.Segment{{Peer: "q", Up: true, Traffic: report.Traffic{PacketsToPeer: 5}, Refused: map[string]uint64{"forged": 1}, MTU: 1400}},
		Sessions: report.Sessions{Confirmed: 2, List: []report.Session{{ID: "a", Idle: 3}}},
	}
	two := report.PoP{
		Name: "p", Label: 3, Drops: map[string]uint64{"stranger": 1, "late_replay": 4},
		Snapshot: report.Snapshot{Version: 7},
		Segments: []report.Segment{{Peer: "q", Up: false, Traffic: report.Traffic{PacketsToPeer: 6}, MTU: 1400}},
		Sessions: report.Sessions{Confirmed: 3, List: []report.Session{{ID: "b", Idle: 1}}},
	}
	r := mergeReports([]report.PoP{one, two})
	if r.Snapshot.Version != 7 || r.Label != 3 || r.Drops["stranger"] != 3 || r.Drops["late_replay"] != 4 {
		t.Errorf("%+v", r)
	}
	if s := r.Segments[0]; s.Up || s.Traffic.PacketsToPeer != 11 || s.MTU != 1400 || s.Refused["forged"] != 1 {
		t.Errorf("%+v", s)
	}
	if r.Sessions.Confirmed != 5 || len(r.Sessions.List) != 2 || r.Sessions.List[0].ID != "b" {
		t.Errorf("%+v", r.Sessions)
	}
}

// Until all lanes listen, the kernel gives clients of all to those that do: their sessions
// are made where their packets will come all the same, and none is lost.
func TestClientsThatComeBeforeAllLanesListenAreAtHome(t *testing.T) {
	const port, clients = 45102, 16
	alone()
	noLeaks(t)
	box := ownAddress(t)
	endpoint, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(box, port)))
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	plane, _ := runPlane(t, Config{Key: key(t, 1), Workers: 2})
	s := snapshot.Snapshot{
		Format: 1, Version: 1, PoP: snapshot.PoP{Name: "in", Label: 1, Overlay: []snapshot.Overlay{{Name: "lo", Bind: netip.AddrPortFrom(loop(1), 46102)}}},
		Listeners: []snapshot.Listener{{
			Name: "l", Addresses: []snapshot.Address{{Bind: loop(100)}}, Ports: []uint16{port}, EndpointGroup: "g",
		}},
		EndpointGroups: []snapshot.EndpointGroup{{Name: "g", PoP: "in", EgressIP: snapshot.Address{Bind: loop(98)}, Endpoints: []snapshot.Endpoint{{Address: box}}}},
	}
	if err := plane.lanes[0].apply(s); err != nil {
		t.Fatal(err)
	}
	var home [2]int
	for i := range clients {
		from := netip.AddrPortFrom(loop(byte(110+i)), 0)
		home[udpio.SourceOf(from.Addr(), 2)]++
		client, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(from))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.WriteToUDPAddrPort([]byte("a packet that is no IKE"), netip.AddrPortFrom(loop(100), port)); err != nil {
			t.Fatal(err)
		}
	}
	if home[1] == 0 {
		t.Fatal("no client is at home in the second lane")
	}
	eventually(t, "the first lane has seen all clients", func() bool {
		packets := uint64(0)
		plane.workers[0].call(func(mono.Time) { packets = plane.workers[0].packets })
		return packets == clients
	})
	if err := plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	eventually(t, "each client's session is in the lane that its packets are steered to", func() bool {
		r := plane.Report()
		return r.Workers[0].Sessions == home[0] && r.Workers[1].Sessions == home[1]
	})
	got := make([]byte, 100)
	for range clients {
		if err := endpoint.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := endpoint.Read(got); err != nil {
			t.Fatalf("not all that was sent came: %v", err)
		}
	}
}

// A relay that opens nothing has workers of its own: the lanes are the two ends'.
func TestLanesMeetThroughARelay(t *testing.T) {
	var relay *Plane
	at := port(loop(5), 47700)
	l := newLined(t, 2, 1, "", func(in, out *snapshot.Snapshot, _ netip.Addr) {
		for _, s := range []*snapshot.Snapshot{in, out} {
			p := &s.Peers[0]
			p.Through = []snapshot.Through{{Relay: "relay", Wires: []snapshot.Wire{{Local: "lo", Remote: at}}}}
			p.Wires = nil
			s.Routes = []snapshot.Route{{To: p.Name}}
			s.Peers = append(s.Peers, snapshot.Peer{Name: "relay", Label: 3, PublicKey: key(t, 3).Public().String()})
		}
		relay, _ = runPlane(t, Config{Key: key(t, 3), Workers: 3})
		if err := relay.Apply(snapshot.Snapshot{
			Format: 1, Version: 1, PoP: snapshot.PoP{Name: "relay", Label: 3, Overlay: []snapshot.Overlay{{Name: "lo", Bind: port(at.Addr(), 46005)}}},
			Passthroughs: []snapshot.Passthrough{{Local: "lo", Port: at.Port(), Ends: [2]snapshot.End{{PoP: "in", Remote: port(loop(1), 46001)}, {PoP: "out", Remote: port(loop(2), 46002)}}}},
		}); err != nil {
			t.Fatal(err)
		}
	})
	for i := range 8 {
		c := listenOn(t, port(loop(byte(60+i)), 47000))
		for round := range 2 {
			l.exchange(c, l.endpoint, port(loop(3), 45000), fmt.Appendf(nil, "round %d client %d", round, i))
		}
	}
	r := relay.Report()
	if p := r.Passthroughs[0]; p.Ends[0].Sent.Packets < 16 || p.Ends[1].Sent.Packets < 16 || len(r.Drops) > 0 {
		t.Errorf("the relay has passed on %+v, and dropped %v", p, r.Drops)
	}
	if s := l.b.Report().Segments[0]; s.Through != "relay" {
		t.Errorf("the segment is %+v", s)
	}
}
