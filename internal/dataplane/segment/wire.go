package segment

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/route"
)

// A wire asks "are you there" with pings and is answered with pongs:
//
//	ping  0 kind | 1 wire | 2 flags | 3 reserved | 4..7 sequence | 8..15 sender's clock, ns | padding
//	pong  0 kind | 1 wire | 2..3 size of the ping's plaintext | 4..7 sequence | 8..15 the ping's clock
//	      16..19 highest sequence received | 20..27 bits: highest-i was received
//	      28..35 receiver's clock less the ping's clock, ns
//
// The wire is the number that the ping's sender gives it. The bits tell each
// direction's loss apart: what the peer has not seen was lost going there. A ping
// sent once more with padding proves, when it is answered, that packets of its size
// pass (RFC 8899); ICMP is not asked. It counts for nothing else.
//
// Flag 1: the sender hears nothing over this wire, so that the end whose packets are
// lost knows it too, although it hears the other very well.
const (
	kindPing    = 0x01
	kindPong    = 0x02
	kindControl = 0x03

	pingLen = 16
	pongLen = 36

	flagDeaf = 1
)

const (
	pingBusy = 40 * time.Millisecond  // while frames flow: a dead wire shows within 300 ms
	pingIdle = 200 * time.Millisecond // otherwise: enough to compare ways by
	busyFor  = 3 * time.Second

	deadAfter     = 200 * time.Millisecond // least silence of a busy wire that means death
	deadAfterIdle = 2 * time.Second
	deadAfterMost = 1500 * time.Millisecond
	// deadChance is how unlikely an unlucky run of losses must be before silence means death.
	deadChance = 1e-3

	// pingHistory is how many pings loss is judged by.
	pingHistory = 64
)

// WireConfig is one wire of a segment.
type WireConfig struct {
	Name   string
	Remote netip.AddrPort // where it goes; another address is another wire
	MTU    int            // largest IP packet to try, bytes
	IPv6   bool           // 20 bytes more of header
}

type wire struct {
	cfg WireConfig

	up        bool
	upSince   mono.Time
	lastHeard mono.Time
	lastPong  mono.Time
	pingAt    mono.Time
	seq       uint32

	sentAt  [pingHistory]mono.Time // of the pings seq-63…seq
	answers uint64                 // bit i: ping seq-i was answered

	srtt, rttvar, minRTT time.Duration
	estimate             route.Estimator // of the direction to the peer
	here                 route.Estimator // of the direction from the peer
	fated                uint32          // newest of our pings whose fate is known

	// The peer's pings that came over this wire: the highest, and bit i for highest-i.
	heardSeq  uint32
	heardBits uint64

	mtu mtuSearch

	sent, sentBytes       uint64
	arrived, arrivedBytes uint64
}

// SetWires gives the segment its wires. A wire whose configuration did not
// change keeps its place's state.
func (s *Segment) SetWires(now mono.Time, cfg []WireConfig) {
	wires := make([]wire, len(cfg))
	for i, c := range cfg {
		if i < len(s.wires) && s.wires[i].cfg == c {
			wires[i] = s.wires[i]
			continue
		}
		wires[i] = wire{cfg: c, pingAt: now, lastHeard: now, mtu: newMTUSearch(c.MTU)}
	}
	s.wires = wires
	if s.sending == nil {
		s.repeatAt = now
	}
	s.shareWires()
}

// shareWires tells repair and the packers what the wires are like.
func (s *Segment) shareWires() {
	var buf [16]repair.Wire
	list := buf[:0]
	limit := 0
	for i := range s.wires {
		w := &s.wires[i]
		body := w.body()
		list = append(list, repair.Wire{ID: uint8(i), Up: w.up, RTT: w.srtt, MTU: body})
		if limit == 0 || body < limit {
			limit = body
		}
	}
	if len(s.wires) > 0 {
		s.repair.SetWires(s.now, list)
		for i := range s.packers {
			s.packers[i].SetLimit(limit - repair.MaxSourceOverhead)
		}
	}
}

// body is how many bytes of plaintext a datagram on w may have.
func (w *wire) body() int { return w.mtu.size - w.ipOverhead() - seal.Overhead }

