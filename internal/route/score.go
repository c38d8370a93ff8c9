package route

import (
	"math"
	"time"
)

// Candidate is one route that could be taken.
type Candidate struct {
	Route Route
	// Segments are the qualities of its segments in order, in the direction of travel.
	Segments []Quality
	// Alive says that all its segments have keys and answer.
	Alive bool
	// Price is what sending one packet costs, in the operator's own unit; see Policy.Worth.
	Price float64
	// Spares is the route (as its String has it) that this one goes the way of without
	// having its relay open what it carries; empty: none.
	Spares string
}

// Score is how good a candidate is. Lower Cost is better.
type Score struct {
	Prediction
	// Known says that every segment was measured. Without it nothing else is set.
	Known bool
	// Meets says that the residual target is met under the overhead cap.
	Meets bool
	// Cost is the mean of Delay and Mean, so that slow packets count and the usual ones
	// as well; more for each factor by which the residual target is missed,
	// and the price of all that is sent, as a delay.
	Cost time.Duration
}

// Score predicts a candidate and weighs it.
func (p *Predictor) Score(c Candidate, policy Policy) Score {
	for _, q := range c.Segments {
		if !q.Known {
			return Score{}
		}
	}
	if len(c.Segments) == 0 {
		return Score{}
	}
	return weigh(p.Route(c.Segments, policy), c.Price, policy.withDefaults())
}

// ScorePair is Score for sending every packet over both candidates. together
// predicts the share that both lose from what each loses; nil leaves it to an
// unmeasured Joint.
func (p *Predictor) ScorePair(a, b Candidate, policy Policy, together *Joint) Score {
	one, two := p.Score(a, policy), p.Score(b, policy)
	if !one.Known || !two.Known {
		return Score{}
	}
	if together == nil {
		together = &Joint{}
	}
	both := Prediction{
		Delay:    min(one.Delay, two.Delay),
		Mean:     min(one.Mean, two.Mean),
		Residual: together.Both(one.Residual, two.Residual),
		Overhead: one.Overhead + two.Overhead,
	}
	price := (a.Price*one.Overhead + b.Price*two.Overhead) / both.Overhead
	return weigh(both, price, policy.withDefaults())
}

// tolerance is how far above its target a residual may be and still meet it: the
// steps of the Predictor are not finer.
const tolerance = 1.2

// weigh makes a score of a prediction. A residual above the target weighs as its
// square root, because that is how it slows the TCP inside the tunnel: four
// times the loss costs what twice the delay does.
func weigh(p Prediction, price float64, policy Policy) Score {
	s := Score{Prediction: p, Known: true, Meets: p.Residual <= tolerance*policy.Residual}
	missed := max(1, p.Residual/policy.Residual)
	cost := float64(p.Delay+p.Mean)/2*math.Sqrt(missed) + float64(policy.Worth)*price*p.Overhead
	s.Cost = time.Duration(min(cost, float64(math.MaxInt64/4)))
	return s
}
