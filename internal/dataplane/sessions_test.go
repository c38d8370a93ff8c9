package dataplane

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"causeway/internal/dataplane/frame"
	"causeway/internal/dataplane/session"
	"causeway/internal/snapshot"
)

func TestATunnelIsCarriedBothWaysUnderTheClientsPort(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	if egress != port(r.se.addr, 500) {
		t.Errorf("the client left as %v", egress)
	}
	r.mustReach(client, egress)
	for _, p := range []*rigPoP{r.sh, r.se} {
		if all, confirmed := p.engine.table.Len(); all != 1 || confirmed != 1 {
			t.Errorf("%s: %d sessions, %d confirmed", p.name, all, confirmed)
		}
	}
}

func TestTwoClientsWithOnePortGetPortsOfTheirOwn(t *testing.T) {
	r := newRig(t, nil)
	seen := map[netip.AddrPort]netip.AddrPort{}
	a := clientIP
	for range 20 {
		a = a.Next()
		client := port(a, 500)
		egress := r.tunnel(client)
		if other, taken := seen[egress]; taken {
			t.Fatalf("%v and %v both leave as %v", other, client, egress)
		}
		seen[egress] = client
	}
	for egress, client := range seen {
		r.mustReach(client, egress)
	}
}

// A session is proven and kept by IKE that shows the client receives; what a
// stranger can make an endpoint answer keeps nothing.
func TestAnAnsweredStrangerIsNotKept(t *testing.T) {
	r := newRig(t, func(r *rig) { r.sh.snap.Limits.Unconfirmed, r.se.snap.Limits.Unconfirmed = 16, 16 })
	real := port(clientIP, 500)
	egress := r.tunnel(real)
	for n := range 500 {
		from := port(netip.AddrFrom4([4]byte{100, 64, byte(n >> 8), byte(n)}), 500)
		out := r.send(from, port(r.sh.addr, 500), ikeMessage(uint64(n+1), 0, 34, 8))
		if len(out) != 1 {
			t.Fatalf("number %d reached %v; drops %v", n, out, r.se.engine.drops.Map())
		}
		r.send(out[0].to, out[0].from, ikeMessage(uint64(n+1), 99, 34, 0x20))
		if n%16 == 15 { // so many may be half-open, and the endpoint gives them up
			r.run(31 * time.Second)
			r.mustReach(real, egress)
		}
	}
	for _, p := range []*rigPoP{r.sh, r.se} {
		if all, confirmed := p.engine.table.Len(); confirmed != 1 || all > 17 {
			t.Errorf("%s: %d sessions, %d confirmed", p.name, all, confirmed)
		}
	}
	r.mustReach(real, egress)
	if r.se.opened > 25 {
		t.Errorf("%d sockets are open", r.se.opened)
	}
}

