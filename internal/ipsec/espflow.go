package ipsec

import "causeway/internal/mono"

// ESPCount is what the sequence numbers of ESP packets show at one place on
// their way, in one direction. Counters only grow, but for Lost: a packet that
// counted as lost and comes after all is taken off again.
type ESPCount struct {
	Packets    uint64 // that came, each number once
	Lost       uint64 // numbers below the newest that have not come
	Duplicates uint64 // numbers that came again
	Reordered  uint64 // that came after a later one
	Outside32  uint64 // of those, so late that a replay window of 32 packets refuses them (RFC 4303 section 3.4.3)
	Outside64  uint64 // likewise, of 64 packets
	Gaps       uint64 // times that a packet came with others missing before it
	LongestGap uint32 // numbers missing at once, at most
	Strays     uint64 // numbers too far from all others to be believed; forged, or after an outage
	SPIs       uint64 // SAs seen: SPIs with at least two packets whose numbers go together
	Refused    uint64 // of Packets: those that this PoP itself did not carry on, for want of bandwidth
}

// Loss is the share of packets that were lost before this place, 0–1.
func (c *ESPCount) Loss() float64 {
	if c.Packets+c.Lost == 0 {
		return 0
	}
	return float64(c.Lost) / float64(c.Packets+c.Lost)
}

const (
	espWords  = 4             // of 64 numbers each that a flow remembers
	espWindow = 64 * espWords // back from the newest, less up to 63 that share its word
	espAgo    = 1 << 16       // a number further back than this is no late packet
	espAhead  = 1 << 16       // one further ahead is believed once others follow it
	espOutage = 1 << 24       // a jump by less than this is an outage, by more a new beginning
	espNear   = 1 << 10       // how near numbers are to one another that go together
	espFollow = 4             // how many must, to move a flow to where they are
	espYoung  = 64            // an SA whose first packet seen has at most this number is seen from its first on
	espFlows  = 8             // SPIs followed at once, in one direction
)

// espFlow follows the numbers of one SPI.
type espFlow struct {
	spi   uint32
	first uint32 // the lowest number that counts
	top   uint32 // the highest that came
	far   uint32 // the last one that was not believed
	count uint32 // of packets; one alone is no SA yet: anyone can send one
	run   uint8  // of numbers near far, in a row
	// seen has a bit for each number, at its low eight bits. Words between top's
	// and its successor, going round, hold the window.
	seen   [espWords]uint64
	active mono.Time // when a number that was believed last came
}

func (f *espFlow) has(seq uint32) bool { return f.seen[seq/64%espWords]&(1<<(seq%64)) != 0 }
func (f *espFlow) mark(seq uint32)     { f.seen[seq/64%espWords] |= 1 << (seq % 64) }

// known reports whether a number at most top still has its bit.
func (f *espFlow) known(seq uint32) bool { return f.top/64-seq/64 < espWords }

// advance moves top to a later number and forgets the words that come round.
func (f *espFlow) advance(seq uint32) {
	for n, word := min(seq/64-f.top/64, espWords), seq/64; n > 0; n, word = n-1, word-1 {
		f.seen[word%espWords] = 0
	}
	f.top = seq
	f.mark(seq)
}

// begin makes f follow an SPI from its first packet on, which counts once
// another shows that it belongs to an SA.
func (f *espFlow) begin(now mono.Time, spi, seq uint32) {
	*f = espFlow{spi: spi, first: seq, top: seq, count: 1, active: now}
	f.mark(seq)
}

// note takes in the next packet of f's SPI.
func (f *espFlow) note(now mono.Time, seq uint32, c *ESPCount) {
	if f.count == 1 {
		if gap := seq - f.top; seq == f.top || gap > espNear && -gap > espNear {
			f.begin(now, f.spi, seq) // nothing speaks for the first one
			return
		}
		f.found(c)
	}
	ahead, back := seq-f.top, f.top-seq
	switch {
	case ahead-1 < espAhead: // 1 … espAhead
		f.forward(seq, ahead-1, c)
	case back < espAgo:
		f.behind(seq, back, c)
	default:
		f.distant(seq, c)
		return
	}
	f.active, f.run = now, 0
	if f.count++; f.count == 0 {
		f.count--
	}
}

