package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// throughTokyo gives Shanghai and Seoul a segment through Tokyo, and these ways to one another.
func throughTokyo(candidates ...[]string) func(*world3) {
	return func(w *world3) {
		w.tk.Snapshot.Passthroughs = []snapshot.Passthrough{{Local: "net", Port: 4700, Ends: [2]snapshot.End{
			{PoP: "sh1", Remote: overlayOf(addrSh)}, {PoP: "se1", Remote: overlayOf(addrSe)},
		}}}
		for p, to := range map[*PoP]string{w.sh: "se1", w.se: "sh1"} {
			s := &p.Snapshot
			for i := range s.Peers {
				if s.Peers[i].Name == to {
					s.Peers[i].Through = []snapshot.Through{{Relay: "tk1", Wires: []snapshot.Wire{{Local: "net", Remote: netip.AddrPortFrom(addrTk, 4700)}}}}
				}
			}
			for i := range s.Routes {
				if s.Routes[i].To == to {
					s.Routes[i].Candidates = candidates
				}
			}
		}
	}
}

// Where nothing is lost the relay is spared, where much is each leg is mended by itself,
// whatever is listed first.
func TestARelayOpensWhereThatMends(t *testing.T) {
	over, through := []string{"tk1"}, []string{"through:tk1"}
	for _, c := range []struct {
		loss float64
		want []string
	}{{0, through}, {0.05, over}} {
		for _, candidates := range [][][]string{{over, through}, {through, over}} {
			w := newWorld3(t, 1, weather.Profile{Delay: 20 * time.Millisecond, Loss: weather.Loss{Random: c.loss}}, throughTokyo(candidates...))
			w.Run(5 * time.Second)
			stop := w.flow(20 * time.Millisecond)
			w.Run(40 * time.Second)
			for p, to := range map[*PoP]string{w.sh: "se1", w.se: "sh1"} {
				if r := p.route(to); !slices.Equal(r.Chosen, c.want) || r.Switches > 3 {
					t.Errorf("%v lost, candidates %v: to %s %v after %d switches: %s", c.loss, candidates, to, r.Chosen, r.Switches, r.Reason)
				}
			}
			sent := stop()
			w.Run(time.Second)
			w.mustLoseNothing(sent)
		}
	}
}

// What a segment through a relay loses on either leg its ends mend.
func TestLossBeyondARelayIsMendedFromEndToEnd(t *testing.T) {
	changed := 0
	sealed := map[string]bool{}
	tap := func(from, to netip.AddrPort, data []byte) {
		switch {
		case to.Port() == 4700:
			sealed[string(data)] = true
		case from.Port() == 4700 && !sealed[string(data)]:
			changed++
		}
	}
	w := newWorld3(t, 3, weather.Profile{Delay: 10 * time.Millisecond, Loss: weather.Loss{Random: 0.06}}, throughTokyo([]string{"through:tk1"}), func(w *world3) { w.Tap = tap })
	w.Run(3 * time.Second)
	stop := w.flow(10 * time.Millisecond)
	w.Run(20 * time.Second)
	sent := stop()
	w.Run(time.Second)
	if there, back := missing(w.atEndpoint, sent), missing(w.atClient, sent); len(there)+len(back) > sent/500 { // of what loses 11 %
		t.Errorf("of %d packets %d did not reach the endpoint, %d did not come back", sent, len(there), len(back))
	}
	if changed > 0 || len(sealed) < 2*sent {
		t.Errorf("of %d datagrams %d left the relay that did not come to it", len(sealed), changed)
	}
	relay := w.tk.Report()
	if p := relay.Passthroughs[0]; p.Ends[0].Sent.Packets < uint64(sent) || p.Ends[1].Sent.Packets < uint64(sent) {
		t.Errorf("the relay has passed on %+v of %d", p, sent)
	}
	for _, s := range w.se.Report().Segments {
		if s.Through == "tk1" && (s.Repair.ToHere.Mended == 0 || s.Repair.ToHere.RawLoss < 0.05) {
			t.Errorf("Seoul mended %d, at a loss of %.3f", s.Repair.ToHere.Mended, s.Repair.ToHere.RawLoss)
		}
	}
}

func TestARelayThatPassesOnMayRestartAndDie(t *testing.T) {
	w := newWorld3(t, 4, calm, throughTokyo([]string{"through:tk1"}, []string{}), func(w *world3) {
		for _, p := range []*PoP{w.sh, w.se} {
			for i := range p.Snapshot.Routes {
				p.Snapshot.Routes[i].Policy = snapshot.Fixed
			}
		}
	})
	w.Run(20 * time.Second)
	stop := w.flow(20 * time.Millisecond)
	w.Run(time.Second)
	if r := w.sh.route("se1"); !slices.Equal(r.Chosen, []string{"through:tk1"}) {
		t.Fatalf("the way is %v: %s", r.Chosen, r.Reason)
	}
	shaken := w.sh.segment("se1", "tk1").Handshakes
	w.tk.Kill() // for less than anybody notices
	w.Run(100 * time.Millisecond)
	if err := w.tk.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(5 * time.Second)
	if s := w.sh.segment("se1", "tk1"); !s.Up || s.Handshakes != shaken {
		t.Errorf("after the relay's restart the segment is %s, with %d handshakes, before %d", s.State, s.Handshakes, shaken)
	}
	w.tk.Kill() // for good
	w.Run(3 * time.Second)
	for p, to := range map[*PoP]string{w.sh: "se1", w.se: "sh1"} {
		if r := p.route(to); len(r.Chosen) > 0 || !r.Up {
			t.Errorf("to %s the way is %v: %s", to, r.Chosen, r.Reason)
		}
	}
	sent := stop()
	w.Run(time.Second)
	lost := len(missing(w.atEndpoint, sent))
	if lost > 50 { // a second's
		t.Errorf("%d of %d packets were lost", lost, sent)
	}
	if err := w.tk.Start(); err != nil {
		t.Fatal(err)
	}
	w.Run(5 * time.Second)
	if s := w.sh.segment("se1", "tk1"); !s.Up {
		t.Errorf("the relay is back, the segment is %s", s.State)
	}
}

// A path beyond the relay that takes less is found by padded pings.
func TestThePathsSizeIsFoundThroughARelay(t *testing.T) {
	w := newWorld3(t, 5, calm, throughTokyo([]string{"through:tk1"}), func(w *world3) {
		small := calm
		small.MTU = 1380
		w.Link(addrTk, addrSe, small)
		w.Link(addrSe, addrTk, small)
	})
	w.Run(20 * time.Second)
	for p, to := range map[*PoP]string{w.sh: "se1", w.se: "sh1"} {
		if mtu := p.segment(to, "tk1").Wires[0].MTU; mtu > 1380 || mtu < 1340 {
			t.Errorf("to %s %d bytes pass, as it seems", to, mtu)
		}
		if mtu := p.segment(to, "").Wires[0].MTU; mtu != 1500 {
			t.Errorf("directly %d bytes pass, as it seems", mtu)
		}
	}
}

func (p *PoP) segment(to, through string) report.Segment {
	for _, s := range p.Report().Segments {
		if s.Peer == to && s.Through == through {
			return s
		}
	}
	return report.Segment{}
}

func (p *PoP) route(to string) report.Route {
	for _, r := range p.Report().Routes {
		if r.To == to {
			return r
		}
	}
	return report.Route{}
}
