package repair

import (
	"math"
	"time"

	"causeway/internal/mono"
)

// lossMeter estimates how one wire loses: the mean, how much likelier a loss is
// shortly after another, and how long losses run. It is fed fates in order of
// sending. The mean is taken over a window that grows while the loss looks
// steady and is cut short as soon as the newest fates contradict it, so that it
// is exact in calm weather and follows a change within a few dozen packets.
type lossMeter struct {
	ring  [meterRing]outcome
	n     uint64 // fates seen
	begin uint64 // first fate in the long window
	lostN int    // losses in the long window

	shortLost int // losses among the newest meterShort
	midLost   int // losses among the newest meterMid

	lag [len(lags)]lagMeter

	runs, runLost  float64 // decaying: runs of losses, and losses in them
	inRun          int     // losses in a row so far
	calmSeen       float64 // decaying: fates that belong to no outage
	calmLost       float64 // and losses
	totalN, totalL uint64
	shifts         uint64 // changes of the weather noticed

	climate float64 // the loss over so many fates that single bad spells do not show
}

// outcome is one datagram's end.
type outcome struct {
	at   mono.Time
	lost bool
}

const (
	meterRing    = 8192
	meterShort   = 64               // what shows that the weather has become worse
	meterMid     = 512              // and what it takes to show that it has become better
	meterLong    = 6000             // most fates in the long window
	meterAge     = 20 * time.Second // and their age
	meterLeast   = 256              // but this many count whatever their age
	meterClimate = 8192             // fates that climate is taken over, roughly
	// shift is how many standard deviations the short window must be away from
	// the long one to be taken for new weather.
	shift = 4.0
	// lastingRuns is how many runs the run-length estimate remembers, roughly.
	lastingRuns = 200
)

// lags are the distances at which conditional loss is measured: a loss is judged by
// the first datagram that follows it by at least the first figure and at most the
// second. Two lags are needed to tell how bad a bad spell is from how long it lasts.
var lags = [...][2]time.Duration{
	{400 * time.Microsecond, 4 * time.Millisecond},
	{5 * time.Millisecond, 12 * time.Millisecond},
	{16 * time.Millisecond, 60 * time.Millisecond},
}

const reportedLag = 1 // index of the 5 ms that Stats speaks of

// lagMeter counts pairs (lost, and what came lag later), with decay.
type lagMeter struct {
	behind   uint64 // next fate to be taken as a pair's earlier half
	pairs    float64
	bothLost float64
	apart    float64 // their distances, seconds
}

const lagDecay = 1 - 1.0/1000

// add takes in the next fate.
func (m *lossMeter) add(at mono.Time, wasLost bool) {
	m.ring[m.n%meterRing] = outcome{at: at, lost: wasLost}
	m.n++
	m.totalN++
	if wasLost {
		m.lostN++
		m.shortLost++
		m.midLost++
		m.totalL++
	}
	if m.n > meterShort && m.ring[(m.n-1-meterShort)%meterRing].lost {
		m.shortLost--
	}
	if m.n > meterMid && m.ring[(m.n-1-meterMid)%meterRing].lost {
		m.midLost--
	}
	for m.n-m.begin > meterLong || m.n-m.begin > meterLeast && at.Sub(m.ring[m.begin%meterRing].at) > meterAge {
		m.dropOldest()
	}
	one := 0.0
	if wasLost {
		one = 1
	}
	m.climate += (one - m.climate) / float64(min(m.totalN, meterClimate))
	m.countRun(wasLost)
	for i := range m.lag {
		m.countLag(&m.lag[i], lags[i], at)
	}
	m.noticeShift()
}

func (m *lossMeter) dropOldest() {
	if m.ring[m.begin%meterRing].lost {
		m.lostN--
	}
	m.begin++
}

