package sim

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// ipsecOf is what a PoP has seen of the client's association.
func ipsecOf(t testing.TB, p *PoP) report.IPsec {
	t.Helper()
	for _, s := range p.Report().Sessions.List {
		if s.IPsec != nil && s.Client.Addr() == addrClient {
			return *s.IPsec
		}
	}
	t.Fatalf("%s has seen no IPsec", p.Report().Name)
	return report.IPsec{}
}

// truth counts the ESP packets that a stretch was given and those that came.
type truth struct{ sent, came int }

func (a truth) loss() float64 { return 1 - float64(a.came)/float64(a.sent) }

// within reports whether a measured share is the true one, by 0.2 percentage
// points or two standard deviations of so many packets.
func within(measured float64, a truth) bool {
	p := a.loss()
	return math.Abs(measured-p) <= max(0.002, 2*math.Sqrt(p*(1-p)/float64(a.sent)))
}

// Loss on each stretch, each way, is told apart by sequence numbers alone, and
// it is what the network did: counted by the network itself.
func TestLossIsFoundOnTheStretchWhereItIs(t *testing.T) {
	for name, c := range map[string]struct {
		access, crossing, far float64
		repair                snapshot.RepairMode
	}{
		"before the first PoP":            {0.03, 0, 0, snapshot.Balanced},
		"between PoPs, without repair":    {0, 0.05, 0, snapshot.Off},
		"between PoPs, repaired":          {0.005, 0.05, 0.01, snapshot.Balanced},
		"everywhere, and nothing repairs": {0.01, 0.02, 0.04, snapshot.Off},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lossy := func(delay time.Duration, p float64) weather.Profile {
				return weather.Profile{Delay: delay, Jitter: delay / 8, Loss: weather.Loss{Random: p}}
			}
			w := newWorld3(t, 21, lossy(20*time.Millisecond, c.crossing), func(w *world3) { w.sh.Snapshot.Listeners[0].Repair = c.repair })
			w.Link(addrClient, addrSh, lossy(4*time.Millisecond, c.access))
			w.Link(addrEndpoint, addrSe, lossy(4*time.Millisecond, c.far))
			w.Run(2 * time.Second)
			w.answers = func(b []byte) []byte { return nil }
			// What each PoP takes in of ESP, and lets out, each number once.
			var there, back [2]truth
			w.Tap = func(from, to netip.AddrPort, data []byte) {
				switch {
				case !isESP(data):
				case from == client4500:
					there[0].sent++
				case from == endpoint4500:
					back[0].sent++
				case to == endpoint4500:
					there[1].came++
				case to == client4500:
					back[1].came++
				}
			}
			w.Arrived = func(from, to netip.AddrPort, data []byte) {
				switch {
				case !isESP(data):
				case from == client4500:
					there[0].came++
					there[1].sent++
				case from == endpoint4500:
					back[0].came++
					back[1].sent++
				}
			}
			w.client.Send(client4500, accelerated4500, ike(true, 0xaaaa, 0, 34, 8, 300)) // so that it is IPsec from the first packet on
			w.Run(100 * time.Millisecond)
			w.endpoint.Send(endpoint4500, egress4500, ike(true, 0xaaaa, 0xbbbb, 35, 0x20, 300))
			w.Run(100 * time.Millisecond)
			w.client.Send(client4500, accelerated4500, ike(true, 0xaaaa, 0xbbbb, 35, 8, 300))
			w.Run(100 * time.Millisecond)
			seq := uint32(0)
			const packets = 8000
			w.Every(2*time.Millisecond, func() bool {
				seq++
				w.client.Send(client4500, accelerated4500, esp(0x700, seq, 200))
				w.endpoint.Send(endpoint4500, egress4500, esp(0x900, seq, 200))
				return seq < packets
			})
			w.Run(packets*2*time.Millisecond + 2*time.Second)
			got := report.Stretches(ipsecOf(t, w.sh), ipsecOf(t, w.se))
			for i, want := range []truth{there[0], there[1], back[0], back[1]} {
				if !got[i].Known || !within(got[i].Loss, want) {
					t.Errorf("%s to %s: measured %.4f of %d, in truth %.4f of %d", got[i].From, got[i].To, got[i].Loss, got[i].Sent, want.loss(), want.sent)
				}
				t.Logf("%-8s to %-7s measured %.4f, in truth %.4f of %d", got[i].From, got[i].To, got[i].Loss, want.loss(), want.sent)
			}
		})
	}
}