func (w *wire) ipOverhead() int {
	if w.cfg.IPv6 {
		return 40 + 8
	}
	return 20 + 8
}

// heard notes a datagram of n bytes that came over w.
func (w *wire) heard(now mono.Time, n int) {
	w.lastHeard = now
	w.arrived++
	w.arrivedBytes += uint64(n)
}

// loss is the share of recent pings that were not answered, leaving out those
// whose answer may still be on its way.
func (w *wire) loss(now mono.Time) float64 {
	asked, lost := 0, 0
	for i := range min(int(w.seq), pingHistory) {
		at := w.sentAt[(w.seq-uint32(i))%pingHistory]
		if at == 0 || now.Sub(at) < w.patience() {
			continue
		}
		asked++
		if w.answers>>i&1 == 0 {
			lost++
		}
	}
	if asked == 0 {
		return 0
	}
	return float64(lost) / float64(asked)
}

// patience is how long an answer may take before it counts as lost.
func (w *wire) patience() time.Duration {
	if w.srtt == 0 {
		return time.Second
	}
	return w.srtt + 4*w.rttvar + 20*time.Millisecond
}

// tolerance is how much silence of a wire is no news: long enough that bad
// luck at its measured loss is an unlikely reason.
func (w *wire) tolerance(now mono.Time, busy bool) time.Duration {
	if !busy {
		return deadAfterIdle + w.srtt
	}
	loss := min(w.loss(now), 0.75)
	t := pingBusy
	for p := 1.0; p > deadChance && t < deadAfterMost; t += pingBusy {
		p *= max(loss, 0.02)
	}
	return min(max(t, deadAfter), deadAfterMost)
}

func (s *Segment) busy(now mono.Time) bool {
	return s.lastFrames != 0 && now.Sub(s.lastFrames) < busyFor
}

// framed notes that frames flow. After a pause wires are pinged more often from now on.
func (s *Segment) framed(now mono.Time) {
	if !s.busy(now) {
		s.busySince = now
		for i := range s.wires {
			w := &s.wires[i]
			w.pingAt = min(w.pingAt, grid(now, pingBusy))
		}
	}
	s.lastFrames = now
}

// grid is the next moment of those at which wires are pinged so often: the same for
// all segments of this PoP, so that what they lose together is measured.
func grid(now mono.Time, interval time.Duration) mono.Time {
	return (now/mono.Time(interval) + 1) * mono.Time(interval)
}

// silence is how long nothing was heard of a wire, while it was pinged as often as it
// is now: the silence before that was waited for at another pace.
func (s *Segment) silence(now mono.Time, w *wire) time.Duration {
	if s.busy(now) {
		return now.Sub(max(w.lastHeard, s.busySince))
	}
	return now.Sub(w.lastHeard)
}

// dueWires pings and judges the wires.
func (s *Segment) dueWires(now mono.Time) {
	if s.sending == nil {
		return
	}
	busy := s.busy(now)
	changed := false
	for i := range s.wires {
		w := &s.wires[i]
		if w.up && s.silence(now, w) > w.tolerance(now, busy) {
			w.up, changed = false, true
			s.cfg.Log.Warn("wire down", "peer", s.cfg.Name, "wire", w.cfg.Name, "silent", now.Sub(w.lastHeard).Round(time.Millisecond))
		}
		if w.pingAt > now {
			continue
		}
		changed = s.ping(now, i) || changed
		interval := pingIdle
		suspect := now.Sub(w.lastHeard) > 2*pingIdle+w.srtt
		if busy || suspect || !w.up || w.mtu.searching() {
			interval = pingBusy
		}
		w.pingAt = grid(now, interval)
	}
	if changed {
		s.shareWires()
	}
}

// ping sends a ping, and reports whether the wire's packet size changed.
func (s *Segment) ping(now mono.Time, i int) (changed bool) {
	w := &s.wires[i]
	w.seq++
	w.answers <<= 1
	w.sentAt[w.seq%pingHistory] = now
	s.sendPing(now, i, pingLen)
	m := moment{now: now, success: 1 - w.loss(now), patience: w.patience(), busy: s.busy(now)}
	probe, changed := w.mtu.next(m)
	if probe != 0 {
		s.sendPing(now, i, probe-w.ipOverhead()-seal.Overhead)
	}
	return changed
}

