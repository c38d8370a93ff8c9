package sessions

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Cost is what a packet costs PoPs that have so many sessions, and what a session
// takes there. Times are of the processor, nanoseconds a packet.
type Cost struct {
	Sessions     int     `json:"sessions"`
	Packet       float64 `json:"ns_per_packet"` // at the ingress, both directions
	Ratio        float64 `json:"ratio_to_1000"` // of the same rounds
	PacketOut    float64 `json:"ns_per_packet_egress"`
	RatioOut     float64 `json:"ratio_to_1000_egress"`
	FromClient   float64 `json:"ns_from_client"`
	ToEndpoint   float64 `json:"ns_to_endpoint"`
	FromEndpoint float64 `json:"ns_from_endpoint"`
	ToClient     float64 `json:"ns_to_client"`
	PerEach      float64 `json:"bytes_per_session"` // at the ingress
	PerEachOut   float64 `json:"bytes_per_session_egress"`
	Resident     float64 `json:"resident_per_session"` // of the process; 0 where it is too little to be told
	ResidentOut  float64 `json:"resident_per_session_egress"`
	Worst        float64 `json:"worst_opening_us"` // that one packet took which opened a session
}

// timed is how many packets a round carries each way.
const timed = batch * 1000

// base is what others are compared with.
const base = 1000

// Costs measures PoPs with those numbers of sessions, of which packets come for
// one at random of all: the table's and the sessions' memory is as cold as it is for a PoP
// with many clients. All stand at once, and their rounds take turns; times and
// ratios are medians over rounds, a ratio is of times of the same round.
func Costs(counts []int, rounds int) ([]Cost, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	list := make([]Cost, len(counts))
	worlds := make([]*world, len(counts))
	of := -1
	for i, n := range counts {
		if n < 1 || n > MaxSessions {
			return nil, fmt.Errorf("%d sessions: want 1 to %d", n, MaxSessions)
		}
		if n == base {
			of = i
		}
		w, err := newWorld(n)
		if err != nil {
			return nil, err
		}
		if err := w.openAll(); err != nil {
			return nil, err
		}
		list[i] = Cost{Sessions: n, Worst: float64(w.worst) / 1e3}
		worlds[i] = w
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the bench's own rubbish is not to be measured
	took := make([][]times, len(counts))
	for round := range rounds + 1 {
		for i := range worlds {
			at := (i + round) % len(worlds)
			t, err := worlds[at].round()
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				took[at] = append(took[at], t)
			}
		}
		runtime.GC()
	}
	for i := range list {
		list[i].fill(took[i], took[max(of, 0)], of >= 0)
	}
	for i := range worlds {
		w := worlds[i]
		worlds[i] = nil
		if w.n < base {
			continue // lost in what the engine itself takes
		}
		weights, err := w.weigh()
		if err != nil {
			return nil, err
		}
		list[i].PerEach, list[i].PerEachOut = weights[0].PerEach, weights[1].PerEach
		list[i].Resident, list[i].ResidentOut = weights[0].Resident, weights[1].Resident
	}
	return list, nil
}

// round carries timed packets each way.
func (w *world) round() (times, error) {
	var sum times
	w.turn.arrived, w.turn.returned = 0, 0
	for range timed / batch {
		sum.add(w.once())
	}
	if t := &w.turn; t.arrived != timed || t.returned != timed {
		return sum, fmt.Errorf("%d sessions: of %d packets %d have arrived and %d answers returned; drops: %v, %v", w.n, timed, t.arrived, t.returned,
			w.ingress.engine.Report(w.now, time.Now()).Drops, w.egress.engine.Report(w.now, time.Now()).Drops)
	}
	return sum, nil
}

// fill takes the medians.
func (c *Cost) fill(all, base []times, based bool) {
	ingress := func(t times) float64 { return float64(t.fromClient+t.toClient) / (2 * timed) }
	egress := func(t times) float64 { return float64(t.toEndpoint+t.fromEndpoint) / (2 * timed) }
	c.Packet, c.PacketOut = median(all, ingress), median(all, egress)
	c.FromClient = median(all, func(t times) float64 { return float64(t.fromClient) / timed })
	c.ToEndpoint = median(all, func(t times) float64 { return float64(t.toEndpoint) / timed })
	c.FromEndpoint = median(all, func(t times) float64 { return float64(t.fromEndpoint) / timed })
	c.ToClient = median(all, func(t times) float64 { return float64(t.toClient) / timed })
	if !based {
		return
	}
	for _, part := range []struct {
		to *float64
		of func(times) float64
	}{{&c.Ratio, ingress}, {&c.RatioOut, egress}} {
		var ratios []float64
		for i := range all {
			ratios = append(ratios, part.of(all[i])/part.of(base[i]))
		}
		*part.to = middle(ratios)
	}
}

func median(all []times, of func(times) float64) float64 {
	var list []float64
	for _, t := range all {
		list = append(list, of(t))
	}
	return middle(list)
}

func middle(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// Markdown is the section of docs/benchmarks.md.
func Markdown(list []Cost) string {
	text := "## Sessions\n\nWhat a packet of 256 bytes costs the engines of an ingress and an egress that have so many sessions: processor time of the whole way through the engine, from a socket's batch of 64\n" +
		"to the datagrams it makes (no system calls), the mean of both directions. Each packet is of a session at random of all of them, so the memory of sessions is as cold as it can be. Endpoints' packets come to the egress as a device hands them over, of many sockets at once.\n" +
		"All numbers of sessions stand in one process and take turns; ratios are medians of those of single rounds. Memory is what lives on the heap because of a session that IKE and ESP\n" +
		"have gone through both ways, tables and all; in brackets what the process takes of the machine's memory for it. The last column is the longest that a packet took which opened a session:\n" +
		"it says whether a table that grows makes anyone wait. Renew it with `make bench-sessions`.\n\n" +
		"| sessions | ingress, ns per packet | × that of 1,000 | egress, ns per packet | × that of 1,000 | bytes per session, ingress | egress | longest opening, µs |\n|--:|--:|--:|--:|--:|--:|--:|--:|\n"
	for _, c := range list {
		text += fmt.Sprintf("| %d | %.0f | %.2f | %.0f | %.2f | %s | %s | %.0f |\n", c.Sessions, c.Packet, c.Ratio, c.PacketOut, c.RatioOut,
			bytesOf(c.PerEach, c.Resident), bytesOf(c.PerEachOut, c.ResidentOut), c.Worst)
	}
	return text
}

// bytesOf is empty for what is too little to be told from what an engine takes anyway.
func bytesOf(heap, resident float64) string {
	if heap == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f (%.0f)", heap, resident)
}
