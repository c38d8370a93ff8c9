package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// overTheBorder is the lab's crossing: two carriers between every two PoPs, next to
// nothing lost out of Shanghai, spells of 15 ms into it with good between them; Tokyo
// is a detour of 20 ms more that loses 15 %.
func overTheBorder(w *world3, good time.Duration) {
	shaky := func(p weather.Profile) weather.Profile {
		p.Jitter, p.JitterCorrelation, p.JitterEvery, p.Rate = 2*time.Millisecond, 0.8, 20*time.Millisecond, 100_000_000
		return p
	}
	out := func(delay time.Duration) weather.Profile {
		return shaky(weather.Profile{Delay: delay, Loss: weather.Loss{Random: 0.01}})
	}
	into := func(delay, good time.Duration, shared string) weather.Profile {
		g := weather.Gilbert{Good: good, Bad: 15 * time.Millisecond, LossGood: 0.005, LossBad: 0.95, Shared: shared}
		if shared != "" {
			g.Correlation = 0.3
		}
		return shaky(weather.Profile{Delay: delay, Loss: weather.Loss{Burst: &g}})
	}
	abroad := weather.Profile{Delay: 16 * time.Millisecond, Jitter: 500 * time.Microsecond, Loss: weather.Loss{Random: 0.001}}
	second := map[*PoP]netip.Addr{w.sh: netip.MustParseAddr("192.0.2.10"), w.se: netip.MustParseAddr("192.0.2.20"), w.tk: netip.MustParseAddr("192.0.2.30")}
	first := map[*PoP]netip.Addr{w.sh: addrSh, w.se: addrSe, w.tk: addrTk}
	name := map[*PoP]string{w.sh: "sh1", w.se: "se1", w.tk: "tk1"}
	for _, a := range []*PoP{w.sh, w.se, w.tk} {
		a.Snapshot.PoP.Overlay = append(a.Snapshot.PoP.Overlay, snapshot.Overlay{Name: "cu", Bind: overlayOf(second[a])})
		for _, b := range []*PoP{w.sh, w.se, w.tk} {
			if a == b {
				continue
			}
			for i := range a.Snapshot.Peers {
				if a.Snapshot.Peers[i].Name == name[b] {
					a.Snapshot.Peers[i].Wires = append(a.Snapshot.Peers[i].Wires, snapshot.Wire{Local: "cu", Remote: overlayOf(second[b])})
				}
			}
			p := abroad
			switch {
			case a == w.sh && b == w.se:
				p = out(24 * time.Millisecond)
			case a == w.sh:
				p = out(28 * time.Millisecond)
			case b == w.sh && a == w.se:
				p = into(24*time.Millisecond, good, "border")
			case b == w.sh:
				p = into(28*time.Millisecond, 85*time.Millisecond, "")
			}
			for _, from := range []map[*PoP]netip.Addr{first, second} {
				w.Link(from[a], from[b], p)
			}
		}
	}
}

// switches is how often PoPs changed the way to one another, and why the last time.
func (w *world3) switches() (n uint64, reason string) {
	for _, p := range []*PoP{w.sh, w.se} {
		for _, r := range p.Report().Routes {
			if r.To != "tk1" && r.Switches > 0 {
				n, reason = n+r.Switches, r.Reason
			}
		}
	}
	return n, reason
}

// What is in use is known well, what is not by a few probes: these must not make the
// detour look better than it is, whether a packet comes now and then or many do.
func TestALossyWayIsKeptWhileTheDetourIsNoBetter(t *testing.T) {
	for _, every := range []time.Duration{100 * time.Millisecond, 10 * time.Millisecond} {
		for seed := uint64(1); seed <= 4; seed++ {
			w := newWorld3(t, seed, calm, func(w *world3) { overTheBorder(w, 55*time.Millisecond) })
			w.Run(10 * time.Second)
			before, _ := w.switches() // whichever came alive first may have been taken first
			w.flow(every)
			w.Run(25 * time.Second)
			if n, reason := w.switches(); n != before {
				t.Errorf("a packet every %v, seed %d: the way was changed %d times: %s", every, seed, n-before, reason)
			}
		}
	}
}

func TestALossyWayIsLeftForADetourThatIsBetter(t *testing.T) {
	w := newWorld3(t, 5, calm, func(w *world3) { overTheBorder(w, 8*time.Millisecond) }) // two thirds are lost
	w.Run(2 * time.Second)
	w.flow(10 * time.Millisecond)
	w.Run(30 * time.Second)
	for _, r := range w.se.Report().Routes {
		if r.To == "sh1" && !slices.Equal(r.Chosen, []string{"tk1"}) {
			t.Errorf("into Shanghai the way is %q: %s", r.Chosen, r.Reason)
		}
	}
}
