package sessions

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"causeway/internal/dataplane/udpio"
)

// Cost is what a packet costs an ingress that has so many sessions, and what a
// session takes there.
type Cost struct {
	Sessions   int     `json:"sessions"`
	Packet     float64 `json:"ns_per_packet"`     // from the socket's batch to the sealed datagram
	Ratio      float64 `json:"ratio_to_1000"`     // of the same run
	PerEach    float64 `json:"bytes_per_session"` // at the ingress
	PerEachOut float64 `json:"bytes_per_session_egress"`
}

// Costs measures ingresses with those numbers of sessions, of which packets come for
// one at random: the table's and the sessions' memory is cold, as it is for a PoP with
// many clients. The times are medians over rounds that take turns.
func Costs(counts []int, rounds int) ([]Cost, error) {
	var list []Cost
	for _, n := range counts {
		c := Cost{Sessions: n}
		if n > 1 {
			weights, err := Measure(n)
			if err != nil {
				return nil, err
			}
			c.PerEach, c.PerEachOut = weights[0].PerEach, weights[1].PerEach
		}
		list = append(list, c)
	}
	times := make([][]float64, len(counts))
	for at, n := range counts {
		w, err := newWorld(n)
		if err != nil {
			return nil, err
		}
		for i := 0; i < n; i += 64 {
			w.open(i, min(n, i+64))
		}
		if got := w.ingress.engine.Report(w.now, time.Now()).Sessions; got.Confirmed+got.Unconfirmed != n {
			return nil, fmt.Errorf("%d of %d sessions came up", got.Confirmed+got.Unconfirmed, n)
		}
		runtime.GC()
		for range rounds {
			times[at] = append(times[at], w.time(n))
		}
		slices.Sort(times[at])
		list[at].Packet = times[at][len(times[at])/2]
	}
	for i := range list {
		for j := range list {
			if list[j].Sessions == 1000 {
				list[i].Ratio = list[i].Packet / list[j].Packet
			}
		}
	}
	return list, nil
}

// timed is how many packets a measurement takes.
const timed = 64 * 2000

// time is what a packet takes the ingress, in nanoseconds. What it makes goes nowhere.
func (w *world) time(n int) float64 {
	w.ingress.mute = true
	defer func() { w.ingress.mute = false }()
	token := w.ingress.tokens[netip.AddrPortFrom(addrIngress, 4500)]
	batches := make([][]udpio.Message, 256)
	random := rand.New(rand.NewPCG(7, uint64(n)))
	for b := range batches {
		batches[b] = make([]udpio.Message, 64)
		for i := range batches[b] {
			client := random.IntN(n)
			data := append(esp(uint64(client)+1<<20), make([]byte, 192)...)
			batches[b][i] = udpio.Message{Data: data, From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + client>>16), byte(client >> 8), byte(client), 1}), 4500)}
		}
	}
	begun := time.Now()
	for i := range timed / 64 {
		w.now = w.now.Add(64 * time.Microsecond)
		w.ingress.engine.Receive(w.now, token, batches[i%len(batches)])
		w.ingress.engine.Flush(w.now)
	}
	return float64(time.Since(begun)) / timed
}

// Markdown is the section of docs/benchmarks.md.
func Markdown(list []Cost) string {
	text := "## Sessions\n\nWhat a packet of 256 bytes for a session at random costs an ingress's engine, from the batch that a socket has read to the sealed datagram\n" +
		"(no system calls), and what a session takes in memory. 16,384 packets of distinct sessions take turns. Renew it with `make bench-sessions`.\n\n" +
		"| sessions | ns per packet | × that of 1,000 | bytes per session, ingress | egress |\n|--:|--:|--:|--:|--:|\n"
	for _, c := range list {
		text += fmt.Sprintf("| %d | %.0f | %.2f | %.0f | %.0f |\n", c.Sessions, c.Packet, c.Ratio, c.PerEach, c.PerEachOut)
	}
	return text
}
