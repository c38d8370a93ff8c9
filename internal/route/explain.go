package route

import (
	"fmt"
	"time"

	"causeway/internal/mono"
)

// Verdict is what a Chooser thinks of one candidate.
type Verdict struct {
	Route Route
	Score Score
	Alive bool
	InUse bool // carries everything
	Copy  bool // carries a copy of everything at present
	// Why says in a sentence why the candidate is in use, or why it is not.
	Why string
}

// Explain says of each candidate, in the order given, how it scores and why it is
// used or not. It changes nothing; ask right after Choose, with the same arguments.
func (c *Chooser) Explain(now mono.Time, candidates []Candidate) []Verdict {
	twin := *c // look and also must leave no trace
	v := twin.look(now, candidates)
	main, copies := v.index(c.current), -1
	if main >= 0 {
		copies, _ = twin.also(v, main)
	}
	verdicts := make([]Verdict, len(candidates))
	for i, candidate := range candidates {
		verdicts[i] = Verdict{candidate.Route, v.scores[i], candidate.Alive, i == main, i == copies, ""}
		verdicts[i].Why = twin.why(v, i, main, copies)
	}
	return verdicts
}

func (c *Chooser) why(v view, i, main, copies int) string {
	candidate, score := v.all[i], v.scores[i]
	pinned := v.index(c.Pinned)
	switch {
	case i == main:
		return "in use: " + c.reason
	case i == copies && i == v.index(c.partner):
		return "carries a copy: " + c.copyReason
	case i == copies:
		return "carries a copy until what is on the new route has arrived"
	case !candidate.Alive:
		return "dead: a segment of it has no keys or does not answer"
	case main < 0:
		return "nothing was chosen yet"
	case main == pinned:
		return "another route is pinned"
	case v.fresh[i]:
		return fmt.Sprintf("has only just come back; it is trusted after %v", trusted)
	case c.Mode == Fixed && i > main:
		return "listed later than the one in use"
	case c.Mode == Fixed:
		return "listed earlier, and taken as soon as the one in use has been so long enough: " + c.wait(v)
	case !score.Known:
		return "not measured yet"
	}
	mine := v.scores[main]
	if !mine.Known {
		return fmt.Sprintf("costs %v; taken when the one in use stays without measurements: %s", ms(score.Cost), c.wait(v))
	}
	margin := max(betterBy, time.Duration(betterShare*float64(mine.Cost)))
	switch ahead := mine.Cost - score.Cost; {
	case ahead <= 0:
		return fmt.Sprintf("costs %v more than the one in use", ms(-ahead))
	case ahead < margin:
		return fmt.Sprintf("better than the one in use by %v only; it takes %v", ms(ahead), ms(margin))
	default:
		return fmt.Sprintf("better than the one in use by %v; taken if it stays so: %s", ms(ahead), c.wait(v))
	}
}

// wait says what stands between a better candidate and its use.
func (c *Chooser) wait(v view) string {
	left := func(from mono.Time, d time.Duration) time.Duration {
		if from.IsZero() {
			return 0
		}
		return max(0, d-v.now.Sub(from))
	}
	challenge := left(c.challenge, betterFor)
	if c.challenge.IsZero() && c.Mode == Measured {
		challenge = betterFor
	}
	sec := func(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
	return fmt.Sprintf("better for %v more, dwell %v more, hold-down %v more",
		sec(challenge), sec(max(left(c.since, dwell), left(c.switched, spacing))), sec(left(c.calm, c.hold)))
}
