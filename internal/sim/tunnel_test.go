package sim

import (
	"bytes"
	"testing"
	"time"

	"causeway/internal/weather"
)

var calm = weather.Profile{Delay: 25 * time.Millisecond}

func TestAPacketCrossesAndItsAnswerComesBackFromTheAddressItWasSentTo(t *testing.T) {
	w := newWorld3(t, 1, calm)
	w.Run(2 * time.Second)
	w.client.Send(client500, accelerated500, []byte("hello, endpoint"))
	w.Run(time.Second)
	if len(w.atEndpoint) != 1 || w.atEndpoint[0].from != egress500 || string(w.atEndpoint[0].data) != "hello, endpoint" {
		t.Fatalf("endpoint got %v; drops %v %v", w.atEndpoint, w.sh.Report().Drops, w.se.Report().Drops)
	}
	if len(w.atClient) != 1 || w.atClient[0].from != accelerated500 || w.atClient[0].to != client500 {
		t.Fatalf("client got %v; drops %v %v", w.atClient, w.sh.Report().Drops, w.se.Report().Drops)
	}
}

func TestBothFlowsOfAClientLeaveFromOneAddressWithTheClientsPorts(t *testing.T) {
	w := newWorld3(t, 1, calm)
	w.Run(2 * time.Second)
	w.client.Send(client500, accelerated500, ike(false, 1, 0, 34, 8, 300))
	w.client.Send(client4500, accelerated4500, esp(7, 1, 100))
	w.Run(time.Second)
	if len(w.atEndpoint) != 2 || w.atEndpoint[0].from != egress500 || w.atEndpoint[1].from != egress4500 {
		t.Fatalf("endpoint saw %v", w.atEndpoint)
	}
}

func TestDatagramsOfEverySizeCrossUnchanged(t *testing.T) {
	w := newWorld3(t, 1, weather.Profile{Delay: 25 * time.Millisecond, MTU: 1500})
	w.Run(3 * time.Second)
	sizes := []int{1, 2, 20, 255, 1279, 1400, 1436, 1472, 1473, 3900, 9000, 30000, 65507}
	for i, n := range sizes {
		b := bytes.Repeat([]byte{byte(i + 1)}, n)
		w.client.Send(client4500, accelerated4500, b)
		w.Run(200 * time.Millisecond)
	}
	if len(w.atEndpoint) != len(sizes) {
		t.Fatalf("%d of %d arrived; drops %v %v", len(w.atEndpoint), len(sizes), w.sh.Report().Drops, w.se.Report().Drops)
	}
	for i, d := range w.atEndpoint {
		if !bytes.Equal(d.data, bytes.Repeat([]byte{byte(i + 1)}, sizes[i])) {
			t.Errorf("datagram of %d bytes arrived as %d bytes", sizes[i], len(d.data))
		}
	}
}

func TestAKilledPoPComesBackWithItsSessionsAndPorts(t *testing.T) {
	for _, victim := range []string{"ingress", "egress"} {
		t.Run(victim, func(t *testing.T) {
			w := newWorld3(t, 3, calm)
			w.Run(2 * time.Second)
			seq := uint32(0)
			w.Every(10*time.Millisecond, func() bool {
				seq++
				w.client.Send(client4500, accelerated4500, esp(7, seq, 200))
				return true
			})
			w.Run(3 * time.Second)
			p := w.sh
			if victim == "egress" {
				p = w.se
			}
			p.Kill()
			w.Run(200 * time.Millisecond)
			w.atEndpoint, w.atClient = nil, nil
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			start := time.Duration(w.Now)
			w.Run(2 * time.Second)
			if len(w.atClient) == 0 {
				t.Fatalf("nothing came back; drops %v %v", w.sh.Report().Drops, w.se.Report().Drops)
			}
			if gap := w.atClient[0].at - start; gap > time.Second {
				t.Errorf("traffic came back after %v, want within 1 s", gap)
			}
			for _, d := range w.atEndpoint {
				if d.from != egress4500 {
					t.Fatalf("egress address changed to %v", d.from)
				}
			}
			if got := p.Report().Sessions; got.Restored == 0 {
				t.Errorf("no session restored: %+v", got)
			}
		})
	}
}

func TestARouteOverARelayIsTakenWhenTheDirectWayDies(t *testing.T) {
	w := newWorld3(t, 4, calm)
	w.Run(2 * time.Second)
	seq := uint32(0)
	w.Every(10*time.Millisecond, func() bool {
		seq++
		w.client.Send(client4500, accelerated4500, esp(7, seq, 200))
		return true
	})
	w.Run(2 * time.Second)
	w.Cut(addrSh, addrSe, true)
	w.Run(time.Second)
	before := len(w.atEndpoint)
	w.Run(time.Second)
	if n := len(w.atEndpoint) - before; n < 95 {
		t.Fatalf("%d of 100 packets arrived a second after the direct way died; %+v", n, w.sh.Report().Routes)
	}
}

func TestAnEndpointReachesTheClientThatBelongedToIt(t *testing.T) {
	w := newWorld3(t, 5, calm)
	w.Run(2 * time.Second)
	w.answers = func(b []byte) []byte { return nil }
	// The client and the endpoint have a proven tunnel on port 500.
	w.client.Send(client500, accelerated500, ike(false, 0xaaaa, 0, 34, 8, 300))
	w.Run(100 * time.Millisecond)
	w.endpoint.Send(endpoint500, egress500, ike(false, 0xaaaa, 0xbbbb, 35, 0x20, 300))
	w.Run(100 * time.Millisecond)
	w.client.Send(client500, accelerated500, ike(false, 0xaaaa, 0xbbbb, 35, 8, 300))
	w.Run(100 * time.Millisecond)
	w.atClient = nil
	// Now the endpoint begins on a port that has no session yet.
	w.endpoint.Send(endpoint4500, egress4500, ike(true, 0xcccc, 0, 34, 8, 300))
	w.Run(time.Second)
	if len(w.atClient) != 1 || w.atClient[0].to != client4500 || w.atClient[0].from != accelerated4500 {
		t.Fatalf("client got %v; drops %v %v", w.atClient, w.sh.Report().Drops, w.se.Report().Drops)
	}
}

func TestAStrangerAtTheEgressIsNotCarried(t *testing.T) {
	w := newWorld3(t, 6, calm)
	w.Run(2 * time.Second)
	w.endpoint.Send(endpoint4500, egress4500, ike(true, 0xcccc, 0, 34, 8, 300))
	w.Run(time.Second)
	if len(w.atClient) != 0 || w.se.Report().Drops["stranger"] != 1 {
		t.Fatalf("client got %v, drops %v", w.atClient, w.se.Report().Drops)
	}
}

func TestSegmentsComeUpAtHalfTheDatagramsLostEachWay(t *testing.T) {
	late := 0
	const rounds = 20 // segment's own test makes thousands
	for seed := range uint64(rounds) {
		w := newWorld3(t, seed, weather.Profile{Delay: 40 * time.Millisecond, Loss: weather.Loss{Random: 0.5}})
		w.Run(3 * time.Second)
		for _, s := range w.sh.Report().Segments {
			if !s.Up {
				late++
			}
		}
	}
	if late > 1 {
		t.Errorf("%d of %d segments were not up after 3 s, want at most 1 %%", late, 2*rounds)
	}
}
