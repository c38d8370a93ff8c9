package bench

import (
	"math"
	"slices"
	"time"

	"causeway/internal/mono"
)

// Result is what one cell came to.
type Result struct {
	Config Config `json:"config"`
	Seed   uint64 `json:"seed"`

	Packets        int     `json:"packets"`
	Lost           int     `json:"lost"`                  // not delivered by their deadline
	Residual       float64 `json:"residual_loss"`         // their share
	ResidualUpper  float64 `json:"residual_loss_upper95"` // 95 % bound, exact Poisson, for independent losses
	NeverDelivered int     `json:"never_delivered"`
	RawLoss        float64 `json:"raw_loss"` // share of datagrams lost on the way there

	OverheadPackets float64 `json:"overhead_packets"` // datagrams both ways, reports included, per source packet
	OverheadBytes   float64 `json:"overhead_bytes"`   // their bytes with 60 for sealing and IPv4 each, per source packet's
	OverheadForward float64 `json:"overhead_forward_packets"`
	Reports         float64 `json:"feedback_packets"` // datagrams on the way back per source packet

	CapacityRatio float64 `json:"capacity_ratio"` // overhead_packets × (1 − loss)
	DPRatio       float64 `json:"dp_ratio"`       // overhead_packets / dp_bound
	DPBound       float64 `json:"dp_bound"`
	DPRounds      int     `json:"dp_rounds"`
	DPPool        int     `json:"dp_pool"`
	DPResidual    float64 `json:"dp_residual"`

	Added        Quantiles `json:"added_delay_ms"`         // over an unrepaired packet's delay
	AddedOrdered Quantiles `json:"added_delay_ordered_ms"` // when given out in order, holes waited for until their deadline

	AcceptedW32          float64 `json:"accepted_w32"` // of what is given out in order, by a replay window of 32
	AcceptedW64          float64 `json:"accepted_w64"`
	AcceptedW32Unordered float64 `json:"accepted_w32_unordered"` // had it been given out as it came
	AcceptedW64Unordered float64 `json:"accepted_w64_unordered"`
	LateReplay           int     `json:"late_replay"` // came too late for a window of 32, dropped
	Duplicates           int     `json:"duplicates"`

	Goodput       float64 `json:"goodput_mbit"`                 // delivered in time
	SelfInflicted float64 `json:"self_inflicted_loss"`          // share of datagrams dropped by policer or queue
	CrossGoodput  float64 `json:"cross_goodput_mbit,omitempty"` // of the TCP flow beside ours
	Duration      float64 `json:"duration_s"`                   // of the traffic, virtual
	CPUPerPacket  float64 `json:"cpu_ns_per_packet"`            // of the whole simulation

	HeldBack uint64 `json:"held_back,omitempty"` // times the governor held repairs back

	Setup       *Quantiles `json:"ike_setup_ms,omitempty"`
	SetupFailed int        `json:"ike_setup_failed,omitempty"`
	CopiesEach  float64    `json:"datagrams_per_packet,omitempty"`
	StepRecover *float64   `json:"step_recovery_ms,omitempty"` // after the step, until residual loss was below 1e-4 again
}

// Quantiles of a distribution, in ms.
type Quantiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// quantiles sorts v.
func quantiles(v []time.Duration) Quantiles {
	if len(v) == 0 {
		return Quantiles{}
	}
	slices.Sort(v)
	at := func(q float64) float64 {
		i := int(math.Ceil(q*float64(len(v)))) - 1
		return ms(v[min(max(i, 0), len(v)-1)])
	}
	sum := 0.0
	for _, d := range v {
		sum += ms(d)
	}
	return Quantiles{sum / float64(len(v)), at(0.5), at(0.95), at(0.99), at(0.999), ms(v[len(v)-1])}
}