func TestReorderingBeyondAReplayWindowIsSeenWhereItHappens(t *testing.T) {
	w := newWorld3(t, 22, calm, func(w *world3) { w.sh.Snapshot.Listeners[0].Order = snapshot.Unordered })
	w.Run(2 * time.Second)
	stop := w.flow(time.Hour) // proven, and one packet
	stop()
	// Every hundredth packet comes 40 places late, and every thousandth 70.
	var order []uint32
	held := map[int]uint32{}
	for seq := uint32(1); seq <= 3000; seq++ {
		switch at := len(order); {
		case seq%1000 == 500:
			held[at+70] = seq
		case seq%100 == 50:
			held[at+40] = seq
		default:
			order = append(order, seq)
		}
		if late, ok := held[len(order)]; ok {
			order = append(order, late)
		}
	}
	for _, seq := range order {
		w.client.Send(client4500, accelerated4500, esp(0x701, seq, 100))
		w.Run(time.Millisecond)
	}
	w.Run(time.Second)
	at := ipsecOf(t, w.sh).ToEndpoint.ESP
	if at.Lost != 0 || at.Outside32 != 33 || at.Outside64 != 3 || at.Reordered != 33 || at.LongestGap != 1 {
		t.Errorf("%+v", at)
	}
}

func isESP(data []byte) bool { return len(data) >= 8 && binary.BigEndian.Uint32(data) != 0 }

// Keys are renewed a hundred times under traffic, each end in turn, and the egress
// PoP is killed on the way: nothing is lost but what was under way then, nothing is
// told to begin anew, and each renewal is counted.
func TestAHundredRenewalsOfKeysLoseNothing(t *testing.T) {
	w := newWorld3(t, 23, calm)
	w.Run(2 * time.Second)
	w.answers = func(b []byte) []byte {
		if isESP(b) {
			return b
		}
		answer := append([]byte(nil), b...)
		answer[4+19] = 0x20
		return answer
	}
	id := uint32(0)
	request := func(exchange byte) {
		id++
		b := ike(true, 0xaaaa, 0xbbbb, exchange, 8, 200)
		binary.BigEndian.PutUint32(b[4+20:], id)
		w.client.Send(client4500, accelerated4500, b)
	}
	for _, exchange := range []byte{35, 37, 37} {
		request(exchange)
		w.Run(200 * time.Millisecond)
	}
	w.atEndpoint, w.atClient = nil, nil
	const perSA, renewals = 20, 100
	sent := 0
	for sa := range uint32(renewals + 1) {
		if sa > 0 {
			request(36)
		}
		if sa == renewals/2 {
			w.Run(100 * time.Millisecond) // nothing is under way
			w.se.Kill()
			if err := w.se.Start(); err != nil {
				t.Fatal(err)
			}
			w.Run(2 * time.Second)
		}
		for seq := range uint32(perSA) {
			w.client.Send(client4500, accelerated4500, esp(0x1000+sa, seq+1, 200))
			sent++
			w.Run(10 * time.Millisecond)
		}
	}
	w.Run(time.Second)
	for name, list := range map[string][]datagram{"endpoint": w.atEndpoint, "client": w.atClient} {
		if got := len(spans(list)); got != sent {
			t.Errorf("%d of %d packets reached the %s", got, sent, name)
		}
	}
	for _, d := range w.atEndpoint {
		if d.from != egress4500 {
			t.Fatalf("the endpoint saw %v", d.from)
		}
	}
	in := ipsecOf(t, w.sh)
	if in.Rekeys != renewals || in.Exchanges["create"] != renewals || in.ToEndpoint.ESP.Lost != 0 || in.ToEndpoint.IKE.Retransmits != 0 || in.IKESAs != 1 {
		t.Errorf("the ingress has seen %+v", in)
	}
	if out := ipsecOf(t, w.se); out.ToEndpoint.ESP.Lost != 0 || out.ToEndpoint.ESP.Packets != uint64((renewals/2+1)*perSA) {
		t.Errorf("the egress has seen since its start %+v", out.ToEndpoint.ESP)
	}
}