// sendPing sends the wire's newest ping with size bytes of plaintext.
func (s *Segment) sendPing(now mono.Time, i, size int) {
	w := &s.wires[i]
	buf := s.host.Arena().Alloc(seal.Overhead + size)
	p := buf[seal.HeaderLen : seal.HeaderLen+size]
	clear(p)
	p[0], p[1] = kindPing, byte(i)
	if w.lastHeard != 0 && s.silence(now, w) > w.tolerance(now, s.busy(now)) {
		p[2] = flagDeaf
	}
	binary.BigEndian.PutUint32(p[4:], w.seq)
	binary.BigEndian.PutUint64(p[8:], uint64(now))
	s.sealAndSend(i, buf, buf[seal.HeaderLen:][:size])
}

func (s *Segment) takePing(now mono.Time, local int, p []byte) {
	if len(p) < pingLen || len(s.wires) == 0 {
		return
	}
	back := local
	if back < 0 {
		back = s.bestWire()
	}
	w := &s.wires[back]
	if len(p) == pingLen {
		w.sawPing(now, binary.BigEndian.Uint32(p[4:]))
	}
	if p[2]&flagDeaf != 0 && local >= 0 && w.up && now.Sub(w.lastPong) > deadAfter+w.srtt {
		w.up = false
		s.shareWires()
		s.cfg.Log.Warn("wire down", "peer", s.cfg.Name, "wire", w.cfg.Name, "unanswered", now.Sub(w.lastPong).Round(time.Millisecond))
	}
	skew := uint64(now) - binary.BigEndian.Uint64(p[8:])
	w.here.OneWay(now, time.Duration(skew))
	buf := s.host.Arena().Alloc(seal.Overhead + pongLen)
	q := buf[seal.HeaderLen : seal.HeaderLen+pongLen]
	q[0], q[1] = kindPong, p[1]
	binary.BigEndian.PutUint16(q[2:], uint16(min(len(p), 1<<16-1)))
	copy(q[4:16], p[4:16])
	binary.BigEndian.PutUint32(q[16:], w.heardSeq)
	binary.BigEndian.PutUint64(q[20:], w.heardBits)
	binary.BigEndian.PutUint64(q[28:], skew)
	s.sealAndSend(back, buf, buf[seal.HeaderLen:][:pongLen])
}

// sawPing notes a ping of the peer's, and those before it that did not come.
func (w *wire) sawPing(now mono.Time, seq uint32) {
	ahead := int32(seq - w.heardSeq)
	switch {
	case w.heardBits == 0 || ahead > pingHistory || ahead < -pingHistory: // the first, or the peer began anew
		w.heardSeq, w.heardBits = seq, 1
		w.here.Fate(now, false)
	case ahead > 0:
		for range ahead - 1 {
			w.here.Fate(now, true)
		}
		w.here.Fate(now, false)
		w.heardSeq, w.heardBits = seq, w.heardBits<<ahead|1
	default:
		w.heardBits |= 1 << -ahead
	}
}

func (s *Segment) takePong(now mono.Time, p []byte) {
	if len(p) < pongLen || int(p[1]) >= len(s.wires) {
		return
	}
	w := &s.wires[p[1]]
	seq := binary.BigEndian.Uint32(p[4:])
	sent := mono.Time(binary.BigEndian.Uint64(p[8:]))
	age := w.seq - seq
	if age >= pingHistory || w.sentAt[seq%pingHistory] != sent || sent > now {
		return
	}
	w.lastHeard, w.lastPong = now, now
	if plain := int(binary.BigEndian.Uint16(p[2:])); plain > pingLen {
		s.takeProbe(now, w, plain)
		return
	}
	w.answers |= 1 << age
	w.measure(now.Sub(sent))
	w.estimate.RTT(now, now.Sub(sent))
	w.here.RTT(now, now.Sub(sent))
	w.estimate.OneWay(now, time.Duration(binary.BigEndian.Uint64(p[28:])))
	w.learnFates(binary.BigEndian.Uint32(p[16:]), binary.BigEndian.Uint64(p[20:]), func(sentAt mono.Time, lost bool) {
		if int(p[1]) == s.bestWire() {
			s.host.Fate(s, sentAt, lost)
		}
	})
	changed := false
	if !w.up {
		w.up, w.upSince, changed = true, now, true
		s.cfg.Log.Info("wire up", "peer", s.cfg.Name, "wire", w.cfg.Name, "rtt", w.srtt.Round(100*time.Microsecond))
	}
	if changed || age == 0 {
		s.shareWires()
	}
}