// ms rounds to a microsecond.
func ms(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// upper95 is the exact one-sided 95 % upper bound of a Poisson mean of which k were
// seen, per n.
func upper95(k, n int) float64 {
	if n == 0 {
		return 1
	}
	lo, hi := float64(k), float64(k)+10*math.Sqrt(float64(k)+1)+10
	for range 100 {
		mid := (lo + hi) / 2
		if poissonCDF(k, mid) > 0.05 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return min(hi/float64(n), 1)
}

// poissonCDF is P[X ≤ k] for a Poisson variable of that mean.
func poissonCDF(k int, mean float64) float64 {
	sum := 0.0
	logMean := math.Log(mean)
	for i := 0; i <= k; i++ {
		lg, _ := math.Lgamma(float64(i + 1))
		sum += math.Exp(float64(i)*logMean - mean - lg)
	}
	return sum
}

// record is what became of the packets of a run.
type record struct {
	sent  []mono.Time
	came  []mono.Time // zero: never
	order []uint32    // in order of coming
	again int
}

func (r *record) deliver(now mono.Time, i int) {
	if r.came[i] != 0 {
		r.again++
		return
	}
	r.came[i] = now
	r.order = append(r.order, uint32(i))
}

// delays works out the delays added to each delivered packet as it came, and as
// given out in order: no packet before the ones sent before it, for which it waits
// no longer than until their deadlines.
func (r *record) delays(oneWay, budget time.Duration) (asCame, ordered []time.Duration) {
	asCame = make([]time.Duration, 0, len(r.sent))
	ordered = make([]time.Duration, 0, len(r.sent))
	var gate mono.Time // nothing later may go before
	for i, at := range r.sent {
		floor := at.Add(oneWay)
		deadline := floor.Add(budget)
		if r.came[i] == 0 || r.came[i] > deadline {
			gate = max(gate, deadline)
			if r.came[i] != 0 {
				asCame = append(asCame, r.came[i].Sub(floor))
			}
			continue
		}
		gate = max(gate, r.came[i])
		asCame = append(asCame, max(r.came[i].Sub(floor), 0))
		ordered = append(ordered, max(gate.Sub(floor), 0))
	}
	return asCame, ordered
}

// replayed gives the packets out in order, the late ones only where a window of 32
// still takes them, and returns the shares that windows of 32 and 64 accept.
func (r *record) replayed(oneWay, budget time.Duration) (w32, w64 float64, late int) {
	a, b := window{size: 32}, window{size: 64}
	deadline := func(i int) mono.Time { return r.sent[i].Add(oneWay + budget) }
	next := 0 // all before have been given out, or waited for in vain
	skipped := map[int]bool{}
	have := make([]bool, len(r.sent))
	out := 0
	give := func(i int) { a.take(i); b.take(i); out++ }
	pass := func(now mono.Time) {
		for next < len(r.sent) {
			if have[next] {
				give(next)
			} else if deadline(next) <= now {
				skipped[next] = true
			} else {
				return
			}
			next++
		}
	}
	for _, n := range r.order {
		i := int(n)
		now := r.came[i]
		pass(now)
		if i >= next {
			have[i] = true
			pass(now)
			continue
		}
		if next-1-i < 32-8 {
			give(i)
		} else {
			late++
		}
	}
	pass(mono.Time(math.MaxInt64))
	if out == 0 {
		return 1, 1, late
	}
	return float64(a.accepted) / float64(out), float64(b.accepted) / float64(out), late
}

// replayedAsCame is replayed without putting anything in order.
func (r *record) replayedAsCame() (w32, w64 float64) {
	if len(r.order) == 0 {
		return 1, 1
	}
	a, b := window{size: 32}, window{size: 64}
	for _, i := range r.order {
		a.take(int(i))
		b.take(int(i))
	}
	n := float64(len(r.order))
	return float64(a.accepted) / n, float64(b.accepted) / n
}

// window is an anti-replay window as in RFC 4303, for numbers that come once each.
type window struct {
	size, high int
	any        bool
	accepted   int
}

func (w *window) take(n int) {
	if !w.any || n > w.high {
		w.any, w.high = true, n
		w.accepted++
	} else if w.high-n < w.size {
		w.accepted++
	}
}
