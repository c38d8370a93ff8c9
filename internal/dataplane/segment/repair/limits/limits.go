// Package limits computes what theory allows a repair scheme: how many packets
// must be sent for each one that has to arrive, given the loss, the share that
// may stay lost, how many rounds of feedback fit into the deadline, and how
// many packets can share one repair.
//
// It serves two readers: the bench, which prints how far the real code is from
// the bound, and the planner, which sizes its last rounds with the same
// binomial tails. Nothing here knows about packets or time.
package limits

import "math"

// Capacity returns the fewest packets that any scheme must send per source
// packet when a share loss of them is lost independently and a share residual
// may stay lost: (1-residual)/(1-loss). It is +Inf for a loss of 1.
func Capacity(loss, residual float64) float64 {
	if loss >= 1 {
		return math.Inf(1)
	}
	return (1 - residual) / (1 - loss)
}

// A Hybrid is a scheme of generations: Pool source packets share their repairs,
// Rounds times the sender learns how many are still needed and sends more.
// Rounds = 0 is forward error correction alone.
type Hybrid struct {
	Loss   float64 // share of packets lost, independently; in [0, 1)
	Rounds int     // feedback rounds within the deadline; at least 0
	Pool   int     // source packets per generation; at least 1
}

// A Bound is the best a Hybrid can do.
type Bound struct {
	Overhead float64 // packets sent per source packet, feedback not counted
	Residual float64 // share of source packets never repaired
}

// Best returns the smallest expected overhead that leaves at most a share
// residual of the source packets unrepaired. It solves the Markov decision
// problem exactly: state = symbols still needed, action = symbols to send now,
// an ideal (MDS) code, and randomises between two policies where no single one
// meets the residual exactly, which is the optimum under a constraint.
func (h Hybrid) Best(residual float64) Bound {
	if h.Loss <= 0 {
		return Bound{Overhead: 1}
	}
	s := newSolver(h)
	// The price of a lost packet that makes the optimum just meet the target.
	lo, hi := 0.0, 4.0
	cheap := s.solve(math.Exp(lo))
	if cheap.Residual <= residual {
		return cheap
	}
	dear := s.solve(math.Exp(hi))
	for dear.Residual > residual && hi < 80 {
		lo, cheap = hi, dear
		hi += 2
		dear = s.solve(math.Exp(hi))
	}
	for range 40 {
		mid := (lo + hi) / 2
		b := s.solve(math.Exp(mid))
		if b.Residual > residual {
			lo, cheap = mid, b
		} else {
			hi, dear = mid, b
		}
	}
	return mix(cheap, dear, residual)
}

// mix plays the two policies in the proportion that leaves exactly residual.
func mix(cheap, dear Bound, residual float64) Bound {
	if cheap.Residual <= dear.Residual {
		return dear
	}
	share := (cheap.Residual - residual) / (cheap.Residual - dear.Residual)
	share = min(max(share, 0), 1)
	return Bound{
		Overhead: cheap.Overhead + share*(dear.Overhead-cheap.Overhead),
		Residual: cheap.Residual + share*(dear.Residual-cheap.Residual),
	}
}

// solver holds the scratch of one Hybrid across prices.
type solver struct {
	h       Hybrid
	maxSend int
	arrive  [][]float64 // arrive[m][k] = P[k of m sent arrive]
}

func newSolver(h Hybrid) *solver {
	s := &solver{h: h}
	// Enough that sending more never pays: ten times capacity and a margin for
	// pools of one, where the last round is pure repetition.
	s.maxSend = int(4*float64(h.Pool)/(1-h.Loss)) + int(45/-math.Log(h.Loss)) + 8
	s.arrive = make([][]float64, s.maxSend+1)
	for m := range s.arrive {
		s.arrive[m] = Binomial(m, 1-h.Loss)
	}
	return s
}

// value is what is still to come from a state: expected symbols and expected
// packets left lost.
type value struct{ sent, lost float64 }

// solve returns the best policy when each packet left lost costs price symbols.
func (s *solver) solve(price float64) Bound {
	pool := s.h.Pool
	next := make([]value, pool+1)
	for d := 1; d <= pool; d++ {
		next[d].lost = max(float64(d), s.h.Loss*float64(pool))
	}
	for range s.h.Rounds {
		now := make([]value, pool+1)
		m := 0
		for d := 1; d <= pool; d++ {
			now[d], m = s.bestSend(d, max(m-2, 0), next, price)
		}
		next = now
	}
	first, _ := s.bestFirst(next, price)
	return Bound{
		Overhead: first.sent / float64(pool),
		Residual: first.lost / float64(pool),
	}
}

// bestSend chooses how many symbols to send for d missing ones. The cost is
// convex in practice but not by proof, so the search goes on for a while after
// the best.
func (s *solver) bestSend(d, from int, next []value, price float64) (value, int) {
	best, bestM, bestCost := value{}, from, math.Inf(1)
	for m := from; m <= s.maxSend && m <= bestM+24+d; m++ {
		v := value{sent: float64(m)}
		probs := s.arrive[m]
		for k, pr := range probs {
			if k >= d {
				break
			}
			v.sent += pr * next[d-k].sent
			v.lost += pr * next[d-k].lost
		}
		if cost := v.sent + price*v.lost; cost < bestCost {
			best, bestM, bestCost = v, m, cost
		}
	}
	return best, bestM
}

// bestFirst is the first round: the source packets themselves and m repairs.
func (s *solver) bestFirst(next []value, price float64) (value, int) {
	pool := s.h.Pool
	best, bestM, bestCost := value{}, 0, math.Inf(1)
	for m := 0; pool+m <= s.maxSend && m <= bestM+24+pool; m++ {
		v := value{sent: float64(pool + m)}
		for k, pr := range s.arrive[pool+m] {
			if k >= pool {
				break
			}
			d := pool - k
			left := next[d]
			v.sent += pr * left.sent
			v.lost += pr * left.lost
		}
		if cost := v.sent + price*v.lost; cost < bestCost {
			best, bestM, bestCost = v, m, cost
		}
	}
	return best, bestM
}

// Binomial returns P[X = k] for k = 0..n where X counts successes of
// probability p among n independent trials.
func Binomial(n int, p float64) []float64 {
	out := make([]float64, n+1)
	switch {
	case p <= 0:
		out[0] = 1
		return out
	case p >= 1:
		out[n] = 1
		return out
	}
	logP, logQ := math.Log(p), math.Log1p(-p)
	lgN, _ := math.Lgamma(float64(n + 1))
	for k := range out {
		lgK, _ := math.Lgamma(float64(k + 1))
		lgR, _ := math.Lgamma(float64(n - k + 1))
		out[k] = math.Exp(lgN - lgK - lgR + float64(k)*logP + float64(n-k)*logQ)
	}
	return out
}