// takeProbe takes in that a ping with so many bytes of plaintext was answered.
func (s *Segment) takeProbe(now mono.Time, w *wire, plain int) {
	if w.mtu.answered(now, plain+w.ipOverhead()+seal.Overhead) {
		s.shareWires()
	}
}

// reorderGuard is how many later pings must have arrived before one that has
// not is taken for lost.
const reorderGuard = 2

// learnFates takes in which of our pings the peer has seen, and tells each fate.
func (w *wire) learnFates(highest uint32, bits uint64, tell func(sentAt mono.Time, lost bool)) {
	if w.seq-highest >= pingHistory { // not one of ours
		return
	}
	for int32(highest-reorderGuard-w.fated) > 0 {
		w.fated++
		age := highest - w.fated
		if age >= pingHistory || w.seq-w.fated >= pingHistory {
			continue // too long ago to tell
		}
		sentAt, lost := w.sentAt[w.fated%pingHistory], bits>>age&1 == 0
		w.estimate.Fate(sentAt, lost)
		tell(sentAt, lost)
	}
}

// measure takes in one round-trip time (RFC 6298's smoothing).
func (w *wire) measure(rtt time.Duration) {
	if w.srtt == 0 {
		w.srtt, w.rttvar, w.minRTT = rtt, rtt/2, rtt
		return
	}
	d := w.srtt - rtt
	if d < 0 {
		d = -d
	}
	w.rttvar += (d - w.rttvar) / 4
	w.srtt += (rtt - w.srtt) / 8
	w.minRTT = min(w.minRTT, rtt)
}

// bestWire is the wire with the least delay among those that are up, or among
// all when none is.
func (s *Segment) bestWire() int {
	best := 0
	for i := range s.wires {
		w, b := &s.wires[i], &s.wires[best]
		if w.up != b.up {
			if w.up {
				best = i
			}
			continue
		}
		if w.srtt != 0 && (b.srtt == 0 || w.srtt < b.srtt) {
			best = i
		}
	}
	return best
}

// within reports whether a lies inside b's memory.
func within(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == 0
	}
	start, end := uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&b[len(b)-1]))
	at := uintptr(unsafe.Pointer(&a[0]))
	return at >= start && at <= end
}

// Quality returns how the segment's best wire is towards the peer: its loss as
// its own packets tell while there are enough, else as pings do; and whether the
// peer answers at all.
func (s *Segment) Quality(now mono.Time) (q route.Quality, up bool) {
	if len(s.wires) == 0 {
		return q, false
	}
	best := s.bestWire()
	w := &s.wires[best]
	q = w.estimate.Quality(now)
	if l, ok := s.repair.WireLoss(now, uint8(best)); ok {
		q.Loss, q.Conditional, q.Burst = l.Mean, l.Conditional, l.Burst
		q.Doubt = min(l.Mean, 2*l.Deviation)
	}
	q.ReverseLoss = w.here.Quality(now).Loss
	return q, s.Up(now)
}

// WireState is one wire's state, for reports.
type WireState struct {
	Name                    string
	Up                      bool
	Since                   mono.Time
	MTU                     int
	RTT, MinRTT, Variation  time.Duration
	ToPeer, ToHere          route.Quality
	Sent, SentBytes         uint64
	Received, ReceivedBytes uint64
	LastHeard               mono.Time
}

// Wires returns the state of every wire, in their order.
func (s *Segment) Wires(now mono.Time) []WireState {
	out := make([]WireState, len(s.wires))
	for i := range s.wires {
		w := &s.wires[i]
		out[i] = WireState{
			Name: w.cfg.Name, Up: w.up, Since: w.upSince, MTU: w.mtu.size,
			RTT: w.srtt, MinRTT: w.minRTT, Variation: w.rttvar, ToPeer: w.estimate.Quality(now), ToHere: w.here.Quality(now),
			Sent: w.sent, SentBytes: w.sentBytes, Received: w.arrived, ReceivedBytes: w.arrivedBytes, LastHeard: w.lastHeard,
		}
	}
	return out
}