// Who has not shown that it receives gets at most three bytes for each it sent,
// if the endpoint speaks IPsec: anything but IKE from it counts as an exchange.
func TestAmplificationIsBounded(t *testing.T) {
	for seed := range uint64(30) {
		r := newRig(t, nil)
		rng := rand.New(rand.NewPCG(seed, 9))
		in, out := map[netip.Addr]int{}, map[netip.Addr]int{}
		var answerTo []parcel
		count := func(list []parcel) {
			for _, p := range list {
				if p.from.Addr() == r.sh.addr {
					out[p.to.Addr()] += len(p.data)
				} else {
					answerTo = append(answerTo, p)
				}
			}
		}
		for range 300 {
			victim := netip.AddrFrom4([4]byte{100, 64, 0, byte(rng.IntN(4))})
			switch rng.IntN(3) {
			case 0, 1: // the sender never sees an answer: it only guesses
				p := [...]uint16{500, 4500}[rng.IntN(2)]
				payload := ikeMessage(rng.Uint64()|1, []uint64{0, rng.Uint64()}[rng.IntN(2)], byte(34+rng.IntN(4)), 8)
				switch rng.IntN(4) {
				case 0:
					payload = make([]byte, 1+rng.IntN(200))
				case 1:
					payload = espPacket(uint32(1000+rng.IntN(3)), rng.Uint32N(100), 20+rng.IntN(100))
				case 2:
					payload = []byte{0xff}
				}
				if p == 4500 && len(payload) == 72 {
					payload = append(make([]byte, 4), payload...)
				}
				in[victim] += len(payload)
				count(r.send(port(victim, uint16(1024+rng.IntN(3))), port(r.sh.addr, p), payload))
			case 2: // the endpoint answers with much
				if len(answerTo) == 0 {
					continue
				}
				to := answerTo[rng.IntN(len(answerTo))]
				if r.at[to.from] == nil {
					continue
				}
				answer := ikeMessage(rng.Uint64()|1, rng.Uint64()|1, 34, 0x20)
				if len(to.data) >= 8 && to.data[7] != 0 { // in answer to what it was asked
					copy(answer, to.data[:8])
				}
				if to.to.Port() == 4500 {
					answer = append(make([]byte, 4), answer...)
				}
				answer = append(answer, make([]byte, rng.IntN(3000))...)
				count(r.send(to.to, to.from, answer))
			}
			r.run(time.Duration(rng.IntN(20)) * time.Millisecond)
			for a, n := range out {
				if n > 3*in[a] {
					t.Fatalf("seed %d: %v sent %d bytes and got %d", seed, a, in[a], n)
				}
			}
		}
	}
}

func TestAPrefixThatIsFullLeaksNothing(t *testing.T) {
	// The egress is here: each session takes a port.
	r := newRig(t, func(r *rig) {
		r.sh.snap.EndpointGroups[0].PoP = "sh"
		r.sh.snap.EndpointGroups[0].EgressIP.Bind = netip.MustParseAddr("203.0.113.11")
		r.sh.snap.Limits.SessionsPerPrefix = 3
	})
	before := r.sh.opened
	for p := range uint16(500) {
		r.send(port(clientIP, 20000+p), port(r.sh.addr, 500), []byte("hello"))
	}
	if n := r.sh.opened - before; n != 3 || r.sh.sessions() != 3 {
		t.Errorf("%d sockets for %d sessions, want 3", n, r.sh.sessions())
	}
	for s := range r.sh.engine.sockets.all() {
		if !s.fixed && s.listener == nil && s.use == Edge && s.egress != 1 {
			t.Errorf("%v is held by %d sessions", s.addr, s.egress)
		}
	}
}

func TestWhatLeavesWhereItEnteredIsNotMixedUp(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.sh.snap.EndpointGroups[0].PoP = "sh"
		r.sh.snap.EndpointGroups[0].EgressIP.Bind = netip.MustParseAddr("203.0.113.11")
	})
	client, acc := port(clientIP, 4500), port(r.sh.addr, 4500)
	endpoint := port(endpointIP, 4500)
	egress := r.send(client, acc, espPacket(700, 1, 100))[0].from
	for seq := range uint32(50) { // holes both ways
		if out := r.send(client, acc, espPacket(700, 2+3*seq, 100)); len(out) != 1 || out[0].to != endpoint || out[0].from != egress {
			t.Fatalf("to the endpoint: %v", out)
		}
		if out := r.send(endpoint, egress, espPacket(800, 1+5*seq, 100)); len(out) != 1 || out[0].to != client || out[0].from != acc {
			t.Fatalf("to the client: %v", out)
		}
	}
	r.got = nil
	r.run(time.Second)
	if len(r.got) != 0 {
		t.Errorf("later came %v", r.got)
	}
}

