package repair

import (
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// sender is the sending side of one stream: what was sent and may still be
// repaired, what the receiver is believed to miss of it, and when to do what
// about that.
type sender struct {
	id   uint8
	mode Mode
	enc  code.Encoder
	next uint32
	at   timeline // when sent
	live uint32   // what is before is too old to be worth anything
	rep  uint16   // id of the next repair

	// The last report.
	base     uint32 // all before are there, or given up
	known    uint32 // it speaks of all before this
	missing  []code.Unknown
	spare    []code.Unknown // to make the next list in
	presumed uint32         // so many of the last symbols before known are only presumed missing
	told     uint32         // what is missing before this has been missing for long enough to act on
	acted    uint32         // what is missing before this has been acted on
	acts     [16]act        // ring: the newest actions
	nActs    int

	log      []entry // ring of what was sent since, by logHead
	logTail  uint64  // oldest entry without a fate
	logHead  uint64
	belief   belief
	rate     rateMeter
	lastSend mono.Time
	beats    int // heartbeats since the last source

	due     mono.Time // when tickSender has something to do
	spreads []spread  // rounds under way

	credit float64 // repairs owed where feedback cannot help
	paid   uint32  // for the symbols before this
	blind  blind

	lastRounds float64 // per symbol, lately

	inLots bool   // see lots.go
	began  uint32 // with which symbol that began
	lots   [code.MaxHistory / lotSize]lot

	repairs, closings, closeSymbols, resent uint64
}

// act is a round of repairs for what was missing before upTo.
type act struct {
	upTo uint32
	at   mono.Time
}

// answered returns up to where the effect of all rounds shows in a report that
// answers what was sent before t.
func (s *sender) answered(t mono.Time) uint32 {
	end := s.acted
	for i := s.nActs - 1; i >= 0 && i >= s.nActs-len(s.acts); i-- {
		a := s.acts[i%len(s.acts)]
		if a.at <= t {
			return a.upTo
		}
		end = s.windowStart()
	}
	return end
}

// entry is one packet of the stream on its way.
type entry struct {
	at     mono.Time
	number uint64 // on its wire
	first  uint32 // oldest symbol in it
	last   uint32 // newest symbol in it
	wire   uint8
	repair bool
}

const maxLog = 1 << 15

func newSender(id uint8, mode Mode, c code.Codec, cfg code.Config) *sender {
	return &sender{
		id: id, mode: mode,
		enc:        c.NewEncoder(cfg),
		at:         newTimeline(cfg.Slots()),
		log:        make([]entry, minFlight),
		lastRounds: firstLastRounds,
		spreads:    make([]spread, 0, 24),
	}
}

func (s *sender) sentAt(seq uint32) mono.Time { return s.at.of(seq) }

// note logs a packet. In lots nothing that is under way matters to what is sent next.
func (s *sender) note(e entry) {
	if s.inLots {
		s.logTail = s.logHead
		return
	}
	if s.logHead-s.logTail >= uint64(len(s.log)) {
		if len(s.log) >= maxLog {
			s.logTail++
		} else {
			log := make([]entry, 2*len(s.log))
			for i := s.logTail; i < s.logHead; i++ {
				log[i&uint64(len(log)-1)] = s.log[i&uint64(len(s.log)-1)]
			}
			s.log = log
		}
	}
	s.log[s.logHead&uint64(len(s.log)-1)] = e
	s.logHead++
}

// expire moves live past what can no longer arrive in time.
func (s *sender) expire(now mono.Time, budget time.Duration) {
	if most := uint32(s.at.most); s.next-s.live > most {
		s.live = s.next - most // the encoder holds no more
	}
	for s.live != s.next && now.Sub(s.sentAt(s.live)) > budget {
		s.live++
	}
	s.enc.Drop(s.windowStart())
}

// windowStart is the oldest symbol that repairs may still be for.
func (s *sender) windowStart() uint32 {
	start := s.live
	if code.Before(start, s.base) {
		start = s.base
	}
	return start
}

// openStart is windowStart, less what has been acted on by itself.
func (s *sender) openStart() uint32 {
	start := s.windowStart()
	if code.Before(start, s.acted) {
		start = s.acted
	}
	return start
}

// take takes in the stream's part of a report.
func (s *sender) take(r *streamReport) {
	end := r.from + uint32(r.count)
	sure := s.known - s.presumed
	switch {
	case code.Before(s.next, end):
		return // not of this world
	case r.goesOn && (code.Before(end, s.base) || code.Before(sure, r.from)):
		return // old, or what comes before it was lost
	case !r.goesOn && code.Before(r.from, s.base):
		return // old
	}
	for s.presumed > 0 {
		s.missing = s.missing[:len(s.missing)-1]
		s.presumed--
	}
	s.known = sure
	if code.Before(s.known, end) {
		s.known = end
	}
	// The report is all there is to know of what it speaks of.
	keep := s.spare[:0]
	if r.goesOn {
		keep = append(keep, s.missing[:s.find(r.from)]...)
	} else {
		s.base = r.from
	}
	keep = append(keep, r.list...)
	keep = append(keep, s.missing[s.find(end):]...)
	s.missing, s.spare = keep, s.missing
	if told := r.from + uint32(r.told); r.told > 0 && code.Before(s.told, told) || code.Before(s.told, s.base) {
		s.told = told
	}
}

// find returns the place of the first of missing that is seq or later.
func (s *sender) find(seq uint32) int {
	lo, hi := 0, len(s.missing)
	for lo < hi {
		mid := (lo + hi) / 2
		if code.Before(s.missing[mid].Seq, seq) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// deficit is how many symbols were wanting, by the last report, to solve what is
// missing of [from, upTo), and how many are missing.
func (s *sender) deficit(from, upTo uint32) (d, n int) {
	for _, u := range s.missing[s.find(from):] {
		if !code.Before(u.Seq, upTo) {
			break
		}
		n++
		if !u.Pivot {
			d++
		}
	}
	return d, n
}

// isMissing reports whether the last report had seq missing.
func (s *sender) isMissing(seq uint32) bool {
	i := s.find(seq)
	return i < len(s.missing) && s.missing[i].Seq == seq
}

// rateMeter measures how many symbols a second a stream sends while it is busy.
type rateMeter struct {
	gap  float64 // smoothed distance between symbols, seconds
	last mono.Time
	ring [8]mono.Time // the newest sends
	n    int
}

func (m *rateMeter) add(now mono.Time) {
	if m.last != 0 {
		// A pause says little about the rate within a burst.
		g := min(now.Sub(m.last).Seconds(), 1)
		if m.gap == 0 {
			m.gap = g
		}
		m.gap += (g - m.gap) / 64
	}
	m.last = now
	m.ring[m.n%len(m.ring)] = now
	m.n++
}

// perSecond returns the rate, at least one symbol a second.
func (m *rateMeter) perSecond() float64 {
	if m.gap <= 0 {
		return 1
	}
	return max(1, 1/m.gap)
}

// poolable is how many symbols a round trip must have before coding them together
// beats copies of each: fewer do not fill a window, and what the last of them lost
// is noticed late.
const poolable = 6

// poolsFor is the time that symbols may always take to become so many, however short
// the round trip is: every deadline leaves that much. Each copy is acknowledged at once,
// so without it all that crosses a city would be answered packet by packet.
const poolsFor = 4 * time.Millisecond

// dense reports whether, with a symbol sent now, more than poolable fall within span.
func (m *rateMeter) dense(now mono.Time, span time.Duration) bool {
	return m.n > poolable && now.Sub(m.ring[(m.n-1-poolable)%len(m.ring)]) <= span
}
