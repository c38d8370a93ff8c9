package route

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// Joint learns how far two ways lose packets together. Feed it pairs of packets
// sent at the same instant, one on each. The zero Joint is ready.
//
// Until enough pairs have come it assumes what is usual on the Internet: given
// that the packet of one way is lost, that of another is lost with probability
// 0.6 (Andersen and others, 2003), because much loss is near the ends that both share.
type Joint struct {
	// AssumeIndependence starts from independence instead.
	AssumeIndependence bool

	at              mono.Time
	pairs, a, b, ab float64 // pairs seen, and lost on A, on B, on both; fading
}

const (
	usualTogether = 0.6
	// priorPairs is how many pairs the assumption weighs: lost ones, at the usual rate.
	priorPairs = 50
	// jointMemory is after how long a pair counts half.
	jointMemory = time.Minute
)

// Pair takes note of what became of two packets sent at the same instant.
func (j *Joint) Pair(sentAt mono.Time, lostA, lostB bool) {
	if age := sentAt.Sub(j.at); !j.at.IsZero() && age > 0 {
		keep := math.Exp2(-float64(age) / float64(jointMemory))
		j.pairs, j.a, j.b, j.ab = j.pairs*keep, j.a*keep, j.b*keep, j.ab*keep
	}
	j.at = sentAt
	j.pairs++
	j.a += float64(b2i(lostA))
	j.b += float64(b2i(lostB))
	j.ab += float64(b2i(lostA && lostB))
}

// Both predicts the probability that both copies of a packet are lost, on ways
// that lose pA and pB by themselves (now, and perhaps after repair).
func (j *Joint) Both(pA, pB float64) float64 {
	least := min(pA, pB)
	return min(least, max(pA*pB, pA*pB*j.phi(pA, pB)))
}

// Phi returns P(both lost) / (P(A lost) P(B lost)) as observed: 1 is independent.
// It is 0 until something was lost on both ways, if only apart.
func (j *Joint) Phi() float64 {
	if j.a == 0 || j.b == 0 {
		return 0
	}
	return j.ab * j.pairs / (j.a * j.b)
}

// phi blends what was observed with the assumption made for ways that lose pA and pB.
func (j *Joint) phi(pA, pB float64) float64 {
	together := usualTogether
	if j.AssumeIndependence {
		together = max(pA, pB)
	}
	if pA <= 0 || pB <= 0 {
		return 1
	}
	assumed := together / max(pA, pB)
	weight := priorPairs / (priorPairs + j.pairs)
	if j.a == 0 || j.b == 0 {
		// Nothing can be said of togetherness where nothing is lost.
		weight = 1
	}
	return weight*assumed + (1-weight)*j.Phi()
}