// found counts the first packet of an SA.
func (f *espFlow) found(c *ESPCount) {
	c.SPIs++
	c.Packets++
	if f.top <= espYoung { // numbers begin at 1 (RFC 4303 section 3.3.3)
		c.miss(f.top - 1)
		f.first = 1
	}
}

func (c *ESPCount) miss(n uint32) {
	if n == 0 {
		return
	}
	c.Lost += uint64(n)
	c.Gaps++
	c.LongestGap = max(c.LongestGap, n)
}

func (f *espFlow) forward(seq, missing uint32, c *ESPCount) {
	c.Packets++
	c.miss(missing)
	f.advance(seq)
}

// behind takes a number at most top.
func (f *espFlow) behind(seq, back uint32, c *ESPCount) {
	if f.known(seq) {
		if f.has(seq) {
			c.Duplicates++
			return
		}
		f.mark(seq)
	}
	c.Packets++
	c.Reordered++
	if back >= 32 {
		c.Outside32++
	}
	if back >= 64 {
		c.Outside64++
	}
	if before := f.first - seq; f.count < espWindow && int32(before) > 0 { // earlier than the first one seen
		c.Lost += uint64(before - 1)
		f.first = seq
		return
	}
	c.Lost -= min(c.Lost, 1)
}

// distant takes a number that nothing speaks for yet.
func (f *espFlow) distant(seq uint32, c *ESPCount) {
	if gap := seq - f.far; f.run > 0 && (gap <= espNear || -gap <= espNear) && gap != 0 {
		f.run++
	} else {
		f.run = 1
	}
	f.far = seq
	if f.run < espFollow {
		c.Strays++
		return
	}
	if missing := seq - f.top - 1; missing < espOutage {
		f.forward(seq, missing, c)
	} else {
		c.Packets++
		spi, active := f.spi, f.active
		f.begin(active, spi, seq)
		f.count = 2
	}
	f.run = 0
}

// espLane is one direction of an association: its SAs, and what they show together.
type espLane struct {
	ESPCount
	flows []espFlow
	last  uint8 // which of them the packet before was of
}

func (l *espLane) note(now mono.Time, spi, seq uint32) (fresh bool) {
	if int(l.last) < len(l.flows) && l.flows[l.last].spi == spi {
		f := &l.flows[l.last]
		f.note(now, seq, &l.ESPCount)
		return f.count == 2
	}
	for i := range l.flows {
		if f := &l.flows[i]; f.spi == spi {
			l.last = uint8(i)
			f.note(now, seq, &l.ESPCount)
			return f.count == 2
		}
	}
	l.place(now).begin(now, spi, seq)
	return false
}

// place makes room for one more SPI: that of one which was never more than a
// packet, or else the longest silent.
func (l *espLane) place(now mono.Time) *espFlow {
	if len(l.flows) < espFlows {
		l.flows = append(l.flows, espFlow{})
		l.last = uint8(len(l.flows) - 1)
		return &l.flows[l.last]
	}
	worst := 0
	for i := range l.flows {
		a, b := &l.flows[i], &l.flows[worst]
		if lone := a.count < 2; lone != (b.count < 2) {
			if lone {
				worst = i
			}
		} else if a.active < b.active {
			worst = i
		}
	}
	l.last = uint8(worst)
	return &l.flows[worst]
}

// follows reports whether a packet goes on with an SA of this lane: it is newer
// than all that came, and not by more than an outage explains.
func (l *espLane) follows(spi, seq uint32) bool {
	for i := range l.flows {
		if f := &l.flows[i]; f.spi == spi {
			return f.count >= 2 && seq-f.top-1 < espFollowOn
		}
	}
	return false
}

// holds reports whether a packet is of an SA of this lane and near its newest number.
func (l *espLane) holds(spi, seq uint32) bool {
	for i := range l.flows {
		if f := &l.flows[i]; f.spi == spi {
			return f.count >= 2 && seq-f.top+espHeld < 2*espHeld
		}
	}
	return false
}

// espHeld is how far from the newest number a packet still speaks for its sender.
const espHeld = 4096

// espFollowOn is how many packets may have been lost while a client's address changed.
const espFollowOn = 1 << 20