func TestAnEndpointReachesTheClientThatIsProvenAndNoStranger(t *testing.T) {
	call := append(make([]byte, 4), ikeMessage(50, 0, 34, 8)...)
	mustReach := func(t *testing.T, r *rig, client netip.Addr) {
		t.Helper()
		out := r.send(port(endpointIP, 4500), port(r.se.addr, 4500), call)
		if len(out) != 1 || out[0].to != port(client, 4500) || out[0].from != port(r.sh.addr, 4500) {
			t.Errorf("the endpoint's call reached %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
		}
	}
	someone := netip.MustParseAddr("198.18.66.66")
	t.Run("who has sent a packet to the same port", func(t *testing.T) {
		r := newRig(t, nil)
		r.tunnel(port(clientIP, 500))
		r.knock(someone)
		mustReach(t, r, clientIP)
	})
	t.Run("who came first, and with another port", func(t *testing.T) {
		r := newRig(t, nil)
		r.knock(someone)
		r.send(port(someone, 500), port(r.sh.addr, 500), ikeMessage(5, 0, 34, 8))
		r.tunnel(port(clientIP, 500))
		mustReach(t, r, clientIP)
	})
	t.Run("who receives at its address, where another has a tunnel", func(t *testing.T) {
		r := newRig(t, nil)
		r.tunnel(port(clientIP, 500))
		egress := r.send(port(clientIP, 40000), port(r.sh.addr, 4500), espPacket(700, 1, 100))[0].from
		r.send(port(endpointIP, 4500), egress, espPacket(800, 1, 100))
		r.knock(someone)
		r.tunnel(port(someone, 500))
		mustReach(t, r, clientIP)
	})
	t.Run("the newest of two that have tunnels", func(t *testing.T) {
		r := newRig(t, nil)
		for _, c := range []netip.Addr{someone, clientIP} {
			r.tunnel(port(c, 500))
			egress := r.send(port(c, 40000), port(r.sh.addr, 4500), espPacket(700, 1, 100))[0].from
			r.send(port(endpointIP, 4500), egress, espPacket(800, 1, 100))
		}
		mustReach(t, r, clientIP)
	})
}

func TestAConfiguredEndpointBegins(t *testing.T) {
	r := newRig(t, func(r *rig) {
		for _, p := range []*rigPoP{r.sh, r.se} {
			p.snap.EndpointGroups[0].Initiate = []snapshot.Initiate{{Endpoint: endpointIP, Client: clientIP, Ingress: "sh", Accelerated: r.sh.addr}}
		}
	})
	client, endpoint := port(clientIP, 500), port(endpointIP, 500)
	out := r.send(endpoint, port(r.se.addr, 500), ikeMessage(50, 0, 34, 8))
	if len(out) != 1 || out[0].to != client || out[0].from != port(r.sh.addr, 500) {
		t.Fatalf("the endpoint's call reached %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
	if out := r.send(client, port(r.sh.addr, 500), ikeMessage(50, 51, 34, 0x20)); len(out) != 1 || out[0].to != endpoint || out[0].from != port(r.se.addr, 500) {
		t.Fatalf("the client's answer reached %v", out)
	}
	r.mustReach(client, port(r.se.addr, 500))
	for _, p := range []*rigPoP{r.sh, r.se} {
		if n := p.sessions(); n != 1 {
			t.Errorf("%s has %d sessions", p.name, n)
		}
	}
}

func TestBothEndsMayBeginAtOnce(t *testing.T) {
	r := newRig(t, func(r *rig) {
		for _, p := range []*rigPoP{r.sh, r.se} {
			p.snap.EndpointGroups[0].Initiate = []snapshot.Initiate{{Endpoint: endpointIP, Client: clientIP, Ingress: "sh", Accelerated: r.sh.addr}}
		}
	})
	client, endpoint := port(clientIP, 500), port(endpointIP, 500)
	// Both first packets are on their way before either arrives.
	r.deliver(r.at[port(r.sh.addr, 500)], parcel{from: client, data: ikeMessage(1, 0, 34, 8)})
	r.deliver(r.at[port(r.se.addr, 500)], parcel{from: endpoint, data: ikeMessage(2, 0, 34, 8)})
	r.got = nil
	r.carry()
	if len(r.got) != 2 {
		t.Fatalf("%v arrived", r.got)
	}
	for range 5 {
		r.mustReach(client, port(r.se.addr, 500))
	}
	for _, p := range []*rigPoP{r.sh, r.se} {
		if n := p.sessions(); n != 1 || p.drops("unknown_session") > 0 {
			t.Errorf("%s has %d sessions, drops %v", p.name, n, p.engine.drops.Map())
		}
	}
}

func TestAnEndpointThatMovesKeepsItsProvenClient(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	moved := port(endpointIP, 61000) // the endpoint's NAT gave it another port
	out := r.send(moved, egress, ikeMessage(60, 61, 37, 0x20))
	if len(out) != 1 || out[0].to != client {
		t.Fatalf("the moved endpoint reached %v; drops %v, %v", out, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
	}
	if out := r.send(client, port(r.sh.addr, 500), []byte("hello")); len(out) != 1 || out[0].to != moved || out[0].from != egress {
		t.Fatalf("the client reached %v", out)
	}
	if n := r.sh.sessions() + r.se.sessions(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	if a := r.sh.engine.table.Association(1, clientIP, session.NameOf("seoul")); a == nil || !a.Proven() {
		t.Error("the client's proof was lost")
	}
}

func TestEitherEndMayForgetEverything(t *testing.T) {
	for _, victim := range []string{"sh", "se", "both"} {
		t.Run(victim, func(t *testing.T) {
			r := newRig(t, nil)
			client := port(clientIP, 500)
			egress := r.tunnel(client)
			for round := range 4 {
				for _, p := range []*rigPoP{r.sh, r.se} {
					if victim == p.name || victim == "both" {
						p.engine.Close()
						p.start()
					}
				}
				r.run(time.Second)
				// Requests and answers, as IKE does: at most the first few are lost.
				reached := 0
				for range 6 {
					out := r.send(client, port(r.sh.addr, 500), ikeMessage(9, 10, 37, 8))
					for _, p := range out {
						if p.from != egress {
							t.Fatalf("round %d: the client leaves as %v, was %v", round, p.from, egress)
						}
						for _, back := range r.send(p.to, p.from, ikeMessage(9, 10, 37, 0x20)) {
							if back.to != client {
								t.Fatalf("round %d: an answer reached %v", round, back.to)
							}
							reached++
						}
					}
				}
				if reached < 4 {
					t.Errorf("round %d: %d of 6 answers came; drops %v, %v", round, reached, r.sh.engine.drops.Map(), r.se.engine.drops.Map())
				}
			}
		})
	}
}

func TestSessionsThatTheSnapshotDoesNotAllowAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*frame.Description){
		"a group that there is not":       func(d *frame.Description) { d.Group = "busan" },
		"no group":                        func(d *frame.Description) { d.Group = "" },
		"an endpoint that is in no group": func(d *frame.Description) { d.Endpoint = netip.MustParseAddrPort("198.19.1.3:4500") },
		"the PoP itself":                  func(d *frame.Description) { d.Endpoint = netip.MustParseAddrPort("127.0.0.1:22") },
		"a cloud's metadata":              func(d *frame.Description) { d.Endpoint = netip.MustParseAddrPort("169.254.169.254:80") },
		"an IPv6 spelling of an address":  func(d *frame.Description) { d.Endpoint = netip.MustParseAddrPort("[::1]:4500") },
		"another PoP's name as ingress":   func(d *frame.Description) { d.Ingress = 3 },
		"our own name as ingress":         func(d *frame.Description) { d.Ingress = 2 },
		"another PoP as egress":           func(d *frame.Description) { d.EgressPoP = 3 },
		"nobody as egress":                func(d *frame.Description) { d.EgressPoP = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.got = nil
			r.open(r.sh, r.se, spoil)
			if len(r.got) != 0 || r.se.sessions() != 0 || r.se.drops("refused_session") != 1 {
				t.Errorf("%v left, %d sessions, drops %v", r.got, r.se.sessions(), r.se.engine.drops.Map())
			}
		})
	}
	t.Run("a client that its listener does not have", func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.sh.snap.Listeners[0].Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		r.open(r.se, r.sh, func(*frame.Description) {})
		if r.sh.sessions() != 0 || r.sh.drops("refused_session") != 1 {
			t.Errorf("%d sessions, drops %v", r.sh.sessions(), r.sh.engine.drops.Map())
		}
	})
	t.Run("a client that nobody vouches for", func(t *testing.T) {
		r := newRig(t, nil)
		r.open(r.se, r.sh, func(*frame.Description) {})
		if r.sh.sessions() != 0 || r.sh.drops("refused_session") != 1 {
			t.Errorf("%d sessions, drops %v", r.sh.sessions(), r.sh.engine.drops.Map())
		}
	})
}

func TestARefusedDescriptionHarmsNoSession(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	s := r.se.engine.table.ByEgress(egress, port(endpointIP, 500))
	for name, h := range map[string]frame.Header{
		"a third PoP that names the session":       {Kind: frame.Open, Origin: 3, Session: s.ID},
		"a third PoP under another name":           {Kind: frame.Open, Origin: 3, Session: 12345},
		"a third PoP's data":                       {Kind: frame.Data, Origin: 3, Session: s.ID},
		"a third PoP that says it is over":         {Kind: frame.Close, Origin: 3, Session: s.ID},
		"a third PoP that does not know it":        {Kind: frame.Unknown, Origin: 3, Session: s.ID},
		"a third PoP that says it is elsewhere":    {Kind: frame.Opened, Origin: 3, Session: s.ID},
		"the ingress, with an address not its own": {Kind: frame.Open, Origin: 1, Session: 777},
	} {
		t.Run(name, func(t *testing.T) {
			h.Hops = 4
			d := frame.Description{
				Client: client, Accelerated: port(r.sh.addr, 500), Endpoint: netip.MustParseAddrPort("198.19.1.77:500"), Egress: port(r.se.addr, 9),
				Ingress: 1, EgressPoP: 2, Idle: time.Hour, Group: "seoul", Listener: "vpn",
			}
			r.got = nil
			for _, to := range []*rigPoP{r.se, r.sh} {
				b := h.Append(nil)
				if h.Kind == frame.Open || h.Kind == frame.Opened {
					b = d.Append(b)
				}
				r.tk.frame(to, append(b, "payload"...))
			}
			if len(r.got) != 0 {
				t.Errorf("%v left", r.got)
			}
			r.mustReach(client, egress)
		})
	}
}

func TestChangedSettingsReachTheEgress(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	r.sh.apply(func(s *snapshot.Snapshot) {
		s.Listeners[0].IdleTimeout, s.Listeners[0].ReplayWindow, s.Listeners[0].Order, s.Listeners[0].Repair = time.Hour, 1024, snapshot.Windowed, snapshot.Latency
	})
	r.mustReach(client, egress)
	s := r.se.engine.table.ByEgress(egress, port(endpointIP, 500))
	if s.Idle != time.Hour || s.Window != 1024 || s.Order != 1 || s.Mode != 1 {
		t.Errorf("the egress has idle %v, window %d, order %d, mode %d", s.Idle, s.Window, s.Order, s.Mode)
	}
}

func TestAReloadThatChangesNothingTouchesNoSession(t *testing.T) {
	r := newRig(t, nil)
	client, acc := port(clientIP, 4500), port(r.sh.addr, 4500)
	r.tunnel(port(clientIP, 500))
	egress := r.send(client, acc, espPacket(700, 1, 100))[0].from
	for seq := range uint32(20) {
		r.send(client, acc, espPacket(700, seq+2, 100))
		r.send(port(endpointIP, 4500), egress, espPacket(800, seq+1, 100))
	}
	// Over a relay comes a packet before the one that it has to wait for.
	h := frame.Header{Flags: frame.ToClient, Hops: 4, Origin: 2, Session: r.sh.engine.table.ByFlow(1, client, acc).ID}
	r.got = nil
	r.tk.frame(r.sh, append(h.Append(nil), espPacket(800, 22, 100)...))
	if len(r.got) != 0 {
		t.Fatal("it did not wait")
	}
	r.sh.apply(func(*snapshot.Snapshot) {})
	r.se.apply(func(*snapshot.Snapshot) {})
	r.got = nil
	r.run(time.Second)
	if len(r.got) != 1 || r.got[0].to != client {
		t.Errorf("what waited over the reload: %v came", r.got)
	}
	if s := r.sh.engine.table.ByFlow(1, client, acc); s == nil || !s.PeerKnows() {
		t.Error("the session was told anew")
	}
}

func TestADrainedEndpointKeepsItsClientsWhole(t *testing.T) {
	other := netip.MustParseAddr("198.19.1.3")
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	zero := 0
	for _, p := range []*rigPoP{r.se, r.sh, r.tk} {
		p.apply(func(s *snapshot.Snapshot) {
			s.EndpointGroups[0].Endpoints = []snapshot.Endpoint{{Address: endpointIP, Weight: &zero}, {Address: other}}
		})
	}
	r.mustReach(client, egress)
	// The client goes on to port 4500, as IKE does when there is a NAT.
	if out := r.knock(clientIP); len(out) != 1 || out[0].to.Addr() != endpointIP {
		t.Errorf("the client's second flow went to %v", out)
	}
	if out := r.knock(netip.MustParseAddr("198.18.200.1")); len(out) != 1 || out[0].to.Addr() != other {
		t.Errorf("a new client went to %v", out)
	}
}

func TestRemovingAnEndpointEndsItsSessionsAtBothEnds(t *testing.T) {
	r := newRig(t, func(r *rig) {
		for _, p := range []*rigPoP{r.sh, r.se, r.tk} {
			p.snap.EndpointGroups[0].Endpoints = append(p.snap.EndpointGroups[0].Endpoints, snapshot.Endpoint{Address: endpointIP.Next()})
		}
	})
	var gone, kept int
	for n := range byte(20) {
		if out := r.knock(netip.AddrFrom4([4]byte{198, 18, n, 1})); out[0].to.Addr() == endpointIP {
			gone++
		} else {
			kept++
		}
	}
	if gone == 0 || kept == 0 {
		t.Fatalf("%d and %d clients", gone, kept)
	}
	r.sh.apply(func(s *snapshot.Snapshot) { s.EndpointGroups[0].Endpoints = s.EndpointGroups[0].Endpoints[1:] })
	r.carry()
	r.run(100 * time.Millisecond)
	if r.sh.sessions() != kept || r.se.sessions() != kept {
		t.Errorf("%d and %d sessions are left, want %d", r.sh.sessions(), r.se.sessions(), kept)
	}
	for i, e := range []*Engine{r.sh.engine, r.se.engine} {
		e.table.All(func(s *session.Session) bool {
			if s.Endpoint.Addr() == endpointIP {
				t.Errorf("engine %d has %v", i, s.Client())
			}
			return true
		})
	}
	for s := range r.se.engine.sockets.all() {
		if s.egress < 0 {
			t.Errorf("%v is held by %d sessions", s.addr, s.egress)
		}
	}
}

func TestIdleSessionsEndAndGiveTheirPortsBack(t *testing.T) {
	r := newRig(t, func(r *rig) { r.sh.snap.Listeners[0].IdleTimeout = 10 * time.Second })
	before := r.se.opened
	for n := range byte(10) {
		r.tunnel(port(netip.AddrFrom4([4]byte{198, 18, n, 1}), 500))
	}
	if r.se.opened == before {
		t.Fatal("no ports were opened")
	}
	r.run(12 * time.Second)
	if r.sh.sessions() != 0 || r.se.sessions() != 0 || r.se.opened != before {
		t.Errorf("%d and %d sessions, %d sockets more than before", r.sh.sessions(), r.se.sessions(), r.se.opened-before)
	}
}

// Strangers send whatever they like to every address: nothing leaves but to
// endpoints that a listener names, and to who sent.
func TestNobodyCanMakeAPoPSendElsewhere(t *testing.T) {
	for seed := range uint64(10) {
		r := newRig(t, nil)
		rng := rand.New(rand.NewPCG(seed, 1))
		var targets []netip.AddrPort
		for a := range r.at {
			targets = append(targets, a)
		}
		for range 2000 {
			from := port(netip.AddrFrom4([4]byte{100, 64, 1, byte(rng.IntN(5))}), uint16(1+rng.IntN(3)))
			if rng.IntN(10) == 0 {
				from = port(endpointIP, uint16(500+rng.IntN(2)*4000))
			}
			to := targets[rng.IntN(len(targets))]
			if from.Addr() == endpointIP && to.Addr() == r.sh.addr {
				continue // it would be a client
			}
			b := make([]byte, rng.IntN(300))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			if len(b) > 4 && rng.IntN(2) == 0 {
				b[0], b[2], b[3] = byte(rng.IntN(6)), 0, 0
			}
			for _, p := range r.send(from, to, b) {
				if p.to != from && (p.to.Addr() != endpointIP || p.from.Addr() != r.se.addr) {
					t.Fatalf("seed %d: %x from %v to %v made %v leave for %v", seed, b, from, to, p.from, p.to)
				}
				if to.Port() == 4600 {
					t.Fatalf("seed %d: a stranger's %x to the overlay was answered", seed, b)
				}
			}
			r.run(time.Duration(rng.IntN(2)) * 10 * time.Millisecond)
		}
	}
}

// Not everything on a port but 500 is ESP, though anything has the shape of it.
func TestUDPThatIsNotESPLosesNothing(t *testing.T) {
	r := newRig(t, nil)
	client, acc := port(clientIP, 45000), port(r.sh.addr, 4500)
	same := []byte("E123456789, all of them alike and numbered by nobody")
	for n := range 200 {
		out := r.send(client, acc, same)
		if len(out) != 1 {
			t.Fatalf("number %d: %d arrived; drops %v %v", n, len(out), r.sh.engine.drops.Map(), r.se.engine.drops.Map())
		}
		if out := r.send(out[0].to, out[0].from, same); len(out) != 1 {
			t.Fatalf("answer %d: %d arrived; drops %v %v", n, len(out), r.sh.engine.drops.Map(), r.se.engine.drops.Map())
		}
		r.run(10 * time.Millisecond)
	}
}

// A peer that describes a session by a name that it once had knows no other.
func TestASessionIsCalledByTheNameItWasDescribedBy(t *testing.T) {
	r := newRig(t, nil)
	client := port(clientIP, 500)
	egress := r.tunnel(client)
	s := r.se.engine.table.ByEgress(egress, port(endpointIP, 500))
	old := s.ID
	r.se.engine.table.Rename(s, 4711)
	d := r.sh.engine.describe(r.sh.engine.table.ByFlow(1, client, port(r.sh.addr, 500)))
	h := frame.Header{Kind: frame.Open, Hops: 4, Origin: 1, Session: old}
	r.sh.frame(r.se, d.Append(h.Append(nil)))
	if s.ID != old || !s.PeerKnows() {
		t.Errorf("it is called %d, the ingress calls it %d", s.ID, old)
	}
	r.mustReach(client, egress)
}

func TestNobodyIsTakenToHaveRestartedWhoHasNot(t *testing.T) {
	r := newRig(t, nil)
	for range 4 { // outages, after which both ends begin handshakes
		r.lose = func(parcel) bool { return true }
		r.run(3 * time.Second)
		r.lose = nil
		r.run(2 * time.Second)
	}
	r.run(150 * time.Second)
	r.sh.apply(func(s *snapshot.Snapshot) { s.Version++ })
	r.run(time.Second)
	for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
		if log := p.log.String(); strings.Contains(log, "restarted") {
			t.Errorf("%s:\n%s", p.name, log)
		}
	}
}

