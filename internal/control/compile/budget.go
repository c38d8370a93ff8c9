package compile

import (
	"strings"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// An accelerator's limits hold for all its PoPs together, but each PoP counts
// alone. So limits are split before: every IP set has its own bandwidth, whose
// sum is at most the Basic package's; connections and cross-border bandwidth
// are shared out in proportion to it. Nothing is ever exceeded, and with one IP
// set nothing is lost by it.

const mega = 1_000_000 // bit/s in a Mbit/s

// split is one accelerator's limits.
type split struct {
	sessions int // 0: not bounded
	total    int // Mbit/s of all IP sets; 0 when one is not bounded
	sets     int
}

func newBudget(a *resource.Accelerator, sets []*resource.IPSet) split {
	b := split{sessions: a.Size().Sessions, sets: len(sets)}
	b.total = totalMbps(sets)
	return b
}

// totalMbps is the sum of what sets have, 0 when one of them is not bounded.
func totalMbps(sets []*resource.IPSet) (total int) {
	for _, s := range sets {
		if s.Mbps == 0 {
			return 0
		}
		total += s.Mbps
	}
	return total
}

// of is what one IP set's clients may use.
func (b split) of(s *resource.IPSet) snapshot.Allowance {
	a := snapshot.Allowance{Rate: int64(s.Mbps) * mega}
	if b.sessions > 0 {
		a.Sessions = max(1, int(share(int64(b.sessions), s.Mbps, b.total, b.sets)))
	}
	if a != (snapshot.Allowance{}) {
		a.Name = strings.ToLower(s.ID)
	}
	return a
}

// share is the part of whole that weight is of total; of equals when none has weight.
func share(whole int64, weight, total, equals int) int64 {
	if total == 0 {
		return whole / int64(max(1, equals))
	}
	return whole * int64(weight) / int64(total)
}

// crossingSets are those of a's IP sets from which some group lies across a border.
func (c *compiler) crossingSets(a *resource.Accelerator) []*resource.IPSet {
	var sets []*resource.IPSet
	for _, s := range c.setsOf[a.Name] {
		if c.anyCrossing(a, s) {
			sets = append(sets, s)
		}
	}
	return sets
}

func (c *compiler) anyCrossing(a *resource.Accelerator, s *resource.IPSet) bool {
	for _, l := range c.listenersOf[a.Name] {
		for _, g := range c.groupsOf[l.Name] {
			if c.crossesBorder(s, g) {
				return true
			}
		}
	}
	return false
}

// crossingAllowance is s's part of the CrossDomain package; no name when there
// is no package.
func crossingAllowance(p *resource.BandwidthPackage, crossing []*resource.IPSet, s *resource.IPSet) snapshot.Allowance {
	if p == nil {
		return snapshot.Allowance{}
	}
	rate := share(int64(p.Mbps)*mega, s.Mbps, totalMbps(crossing), len(crossing))
	if s.Mbps > 0 {
		rate = min(rate, int64(s.Mbps)*mega)
	}
	return snapshot.Allowance{Name: strings.ToLower(p.ID), Rate: max(rate, snapshot.MinRate)}
}
