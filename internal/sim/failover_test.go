package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// choice is world3 with a second endpoint behind Seoul, and a second group
// behind Tokyo that the listener fails over to. Every endpoint echoes.
type choice struct {
	*world3
	hosts map[netip.Addr]*Host
	// who got what: endpoint address and port, in the order of arrival
	got []netip.AddrPort
	seq uint32 // of the client's ESP
}

var (
	addrSecond = netip.MustParseAddr("198.19.1.3")
	addrSpare  = netip.MustParseAddr("198.19.2.2")
)

func newChoice(t *testing.T, percentages ...int) *choice {
	w := &choice{world3: newWorld3(t, 11, calm), hosts: map[netip.Addr]*Host{}}
	percent := func(i int) *int {
		if i < len(percentages) {
			return &percentages[i]
		}
		return nil
	}
	for _, p := range w.pops {
		s := p.Snapshot
		s.EndpointGroups = slices.Clone(s.EndpointGroups)
		g := &s.EndpointGroups[0]
		g.Endpoints = []snapshot.Endpoint{{Address: addrEndpoint}, {Address: addrSecond}}
		g.TrafficPercentage = percent(0)
		g.Health = &snapshot.HealthCheck{Probe: snapshot.ProbeIKE}
		s.EndpointGroups = append(s.EndpointGroups, snapshot.EndpointGroup{
			Name: "tokyo", PoP: "tk1", EgressIP: snapshot.Address{Bind: addrTk}, Endpoints: []snapshot.Endpoint{{Address: addrSpare}},
			TrafficPercentage: percent(1), Health: &snapshot.HealthCheck{Probe: snapshot.ProbeIKE},
		})
		if p == w.sh {
			s.Listeners = slices.Clone(s.Listeners)
			s.Listeners[0].Failover = []string{"tokyo"}
		}
		if err := p.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []netip.Addr{addrEndpoint, addrSecond, addrSpare} {
		h := w.Host(netip.AddrPortFrom(a, 500), netip.AddrPortFrom(a, 4500))
		h.Receive = func(from, to netip.AddrPort, data []byte) {
			w.got = append(w.got, to)
			h.Send(to, from, data)
		}
		w.hosts[a] = h
	}
	w.Run(2 * time.Second)
	w.say(addrEndpoint, true)
	w.say(addrSecond, true)
	w.say(addrSpare, true)
	w.Run(200 * time.Millisecond)
	return w
}

// say has the endpoint's PoP find it up or down.
func (w *choice) say(endpoint netip.Addr, up bool) {
	w.t.Helper()
	p, group := w.se, "seoul"
	if endpoint == addrSpare {
		p, group = w.tk, "tokyo"
	}
	if err := p.SetEndpointHealth(group, endpoint, up, 5*time.Millisecond); err != nil {
		w.t.Fatal(err)
	}
}

// tell is say, and the time that the word needs to get everywhere.
func (w *choice) tell(endpoint netip.Addr, up bool) {
	w.t.Helper()
	w.say(endpoint, up)
	w.Run(100 * time.Millisecond)
}

// speak has the client send on both of its flows for a while, and returns which
// endpoints heard it.
func (w *choice) speak(d time.Duration) (on500, on4500 []netip.Addr) {
	w.got = nil
	end := w.Now.Add(d)
	w.Every(20*time.Millisecond, func() bool {
		w.client.Send(client500, accelerated500, []byte("to port 500"))
		w.seq++
		w.client.Send(client4500, accelerated4500, esp(7, w.seq, 200))
		return w.Now < end
	})
	w.Run(d + 200*time.Millisecond)
	for _, at := range w.got {
		list := &on500
		if at.Port() == 4500 {
			list = &on4500
		}
		if !slices.Contains(*list, at.Addr()) {
			*list = append(*list, at.Addr())
		}
	}
	return on500, on4500
}

// only is the one endpoint that heard both flows.
func (w *choice) only(d time.Duration) netip.Addr {
	w.t.Helper()
	on500, on4500 := w.speak(d)
	if len(on500) != 1 || len(on4500) != 1 || on500[0] != on4500[0] {
		w.t.Fatalf("port 500 went to %v and port 4500 to %v; want one endpoint for both; drops %v", on500, on4500, w.sh.Report().Drops)
	}
	return on500[0]
}

func (w *choice) other(a netip.Addr) netip.Addr {
	if a == addrEndpoint {
		return addrSecond
	}
	return addrEndpoint
}

func (w *choice) alarms() []report.Alarm { return w.sh.Report().Alarms }

func TestAClientMovesWithAllItsFlowsAtOnceWhenItsEndpointGoesDown(t *testing.T) {
	w := newChoice(t)
	first := w.only(2 * time.Second)
	w.say(first, false)
	start := time.Duration(w.Now)
	w.Run(100 * time.Millisecond) // four crossings
	if n := len(w.sh.Report().Sessions.List) + len(w.se.Report().Sessions.List); n != 0 {
		t.Errorf("%d sessions are left at the two ends %v after the endpoint went down", n, time.Duration(w.Now)-start)
	}
	if now := w.only(time.Second); now != w.other(first) {
		t.Errorf("the client went from %v to %v", first, now)
	}
	if r := w.sh.Report().Listeners[0]; r.Moved != 2 {
		t.Errorf("%d sessions were moved, want both", r.Moved)
	}
	if a := w.alarms(); len(a) != 0 {
		t.Errorf("alarms %v with an endpoint that is well", a)
	}
}

func TestAnEndpointThatComesBackDoesNotTakeItsClientsAway(t *testing.T) {
	w := newChoice(t)
	first := w.only(2 * time.Second)
	w.tell(first, false)
	second := w.only(3 * time.Second)
	w.tell(first, true)
	if now := w.only(5 * time.Second); now != second {
		t.Errorf("the client went back to %v", now)
	}
	// Nor when the one that came back speaks first, as it still has its tunnel.
	w.hosts[first].Send(netip.AddrPortFrom(first, 4500), egress4500, []byte("old tunnel, still here"))
	w.Run(200 * time.Millisecond)
	if d := w.se.Report().Drops["stranger"]; d != 1 {
		t.Errorf("%d packets of the endpoint that came back were turned away, want 1", d)
	}
	if now := w.only(time.Second); now != second {
		t.Errorf("the endpoint that came back took the client to %v", now)
	}
	// A client that is new goes where its address sends it, as before the failure.
	w.tell(second, false)
	if now := w.only(time.Second); now != first {
		t.Errorf("with %v down the client is at %v", second, now)
	}
}

func TestAFlappingEndpointMovesAClientOnce(t *testing.T) {
	w := newChoice(t)
	first := w.only(time.Second)
	for range 20 {
		w.tell(first, false)
		w.speak(500 * time.Millisecond)
		w.tell(first, true)
		w.speak(500 * time.Millisecond)
	}
	if moved := w.sh.Report().Listeners[0].Moved; moved != 2 {
		t.Errorf("20 flaps closed %d sessions, want the 2 of the first one", moved)
	}
}

func TestTheNextGroupTakesOverAndItsAssociationsStay(t *testing.T) {
	w := newChoice(t)
	w.only(time.Second)
	w.tell(addrEndpoint, false)
	w.tell(addrSecond, false)
	if now := w.only(time.Second); now != addrSpare {
		t.Fatalf("with Seoul down the client is at %v", now)
	}
	if s := w.sh.Report().Sessions.List; s[0].Peer != "tk1" {
		t.Errorf("the session's peer is %s", s[0].Peer)
	}
	w.tell(addrEndpoint, true)
	if now := w.only(3 * time.Second); now != addrSpare {
		t.Errorf("the client went back to %v", now)
	}
}

func TestWhenEverythingIsDownTrafficGoesOnToTheLastEndpoint(t *testing.T) {
	w := newChoice(t)
	first := w.only(time.Second)
	for _, a := range []netip.Addr{w.other(first), addrSpare, first} {
		w.tell(a, false)
		w.Run(time.Minute)
	}
	if now := w.only(time.Second); now != first {
		t.Errorf("with everything down the client is at %v, not with the last one, %v", now, first)
	}
	if a := w.alarms(); len(a) != 1 || a[0].Kind != "endpoints_lost" || a[0].Object != "vpn" {
		t.Errorf("alarms %+v", a)
	}
	if a := w.se.Report().Alarms; len(a) != 1 || a[0].Kind != "endpoints_down" || a[0].Object != "seoul" {
		t.Errorf("alarms at the egress %+v", a)
	}
	// Clients that nobody knows go there, too.
	w.got = nil
	for i := range 20 {
		stranger := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 7, byte(i)}), 500)
		w.Host(stranger).Send(stranger, accelerated500, []byte("hello"))
	}
	w.Run(200 * time.Millisecond)
	for _, at := range w.got {
		if at.Addr() != first {
			t.Errorf("a new client went to %v, want %v", at, first)
		}
	}
	if len(w.got) != 20 {
		t.Errorf("%d of 20 new clients were carried", len(w.got))
	}
	// The first that comes back gets them all.
	w.tell(addrSpare, true)
	if now := w.only(time.Second); now != addrSpare {
		t.Errorf("the client stays at %v, while %v is well", now, addrSpare)
	}
	if a := w.alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
}