func (m *lossMeter) countRun(wasLost bool) {
	if wasLost {
		if m.inRun == 0 {
			m.runs = m.runs*(1-1.0/lastingRuns) + 1
			m.runLost *= 1 - 1.0/lastingRuns
		}
		m.runLost++
		m.inRun++
		return
	}
	run := float64(m.inRun)
	if m.inRun >= outageRun {
		run = 0
	}
	m.inRun = 0
	m.calmSeen += run + 1 - m.calmSeen/calmMemory
	m.calmLost += run - m.calmLost/calmMemory
}

const (
	// outageRun is how many losses in a row are an outage and no weather.
	outageRun = 24
	// calmMemory is how many arrivals the loss in calm weather is taken over.
	calmMemory = 100
)

// calm returns the loss but for outages: what is to be expected when one is over.
func (m *lossMeter) calm() float64 { return (m.calmLost + priorLoss) / (m.calmSeen + 1) }

// countLag judges by the newest fate the lost ones that lie lag before it.
func (m *lossMeter) countLag(l *lagMeter, lag [2]time.Duration, now mono.Time) {
	newest := m.ring[(m.n-1)%meterRing]
	if m.n-l.behind > meterRing {
		l.behind = m.n - meterRing
	}
	for ; l.behind < m.n-1; l.behind++ {
		o := m.ring[l.behind%meterRing]
		gap := now.Sub(o.at)
		if gap < lag[0] {
			return
		}
		if !o.lost || gap > lag[1] {
			continue
		}
		l.pairs = l.pairs*lagDecay + 1
		l.apart = l.apart*lagDecay + gap.Seconds()
		l.bothLost *= lagDecay
		if newest.lost {
			l.bothLost++
		}
	}
}

// noticeShift cuts the long window down when the newest fates disagree with it.
func (m *lossMeter) noticeShift() {
	// A few bad spells within a short window are no change of the weather.
	if m.shortLost > 0 && m.run() < 4 && m.deviates(meterShort, m.shortLost) > shift {
		m.cut(meterShort)
	} else if m.n%16 == 0 && math.Abs(m.deviates(meterMid, m.midLost)) > shift {
		m.cut(meterMid)
	}
}

// deviates is by how many standard deviations the newest n fates have more losses
// than those before them in the long window.
func (m *lossMeter) deviates(n, losses int) float64 {
	older := float64(m.n-m.begin) - float64(n)
	if older < float64(n) && older < 2*meterShort {
		return 0
	}
	old := (float64(m.lostN-losses) + 0.5) / (older + 1)
	now := float64(losses) / float64(n)
	// Losses in runs are fewer independent observations than they look.
	run := 2*m.run() - 1
	sigma := math.Sqrt(old*(1-old)*run*(1/float64(n)+1/older)) + 0.25/float64(n)
	return (now - old) / sigma
}

func (m *lossMeter) cut(n uint64) {
	for m.n-m.begin > n {
		m.dropOldest()
	}
	m.shifts++
}

// mean returns the loss and the standard deviation of the estimate.
func (m *lossMeter) mean() (p, sigma float64) {
	n := float64(m.n - m.begin)
	p = (float64(m.lostN) + priorLoss) / (n + 1)
	sigma = math.Sqrt(p * (1 - p) * (2*m.run() - 1) / (n + 1))
	return min(p, 0.99), sigma
}

// priorLoss is what is expected of a wire nobody has measured.
const priorLoss = 0.3

// margin is what to add to the mean where too little is worse than too much: more
// standard deviations the less has been seen.
func (m *lossMeter) margin() float64 {
	_, sigma := m.mean()
	return sigma * (0.5 + 2*math.Exp(-float64(m.n-m.begin)/600))
}

// known reports whether the meter has seen enough to be believed.
func (m *lossMeter) known() bool { return m.n-m.begin >= meterShort }

// run returns the mean number of losses in a row.
func (m *lossMeter) run() float64 {
	if m.runs < 1 {
		return 1
	}
	return m.runLost / m.runs
}

// after returns the probability of a loss lag i after one.
func (m *lossMeter) after(i int) float64 {
	p, _ := m.mean()
	// Twenty imagined pairs keep a few real ones from saying much.
	return (m.lag[i].bothLost + 20*p) / (m.lag[i].pairs + 20)
}
