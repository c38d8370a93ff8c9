package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/session"
	"causeway/internal/snapshot"
)

// word is a Health frame of PoP 2, as if it had arrived.
func (p *pair) word(seq uint64, up bool, origin snapshot.Label, endpoint netip.Addr) {
	one := frame.EndpointHealth{Group: uint64(session.NameOf("seoul")), Address: endpoint, Up: up}
	p.ingress.hearHealth(p.now, &frame.Header{Kind: frame.Health, Origin: origin, Session: seq}, one.Append(nil))
}

func TestTheNewestWordOfTheRightPoPHolds(t *testing.T) {
	p := newPair(t, snapshot.Balanced)
	endpoint := p.endpoint.Addr()
	g := p.ingress.plan.groups[session.NameOf("seoul")]
	health := func() string {
		h, known := p.ingress.healthOf(p.now, g, endpoint)
		switch {
		case !known:
			return "unknown"
		case h.up:
			return "up"
		}
		return "down"
	}
	for _, step := range []struct {
		name   string
		seq    uint64
		up     bool
		origin snapshot.Label
		about  netip.Addr
		wait   time.Duration
		want   string
	}{
		{"a first word is taken", 10, false, 2, endpoint, 0, "down"},
		{"a newer one too", 20, true, 2, endpoint, 0, "up"},
		{"an older one, come late, is not", 15, false, 2, endpoint, 0, "up"},
		{"nor the same one again", 20, false, 2, endpoint, 0, "up"},
		{"nor that of a PoP that it is not behind", 99, false, 3, endpoint, 0, "up"},
		{"nor our own name's", 99, false, 1, endpoint, 0, "up"},
		{"an endpoint that the snapshot does not have is passed over", 30, false, 2, netip.MustParseAddr("192.0.2.99"), 0, "up"},
		{"a word holds for ten seconds", 40, false, 2, endpoint, 10 * time.Second, "down"},
		{"and not longer", 50, false, 2, endpoint, 11 * time.Second, "unknown"},
		{"after silence a PoP whose clock went back is believed", 5, false, 2, endpoint, 0, "down"},
	} {
		p.word(step.seq, step.up, step.origin, step.about)
		p.now = p.now.Add(step.wait)
		if got := health(); got != step.want {
			t.Errorf("%s: the endpoint is %s, want %s", step.name, got, step.want)
		}
	}
	if len(g.health) != 1 {
		t.Errorf("%d endpoints are remembered, the group has 1", len(g.health))
	}
}

func TestOnlyWhatChangedIsToldBetweenTheSeconds(t *testing.T) {
	p := newPair(t, snapshot.Balanced)
	s := p.egress.plan.snap
	var endpoints []snapshot.Endpoint
	for i := range byte(20) {
		endpoints = append(endpoints, snapshot.Endpoint{Address: netip.AddrFrom4([4]byte{198, 19, 1, 2 + i})})
	}
	s.EndpointGroups[0].Endpoints, s.EndpointGroups[0].Health = endpoints, &snapshot.HealthCheck{Probe: snapshot.ProbeICMP}
	if err := p.egress.Apply(p.now, s); err != nil {
		t.Fatal(err)
	}
	told := func(wait time.Duration) int {
		p.egress.healthBuf = p.egress.healthBuf[:0]
		for range wait / time.Millisecond {
			p.now = p.now.Add(time.Millisecond)
			p.egress.Due(p.now)
			p.egress.Flush(p.now)
			p.atEgress.reset()
		}
		n := 0
		for b := p.egress.healthBuf; len(b) > 0; n++ {
			_, b, _ = frame.ParseEndpointHealth(b)
		}
		return n
	}
	say := func(up bool, list ...snapshot.Endpoint) {
		for _, e := range list {
			if err := p.egress.SetEndpointHealth(p.now, "seoul", e.Address, up, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	told(10 * time.Millisecond)
	say(true, endpoints...)
	if n := told(healthSoon); n != 20 {
		t.Errorf("%d of 20 changes were told in one go", n)
	}
	say(false, endpoints[:3]...)
	say(true, endpoints[5:]...) // what they are already
	if n := told(healthSoon); n != 3 {
		t.Errorf("%d endpoints were told of, 3 have changed", n)
	}
	if n := told(healthEvery); n != 20 {
		t.Errorf("%d endpoints were told of over a second, want all 20", n)
	}
}

func TestADamagedHealthFrameIsCounted(t *testing.T) {
	p := newPair(t, snapshot.Balanced)
	p.ingress.hearHealth(p.now, &frame.Header{Kind: frame.Health, Origin: 2, Session: 1}, []byte{1, 2, 3})
	if p.ingress.drops[DropMalformed] != 1 {
		t.Errorf("drops %v", p.ingress.drops.Map())
	}
}

func TestHealthOfWhatIsNotOursIsRefused(t *testing.T) {
	p := newPair(t, snapshot.Balanced)
	for name, err := range map[string]error{
		"a group that leaves elsewhere": p.ingress.SetEndpointHealth(p.now, "seoul", p.endpoint.Addr(), true, 0),
		"a group that is not there":     p.egress.SetEndpointHealth(p.now, "busan", p.endpoint.Addr(), true, 0),
		"an endpoint that is not there": p.egress.SetEndpointHealth(p.now, "seoul", netip.MustParseAddr("192.0.2.99"), true, 0),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := p.egress.SetEndpointHealth(p.now, "seoul", p.endpoint.Addr(), true, 0); err != nil {
		t.Error(err)
	}
}

func TestSharesOfClientsAreEvenAndOnlyGrow(t *testing.T) {
	const clients = 20000
	g := group{name: session.NameOf("seoul")}
	var before [clients]bool
	for _, percentage := range []int{0, 1, 25, 50, 99, 100} {
		g.TrafficPercentage = &percentage
		taken := 0
		for i := range clients {
			takes := g.takes(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
			if before[i] && !takes {
				t.Fatalf("client %d leaves the group when it takes more", i)
			}
			if before[i] = takes; takes {
				taken++
			}
		}
		if want := clients * percentage / 100; taken < want-clients/100 || taken > want+clients/100 {
			t.Errorf("%d of %d clients at %d %%", taken, clients, percentage)
		}
	}
}
