package dataplane

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/internal/problem"
	"causeway/internal/snapshot"
)

// addresses are those that the PoP's engine has open.
func (p *rigPoP) addresses() (list []string) {
	for a := range p.engine.byAddr {
		list = append(list, a.String())
	}
	slices.Sort(list)
	return list
}

func (p *rigPoP) mustBeSound() {
	p.t.Helper()
	e := p.engine
	if e.sockets.count() != len(e.byAddr) || e.sockets.count() != p.opened {
		p.t.Errorf("%s: %d sockets by token, %d by address, %d open", p.name, e.sockets.count(), len(e.byAddr), p.opened)
	}
	for s := range e.sockets.all() {
		if e.sockets.at(s.token) != s || e.byAddr[s.addr] != s || p.at[s.addr] == nil || p.at[s.addr].token != s.token {
			p.t.Errorf("%s: %v is not what it seems", p.name, s.addr)
		}
	}
	for index, s := range e.indices {
		if e.plan.bySegment[s] == nil {
			p.t.Errorf("%s: index %d leads to a segment that is gone", p.name, index)
		}
	}
}

func TestAnAddressInUseLeavesTheOldPlanRunning(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	before := r.sh.addresses()
	taken := netip.MustParseAddr("203.0.113.99")
	r.sh.busy = func(a netip.AddrPort) bool { return a == port(taken, 4500) }
	next := r.sh.snap
	next.Version = 9
	next.Listeners = append(slices.Clone(next.Listeners), snapshot.Listener{
		Name: "second", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("203.0.113.98")}, {Bind: taken}}, Ports: []uint16{500, 4500}, EndpointGroup: "seoul",
	})
	next.Peers = next.Peers[1:] // Tokyo goes; it must not
	err := r.sh.engine.Apply(r.now, next)
	if err == nil || !strings.Contains(err.Error(), "listeners[1].addresses[1]") || !strings.Contains(err.Error(), "4500") {
		t.Fatalf("err %v", err)
	}
	if got := r.sh.addresses(); !slices.Equal(got, before) {
		t.Errorf("open before: %v, now: %v", before, got)
	}
	r.sh.mustBeSound()
	r.mustReach(client, egress)
	if v := r.sh.engine.Report(r.now, time.Unix(0, 0)).Snapshot.Version; v != 1 {
		t.Errorf("version %d is reported", v)
	}
	// The address is free again: the same snapshot is applied.
	r.sh.busy = nil
	next.Peers = r.sh.snap.Peers
	if err := r.sh.engine.Apply(r.now, next); err != nil {
		t.Fatal(err)
	}
	r.sh.mustBeSound()
	r.mustReach(client, egress)
}

func TestTheFirstSnapshotMayBeRefused(t *testing.T) {
	r := newRig(t, nil)
	r.tk.engine.Close()
	r.tk.engine = NewEngine(EngineConfig{Key: r.tk.key, Network: r.tk, Log: r.sh.engine.cfg.Log, Random: r.sh.engine.cfg.Random})
	r.tk.busy = func(netip.AddrPort) bool { return true }
	if err := r.tk.engine.Apply(r.now, r.tk.snap); err == nil {
		t.Fatal("applied though every address is in use")
	}
	if r.tk.opened != 0 || r.tk.engine.sockets.count() != 0 {
		t.Errorf("%d sockets are open", r.tk.opened)
	}
	r.tk.engine.Due(r.now)
	r.tk.engine.Flush(r.now)
	if r.tk.engine.NextDue() != 0 {
		t.Error("an engine without a plan is due")
	}
	r.tk.engine.Report(r.now, time.Unix(0, 0))
	r.tk.busy = nil
	if err := r.tk.engine.Apply(r.now, r.tk.snap); err != nil {
		t.Fatal(err)
	}
	r.tk.mustBeSound()
}

func TestASnapshotForAnotherKeyIsRefused(t *testing.T) {
	r := newRig(t, nil)
	next := r.sh.snap
	next.PoP.PublicKey = r.tk.key.Public().String()
	next.Peers = next.Peers[1:] // Seoul only: Tokyo's key is used above
	err := r.sh.engine.Apply(r.now, next)
	list, ok := err.(problem.List)
	if !ok || len(list) != 1 || list[0].Path != "pop.public_key" || !strings.Contains(err.Error(), r.sh.key.Public().String()) {
		t.Errorf("err %v", err)
	}
	next.PoP.PublicKey = r.sh.key.Public().String()
	if err := r.sh.engine.Apply(r.now, next); err != nil {
		t.Errorf("its own key is refused: %v", err)
	}
}

func TestAPeerWithTheWrongKeyIsNeverTalkedTo(t *testing.T) {
	r := newRig(t, func(r *rig) { r.sh.snap.Peers[1].PublicKey = key(r.t, 77).Public().String() })
	r.run(5 * time.Second)
	for _, s := range r.sh.engine.Report(r.now, time.Unix(0, 0)).Segments {
		if s.Up != (s.Peer == "tk") {
			t.Errorf("the segment to %s is up: %v", s.Peer, s.Up)
		}
	}
	if r.se.drops("handshake") == 0 {
		t.Errorf("Seoul dropped %v", r.se.engine.drops.Map())
	}
}