// State is the segment's own state, for reports.
type State struct {
	Ready, Shaking bool
	Since          mono.Time // the first keys of the peer's present life
	KeysBorn       mono.Time
	Version        uint8
	Capabilities   uint32
}

// State returns the segment's state.
func (s *Segment) State() State {
	st := State{Ready: s.Ready(), Shaking: s.initiation != nil, Since: s.upSince}
	if s.sending != nil {
		st.KeysBorn, st.Version, st.Capabilities = s.sending.born, s.sending.keys.Version, s.sending.keys.Capabilities
	}
	return st
}

// Body is the most bytes of a datagram's plaintext now, 0 without wires.
func (s *Segment) Body() int {
	least := 0
	for i := range s.wires {
		if b := s.wires[i].body(); least == 0 || b < least {
			least = b
		}
	}
	return least
}

// Refused counts what came for this segment and was not taken, by why.
func (s *Segment) Refused() map[string]uint64 {
	m := map[string]uint64{}
	for why, n := range s.Counters.Opening {
		if why != int(seal.OK) && n > 0 {
			m[seal.Reason(why).String()] = n
		}
	}
	if s.unpacker.Malformed > 0 {
		m["malformed"] = s.unpacker.Malformed
	}
	if s.unpacker.Incomplete > 0 {
		m["incomplete"] = s.unpacker.Incomplete
	}
	return m
}

// FillReport adds what repair knows to a report of the segment.
func (s *Segment) FillReport(now mono.Time, r *report.Segment) {
	st, c := s.repair.Stats(), s.Counters
	cost, got := &r.Repair.ToPeer, &r.Repair.ToHere
	r.Repair.Cap, r.Repair.Budget = s.cfg.Repair.Cap, float64(s.cfg.Repair.Budget)/float64(time.Millisecond)
	cost.Carried, cost.Packets = c.Carried, st.Sent.Packets
	cost.Repairs, cost.Copied, cost.Copies = st.Sent.Repairs, st.Sent.Copied, st.Sent.Copies
	cost.Feedback = st.Sent.Reports + st.Sent.Beats
	if c.Carried > 0 {
		cost.Overhead = float64(st.Sent.Packets) / float64(c.Carried)
		cost.OverheadBytes = float64(st.Sent.Bytes+around*st.Sent.Packets) / float64(c.CarriedBytes+around*c.Carried)
	}
	for i := range r.Wires {
		w := &r.Wires[i]
		if l, ok := s.repair.WireLoss(now, uint8(i)); ok { // better than what pings tell
			w.ToPeer.Ratio, w.ToPeer.Conditional, w.ToPeer.BurstMean = l.Mean, l.Conditional, l.Burst
		}
		cost.RawLoss += w.ToPeer.Ratio / float64(len(r.Wires))
		got.RawLoss += w.ToHere.Ratio / float64(len(r.Wires))
	}
	got.Resent, got.ByCopy = st.Received.Resent, st.Received.ByCopy
	got.Mended = st.Received.Recovered + got.Resent + got.ByCopy
	got.Arrived = st.Received.Symbols + st.Received.Copied + st.Received.Plain - got.Resent - got.ByCopy
	got.Late, got.Expired = st.Received.Late, st.Received.Expired
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	got.Added = report.AddedDelay{P50: ms(st.Received.Added[0]), P95: ms(st.Received.Added[1]), P99: ms(st.Received.Added[2]), P999: ms(st.Received.Added[3])}
	got.Duplicates, got.Useless = st.Received.Duplicates, st.Received.Useless
	if all := got.Arrived + got.Mended + got.Expired; all > 0 {
		got.ResidualLoss = float64(got.Expired-min(got.Late, got.Expired)) / float64(all)
	}
}

// around is what a datagram has beside its plaintext: IPv4, UDP and seal, bytes.
const around = 20 + 8 + seal.Overhead