func TestDSCPAndECNAreCarriedAcross(t *testing.T) {
	r := newRig(t, nil)
	client, acc := port(clientIP, 500), port(r.sh.addr, 500)
	egress := r.tunnel(client)
	for _, tos := range []uint8{0, 0xb8, 0x01, 0x02, 0x03, 0xff} {
		r.got = nil
		r.deliver(r.at[acc], parcel{from: client, data: []byte("there"), tos: tos})
		r.carry()
		r.deliver(r.at[egress], parcel{from: port(endpointIP, 500), data: []byte("back"), tos: ^tos})
		r.carry()
		if len(r.got) != 2 || r.got[0].tos != tos || r.got[1].tos != ^tos {
			t.Errorf("sent with %#x and %#x, came %+v", tos, ^tos, r.got)
		}
	}
}

func TestAnEndpointBeginsWhereItsClientEnters(t *testing.T) {
	here := netip.MustParseAddr("203.0.113.11")
	r := newRig(t, func(r *rig) {
		g := &r.sh.snap.EndpointGroups[0]
		g.PoP, g.EgressIP.Bind = "sh", here
		g.Initiate = []snapshot.Initiate{{Endpoint: endpointIP, Client: clientIP, Ingress: "sh", Accelerated: r.sh.addr}}
	})
	client, acc, endpoint := port(clientIP, 500), port(r.sh.addr, 500), port(endpointIP, 500)
	out := r.send(endpoint, port(here, 500), ikeMessage(50, 0, 34, 8))
	if len(out) != 1 || out[0].to != client || out[0].from != acc {
		t.Fatalf("the call reached %v; drops %v", out, r.sh.engine.drops.Map())
	}
	if out := r.send(client, acc, ikeMessage(50, 51, 34, 0x20)); len(out) != 1 || out[0].to != endpoint || out[0].from != port(here, 500) {
		t.Fatalf("the answer reached %v; drops %v", out, r.sh.engine.drops.Map())
	}
	if n := r.sh.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// Sessions are pushed out, closed and made anew while their packets wait for
// order, over a bad network.
func TestManyClientsComeAndGo(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 3))
		r := newRig(t, func(r *rig) {
			for _, p := range []*rigPoP{r.sh, r.se} {
				p.snap.Limits = snapshot.Limits{Sessions: 20, Unconfirmed: 16, SessionsPerPrefix: 12}
			}
			r.sh.snap.Listeners[0].IdleTimeout = 10 * time.Second
		})
		r.lose = func(p parcel) bool { return p.to.Port() == 4600 && rng.IntN(4) == 0 }
		seqs := map[netip.AddrPort]uint32{}
		var open []parcel
		for range 6000 {
			client := port(netip.AddrFrom4([4]byte{198, 18, byte(rng.IntN(4)), byte(rng.IntN(20))}), 4500)
			seqs[client] += uint32(1 + rng.IntN(3))
			open = append(open, r.send(client, port(r.sh.addr, 4500), espPacket(uint32(1000+rng.IntN(2)), seqs[client], 20+rng.IntN(1800)))...)
			if len(open) > 0 {
				p := open[rng.IntN(len(open))]
				if r.at[p.from] != nil && p.from.Addr() == r.se.addr {
					seqs[p.from]++
					r.send(p.to, p.from, espPacket(3000, seqs[p.from], 100))
				}
				open = open[max(0, len(open)-50):]
			}
			if rng.IntN(4) == 0 {
				r.run(time.Duration(rng.IntN(30)) * time.Millisecond)
			}
			if rng.IntN(1000) == 0 {
				r.sh.apply(func(s *snapshot.Snapshot) { s.Listeners[0].ReplayWindow = 32 << rng.IntN(5) })
			}
			if all, confirmed := r.se.engine.table.Len(); confirmed > 20 || all-confirmed > 16 {
				t.Fatalf("%d sessions, %d confirmed", all, confirmed)
			}
		}
		for _, p := range []*rigPoP{r.sh, r.se} {
			p.mustBeSound()
		}
		r.lose = nil
		r.run(15 * time.Second)
		for _, p := range []*rigPoP{r.sh, r.se} {
			if n, w := p.sessions(), len(p.engine.waiting); n != 0 || w != 0 {
				t.Errorf("seed %d: %s has %d sessions, %d wait", seed, p.name, n, w)
			}
			p.mustBeSound()
		}
		if r.se.opened != 3 {
			t.Errorf("seed %d: open at the end: %v", seed, r.se.addresses())
		}
	}
}
