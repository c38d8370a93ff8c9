package segment

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// Path MTU discovery by probing (RFC 8899): sizes are proven by answered pings
// of that size and by nothing else, so a path that swallows large packets
// without a word is found out too.
const (
	// baseMTU is taken to pass everywhere: IPv6's least (RFC 8200 section 5).
	baseMTU = 1280
	// probeGrain is how closely the size is searched, bytes.
	probeGrain = 16
	// verifyEvery is how often the size in use is proven anew, raiseEvery how
	// often a larger one is tried again.
	verifyEvery = 10 * time.Second
	raiseEvery  = 10 * time.Minute
	// giveUp is how unlikely a run of lost probes must be before it means "too large".
	giveUp = 1e-3
)

// mtuSearch finds the largest IP packet that passes a wire. All sizes are IP
// packets in bytes.
type mtuSearch struct {
	size int // proven, or base
	max  int // what to try at most
	fail int // the smallest that failed; 0: none did

	probe    int // being tried; 0: none
	tries    int
	verifyAt mono.Time
	raiseAt  mono.Time
}

func newMTUSearch(largest int) mtuSearch {
	if largest == 0 {
		largest = 1500
	}
	return mtuSearch{size: min(baseMTU, largest), max: largest}
}

// searching reports whether a size is being looked for.
func (m *mtuSearch) searching() bool { return m.target() != 0 }

// target is the size to try next, 0 when the search is over.
func (m *mtuSearch) target() int {
	switch {
	case m.size >= m.max:
		return 0
	case m.fail == 0:
		return m.max
	case m.fail-m.size <= probeGrain:
		return 0
	}
	return (m.size + m.fail) / 2
}

// next is asked at every ping and returns the size this ping is to prove, or 0
// for an ordinary one. success is the share of ordinary pings that are
// answered. changed reports that the size in use was found not to pass any more.
func (m *mtuSearch) next(now mono.Time, success float64) (probe int, changed bool) {
	if m.raiseAt != 0 && now >= m.raiseAt {
		m.fail, m.raiseAt = 0, 0
	}
	if m.probe != 0 && m.tries >= triesFor(success) {
		changed = m.failed(now)
	}
	if m.probe == 0 {
		m.tries = 0
		switch {
		case m.target() != 0:
			m.probe = m.target()
		case m.size > baseMTU && now >= m.verifyAt:
			m.probe = m.size
		default:
			return 0, changed
		}
	}
	m.tries++
	if m.tries%2 == 0 {
		return 0, changed // ordinary pings go on in between: they tell loss from size
	}
	return m.probe, changed
}

func (m *mtuSearch) failed(now mono.Time) (changed bool) {
	if m.probe <= m.size { // what is in use does not pass any more
		m.size, m.fail = min(baseMTU, m.max), 0
		changed = true
	} else {
		m.fail = m.probe
		if m.target() == 0 {
			m.raiseAt = now.Add(raiseEvery)
		}
	}
	m.probe = 0
	return changed
}

// answered takes in that a packet of the given size passed, and reports
// whether that is news.
func (m *mtuSearch) answered(now mono.Time, size int) bool {
	if m.probe != 0 && size >= m.probe {
		m.probe = 0
		m.verifyAt = now.Add(verifyEvery)
	}
	if size <= m.size || size > m.max {
		return false
	}
	m.size = size
	if m.fail != 0 && m.fail <= size {
		m.fail = 0
	}
	return true
}

// triesFor is how many pings, half of them probes, to spend on one size.
func triesFor(success float64) int {
	success = min(max(success, 0.1), 0.95)
	return 2*int(math.Ceil(math.Log(giveUp)/math.Log(1-success))) + 2
}
