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
	// verifyBusy and verifyIdle are how often the size in use is proven anew,
	// raiseEvery how often a larger one is tried again.
	verifyBusy = 2 * time.Second
	verifyIdle = 10 * time.Second
	raiseEvery = 10 * time.Minute
	// giveUp is how unlikely a run of lost probes must be before it means "too large".
	giveUp = 1e-5
)

// mtuSearch finds the largest IP packet that passes a wire. All sizes are IP
// packets in bytes.
type mtuSearch struct {
	size int // proven, or base
	max  int // what to try at most
	fail int // the smallest that failed; 0: none did

	probe    int       // being tried; 0: none
	tries    int       // probes sent of that size
	probedAt mono.Time // when the last was sent
	provenAt mono.Time // when the size in use was last proven
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

// moment is what the search is told of the wire at each ping.
type moment struct {
	now      mono.Time
	success  float64       // share of ordinary pings that are answered
	patience time.Duration // how long an answer may take
	busy     bool          // frames flow
}

// next is asked at every ping and returns the size that a probe beside it is to
// prove, or 0 for no probe. changed reports that the size in use was found not
// to pass any more.
func (m *mtuSearch) next(at moment) (probe int, changed bool) {
	if m.raiseAt != 0 && at.now >= m.raiseAt {
		m.fail, m.raiseAt = 0, 0
	}
	if m.probe != 0 && m.tries >= triesFor(at.success) {
		if at.now.Sub(m.probedAt) < at.patience {
			return 0, false // the last one's answer may be on its way
		}
		changed = m.failed(at.now)
	}
	if m.probe == 0 {
		m.tries = 0
		verify := verifyIdle
		if at.busy {
			verify = verifyBusy
		}
		switch {
		case m.target() != 0:
			m.probe = m.target()
		case m.size > baseMTU && at.now.Sub(m.provenAt) >= verify:
			m.probe = m.size
		default:
			return 0, changed
		}
	}
	m.tries++
	m.probedAt = at.now
	return m.probe, changed
}

func (m *mtuSearch) failed(now mono.Time) (changed bool) {
	if m.probe <= m.size { // what is in use does not pass any more
		m.size, m.fail = min(baseMTU, m.max), 0
		changed = true
	} else {
		m.fail = m.probe
	}
	m.ended(now)
	return changed
}

// ended closes the search of one size, and plans the next of larger ones when
// nothing is left to try below one that failed.
func (m *mtuSearch) ended(now mono.Time) {
	m.probe = 0
	if m.fail != 0 && m.target() == 0 && m.raiseAt == 0 {
		m.raiseAt = now.Add(raiseEvery)
	}
}

// answered takes in that a packet of the given size passed, and reports
// whether that is news.
func (m *mtuSearch) answered(now mono.Time, size int) (news bool) {
	if size >= m.size {
		m.provenAt = now
	}
	if size > m.size && size <= m.max {
		m.size, news = size, true
		if m.fail <= size {
			m.fail = 0
		}
	}
	if m.probe != 0 && size >= m.probe {
		m.ended(now)
	}
	return news
}

// triesFor is how many probes to spend on one size.
func triesFor(success float64) int {
	success = min(max(success, 0.1), 0.95)
	return int(math.Ceil(math.Log(giveUp)/math.Log(1-success))) + 1
}