func TestEveryPartComesAndGoes(t *testing.T) {
	second := snapshot.Listener{
		Name: "second", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("203.0.113.98")}}, Ports: []uint16{500, 4500, 1194}, EndpointGroup: "seoul",
	}
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	base := r.sh.addresses()
	check := func(what string, want int) {
		t.Helper()
		for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
			p.mustBeSound()
		}
		if got := len(r.sh.addresses()); got != want {
			t.Errorf("%s: %d sockets, want %d: %v", what, got, want, r.sh.addresses())
		}
		r.run(300 * time.Millisecond)
		r.mustReach(client, egress)
	}
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners = append(s.Listeners, second) })
	check("a listener more", len(base)+3)
	if out := r.send(port(clientIP, 7777), netip.MustParseAddrPort("203.0.113.98:1194"), []byte("hi")); len(out) != 1 {
		t.Errorf("over the new listener came %v", out)
	}
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners[1].Ports = []uint16{500} })
	check("a port less", len(base)+1)
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners = s.Listeners[:1] })
	check("a listener less", len(base))
	r.sh.apply(func(s *snapshot.Snapshot) {
		s.EndpointGroups = append(s.EndpointGroups, snapshot.EndpointGroup{
			Name: "here", PoP: "sh", EgressIP: snapshot.Address{Bind: netip.MustParseAddr("203.0.113.97")}, Endpoints: []snapshot.Endpoint{{Address: netip.MustParseAddr("198.19.7.7")}},
		})
	})
	check("an egress more", len(base)+2)
	r.sh.apply(func(s *snapshot.Snapshot) { s.EndpointGroups = s.EndpointGroups[:1] })
	check("an egress less", len(base))
	r.sh.apply(func(s *snapshot.Snapshot) {
		s.PoP.Overlay = append(s.PoP.Overlay, snapshot.Overlay{Name: "second", Bind: netip.MustParseAddrPort("203.0.113.96:4600")})
		s.Peers[1].Wires = append(s.Peers[1].Wires, snapshot.Wire{Local: "second", Remote: port(r.se.addr, 4600)})
	})
	check("a wire more", len(base)+1)
	r.sh.apply(func(s *snapshot.Snapshot) {
		s.Peers[1].Wires = s.Peers[1].Wires[:1]
		s.PoP.Overlay = s.PoP.Overlay[:1]
	})
	check("a wire less", len(base))
	tokyo := r.sh.snap.Peers[0]
	r.sh.apply(func(s *snapshot.Snapshot) { s.Peers = slices.Clone(s.Peers[1:]) })
	check("a peer less", len(base))
	r.sh.apply(func(s *snapshot.Snapshot) { s.Peers = append([]snapshot.Peer{tokyo}, s.Peers...) })
	check("the peer is back", len(base))
	r.run(2 * time.Second)
	if !r.sh.engine.plan.byName["tk"].segment.Up(r.now) {
		t.Error("the segment to the peer that came back is not up")
	}
}

// What is made anew at one end must fit what the other end remembers.
func TestASegmentThatIsMadeAnewGoesOn(t *testing.T) {
	for name, edit := range map[string]func(*snapshot.Snapshot){
		"other bounds of repair": func(s *snapshot.Snapshot) { s.Peers[1].Repair.Cap = 2 },
		"another name": func(s *snapshot.Snapshot) {
			s.Peers[1].Name, s.EndpointGroups[0].PoP = "seoul1", "seoul1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			client, acc, endpoint := port(clientIP, 4500), port(r.sh.addr, 4500), port(endpointIP, 4500)
			r.tunnel(port(clientIP, 500))
			egress := r.send(client, acc, espPacket(700, 1, 100))[0].from
			seq := uint32(1)
			flow := func(n int) (got int) {
				for range n {
					seq++
					got += len(r.send(client, acc, espPacket(700, seq, 100)))
					got += len(r.send(endpoint, egress, espPacket(800, seq, 100)))
					r.run(10 * time.Millisecond)
				}
				return got
			}
			flow(300)
			r.sh.snap.Peers = slices.Clone(r.sh.snap.Peers)
			r.sh.snap.EndpointGroups = slices.Clone(r.sh.snap.EndpointGroups)
			r.sh.apply(edit)
			r.run(time.Second)
			if got := flow(300); got != 600 {
				t.Errorf("%d of 600 packets arrived; drops %v, %v", got, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
			}
			r.sh.mustBeSound()
		})
	}
}