func TestANewEndpointEndsTheAlarmAndGetsTheClients(t *testing.T) {
	w := newChoice(t)
	first := w.only(time.Second)
	for _, a := range []netip.Addr{addrSpare, w.other(first), first} {
		w.tell(a, false)
	}
	if len(w.alarms()) != 1 {
		t.Fatalf("alarms %+v", w.alarms())
	}
	fresh := netip.MustParseAddr("198.19.1.9")
	h := w.Host(netip.AddrPortFrom(fresh, 500), netip.AddrPortFrom(fresh, 4500))
	h.Receive = func(from, to netip.AddrPort, data []byte) {
		w.got = append(w.got, to)
		h.Send(to, from, data)
	}
	for _, p := range w.pops {
		s := p.Snapshot
		s.EndpointGroups = slices.Clone(s.EndpointGroups)
		g := &s.EndpointGroups[0]
		g.Endpoints = append(slices.Clone(g.Endpoints), snapshot.Endpoint{Address: fresh})
		if err := p.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	w.Run(200 * time.Millisecond)
	if len(w.alarms()) != 0 {
		t.Errorf("alarms %+v with an endpoint nobody has spoken ill of", w.alarms())
	}
	if now := w.only(time.Second); now != fresh {
		t.Errorf("the client is at %v", now)
	}
}

func TestWhatAnEgressSaidIsForgottenWhenItFallsSilent(t *testing.T) {
	w := newChoice(t)
	w.tell(addrEndpoint, false)
	w.Run(time.Second)
	health := func(p *PoP) (list []string) {
		for _, e := range p.Report().Listeners[0].Groups[0].Endpoints {
			list = append(list, e.Health)
		}
		return list
	}
	if h := health(w.sh); h[0] != "down" || h[1] != "up" {
		t.Fatalf("the ingress knows %v", h)
	}
	w.se.Kill()
	w.Run(9 * time.Second)
	if h := health(w.sh); h[0] != "down" {
		t.Errorf("forgotten within 9 s: %v", h)
	}
	w.Run(2 * time.Second)
	if h := health(w.sh); h[0] != "unknown" {
		t.Errorf("still %v after 11 s of silence", h)
	}
}

func TestClientsMoveWhenTheirEgressCannotBeReached(t *testing.T) {
	w := newChoice(t)
	w.only(time.Second)
	w.se.Kill()
	w.Run(5 * time.Second)
	if moved := w.sh.Report().Listeners[0].Moved; moved != 0 {
		t.Errorf("moved within 5 s: a way may come back")
	}
	w.Run(10 * time.Second)
	if now := w.only(time.Second); now != addrSpare {
		t.Errorf("the client is at %v", now)
	}
	if r := w.sh.Report().Listeners[0].Groups[0]; r.Reachable {
		t.Error("a dead PoP counts as reachable")
	}
	if err := w.se.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(3 * time.Second)
	if r := w.sh.Report().Listeners[0].Groups[0]; !r.Reachable {
		t.Error("a PoP that came back counts as out of reach")
	}
}

func TestAnEndpointThatMayBeginDoesNotTakeAwayAClientOfAnotherGroup(t *testing.T) {
	w := newChoice(t)
	for _, p := range w.pops {
		s := p.Snapshot
		s.EndpointGroups = slices.Clone(s.EndpointGroups)
		s.EndpointGroups[0].Initiate = []snapshot.Initiate{{Endpoint: addrEndpoint, Client: addrClient, Ingress: "sh1", Accelerated: addrSh}}
		if err := p.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	w.tell(addrEndpoint, false)
	w.tell(addrSecond, false)
	if now := w.only(3 * time.Second); now != addrSpare {
		t.Fatalf("with Seoul down the client is at %v", now)
	}
	w.tell(addrEndpoint, true)
	for range 20 {
		w.hosts[addrEndpoint].Send(endpoint4500, egress4500, ike(true, 5, 0, 34, 8, 200))
		w.Run(50 * time.Millisecond)
	}
	if now := w.only(time.Second); now != addrSpare {
		t.Errorf("the endpoint that came back took the client to %v", now)
	}
	if n := len(w.se.Report().Sessions.List); n != 0 {
		t.Errorf("%d sessions are left at the egress that was refused", n)
	}
	// It may once the other one is gone.
	w.tell(addrSpare, false)
	w.atClient = nil
	w.hosts[addrEndpoint].Send(endpoint4500, egress4500, ike(true, 5, 0, 34, 8, 200))
	w.Run(200 * time.Millisecond)
	if len(w.atClient) != 1 {
		t.Errorf("the client heard %d packets of the endpoint that begins", len(w.atClient))
	}
}

func TestPercentagesShareClientsAmongGroups(t *testing.T) {
	w := newChoice(t, 30, 100)
	const clients = 1000
	count := map[netip.Addr]int{}
	w.got = nil
	for i := range clients {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 500)
		w.Host(a).Send(a, accelerated500, []byte("hello"))
	}
	w.Run(time.Second)
	for _, at := range w.got {
		count[at.Addr()]++
	}
	seoul := count[addrEndpoint] + count[addrSecond]
	if seoul < 250 || seoul > 350 || seoul+count[addrSpare] != clients {
		t.Errorf("of %d clients %d went to the group that takes 30 %%, %d to the next", clients, seoul, count[addrSpare])
	}
	if count[addrEndpoint] < seoul/3 || count[addrSecond] < seoul/3 {
		t.Errorf("within the group: %v", count)
	}
}

func TestADrainedEndpointKeepsItsClientsAndGetsNoNewOnes(t *testing.T) {
	w := newChoice(t)
	first := w.only(time.Second)
	zero := 0
	for _, p := range w.pops {
		s := p.Snapshot
		s.EndpointGroups = slices.Clone(s.EndpointGroups)
		g := &s.EndpointGroups[0]
		g.Endpoints = slices.Clone(g.Endpoints)
		for i := range g.Endpoints {
			if g.Endpoints[i].Address == first {
				g.Endpoints[i].Weight = &zero
			}
		}
		if err := p.Apply(s); err != nil {
			t.Fatal(err)
		}
	}
	if now := w.only(time.Second); now != first {
		t.Errorf("draining moved the client to %v", now)
	}
	w.got = nil
	for i := range 50 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 9, byte(i)}), 500)
		w.Host(a).Send(a, accelerated500, []byte("hello"))
	}
	w.Run(time.Second)
	for _, at := range w.got {
		if at.Addr() == first {
			t.Fatalf("a new client went to the drained endpoint")
		}
	}
	if len(w.got) != 50 {
		t.Errorf("%d of 50 new clients were carried", len(w.got))
	}
}