func TestAPeerThatWasAwayFromTheSnapshotGoesOn(t *testing.T) {
	r := newRig(t, nil)
	client, acc := port(clientIP, 4500), port(r.sh.addr, 4500)
	r.tunnel(port(clientIP, 500))
	seq := uint32(0)
	flow := func(n int) (got int) {
		for range n {
			seq++
			got += len(r.send(client, acc, espPacket(700, seq, 100)))
			r.run(10 * time.Millisecond)
		}
		return got
	}
	flow(300)
	seoul := r.sh.snap.Peers[1]
	route := r.sh.snap.Routes
	r.sh.apply(func(s *snapshot.Snapshot) {
		seoul.Wires = nil // reached over Tokyo only
		s.Peers = []snapshot.Peer{s.Peers[0], seoul}
		s.Routes = []snapshot.Route{{To: "se", Candidates: [][]string{{"tk"}}}}
	})
	r.run(3 * time.Second)
	if got := flow(100); got != 100 {
		t.Errorf("%d of 100 packets arrived over the relay; drops %v %v %v", got, r.sh.engine.drops.Map(), r.tk.engine.drops.Map(), r.se.engine.drops.Map())
	}
	r.sh.apply(func(s *snapshot.Snapshot) {
		seoul.Wires = []snapshot.Wire{{Local: "net", Remote: port(r.se.addr, 4600)}}
		s.Peers = []snapshot.Peer{s.Peers[0], seoul}
		s.Routes = route
	})
	r.run(2 * time.Second)
	if got := flow(300); got != 300 {
		t.Errorf("%d of 300 packets arrived directly again; drops %v, %v", got, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
}

func TestAPlansSocketsDoNotChangeHands(t *testing.T) {
	// A session's egress port becomes a listener's.
	r := newRig(t, func(r *rig) {
		r.sh.snap.EndpointGroups[0].PoP = "sh"
		r.sh.snap.EndpointGroups[0].EgressIP.Bind = netip.MustParseAddr("203.0.113.11")
	})
	out := r.send(port(clientIP, 1194), port(r.sh.addr, 500), []byte("hello"))
	if len(out) != 1 || out[0].from != netip.MustParseAddrPort("203.0.113.11:1194") {
		t.Fatalf("left as %v", out)
	}
	r.sh.apply(func(s *snapshot.Snapshot) {
		s.Listeners = append(s.Listeners, snapshot.Listener{
			Name: "open", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("203.0.113.11")}}, Ports: []uint16{1194}, EndpointGroup: "seoul",
		})
	})
	r.sh.mustBeSound()
	if r.sh.sessions() != 0 {
		t.Error("the session kept a port that is a listener's now")
	}
	if out := r.send(port(clientIP, 1194), port(r.sh.addr, 500), []byte("hello")); len(out) != 1 || out[0].from.Port() == 1194 {
		t.Errorf("afterwards it left as %v", out)
	}
}

// Snapshots follow one another at random; whatever is refused or applied, the
// engine is sound and nothing leaks.
func TestManyPlansInARow(t *testing.T) {
	r := newRig(t, nil)
	full := r.sh.snap
	full.Listeners = append(slices.Clone(full.Listeners), snapshot.Listener{
		Name: "second", Addresses: []snapshot.Address{{Bind: netip.MustParseAddr("203.0.113.98")}}, Ports: []uint16{500, 4500}, EndpointGroup: "here",
	})
	full.EndpointGroups = append(slices.Clone(full.EndpointGroups), snapshot.EndpointGroup{
		Name: "here", PoP: "sh", EgressIP: snapshot.Address{Bind: netip.MustParseAddr("203.0.113.97")}, Endpoints: []snapshot.Endpoint{{Address: netip.MustParseAddr("198.19.7.7")}},
	})
	rng := uint64(1)
	chance := func(n uint64) bool {
		rng = rng*6364136223846793005 + 1442695040888963407
		return rng>>33%n == 0
	}
	for i := range 300 {
		s := full
		if chance(2) {
			s.Listeners = s.Listeners[:1]
			if chance(2) {
				s.EndpointGroups = s.EndpointGroups[:1]
			}
		}
		if chance(4) {
			s.Peers = s.Peers[1:]
		}
		if chance(5) {
			s.Listeners = nil
		}
		r.sh.busy = nil
		if chance(3) {
			r.sh.busy = func(netip.AddrPort) bool { return chance(3) }
		}
		s.Version = uint64(i + 2)
		_ = r.sh.engine.Apply(r.now, s)
		r.sh.engine.Flush(r.now)
		r.sh.mustBeSound()
		for n := range uint16(5) {
			from := port(netip.AddrFrom4([4]byte{198, 18, byte(i), 1}), 1000+n)
			for _, a := range []netip.AddrPort{port(r.sh.addr, 500), netip.MustParseAddrPort("203.0.113.98:500")} {
				if r.at[a] != nil {
					r.send(from, a, []byte("hello"))
				}
			}
		}
		r.run(20 * time.Millisecond)
		r.sh.mustBeSound()
	}
	r.sh.busy = nil
	r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners = nil })
	r.sh.mustBeSound()
	if r.sh.sessions() != 0 || r.sh.opened != 1 {
		t.Errorf("without listeners: %d sessions, sockets %v", r.sh.sessions(), r.sh.addresses())
	}
}
