package resequence

import (
	"time"

	"causeway/internal/mono"
)

// stream is the order of one SPI. All numbers up to base are settled: released,
// or given up. Beyond base there is a hole, unless ring is nil, and then the ring.
//
// Numbers are compared by their 32-bit difference, so the wrap of the counter
// (the low half of an extended one, too) is nothing special.
//
// What a number far from base means, nobody without the keys can tell: the
// sender may have restarted or lost thousands of packets on the way, or somebody
// may have forged one packet. So a stray is passed on at once, its receiver knows
// better, but the stream moves there only after several in a row.
type stream struct {
	spi  uint32
	base uint32
	top  uint32 // the highest number released; never below base between two calls
	run  uint32 // how many numbers up to base were all released; 4096 stands for more

	suspect suspect
	ring    *ring     // nil while nothing is missing
	seen    *seen     // nil while the last run numbers are all that counts
	active  mono.Time // when a number beyond base last came
}

const (
	// restartQuiet is longer than repair makes any packet late. Old numbers that
	// come after such a silence are not late but begin again.
	restartQuiet = 2 * time.Second

	// forgottenAfter is when a silent SPI's place may go to another.
	forgottenAfter = time.Minute

	// convinced is how many packets in a row move a stream to where they are.
	convinced = 4
)

// turn is what one call of Push or Due works with.
type turn struct {
	config *Config
	pool   *Pool
	now    mono.Time
	emit   func([]byte)
}

func (t *turn) release(payload []byte) {
	t.pool.Count.Released++
	t.emit(payload)
}

// releaseHeld releases a packet that waited and takes back its memory.
func (t *turn) releaseHeld(p *packet) {
	t.pool.Count.Waited++
	if wait := t.now.Sub(p.since); wait > 0 {
		t.pool.Count.WaitedTime += wait
	}
	t.release(p.bytes)
	t.pool.drop(p)
}

// begin starts a stream whose first packet is seq, which the caller pushes next.
func begin(now mono.Time, spi, seq uint32) stream {
	return stream{spi: spi, base: seq - 1, top: seq - 1, active: now}
}

// push takes the packet numbered seq, which may wait until due.
func (s *stream) push(t *turn, seq uint32, payload []byte, due mono.Time) {
	ahead := seq - s.base
	switch {
	case int32(ahead) <= 0:
		s.pushSettled(t, seq, payload)
		return
	case ahead > t.config.strayGap() && s.suspect.has(seq):
		t.pool.Count.Duplicates++
		return
	case ahead > t.config.believed():
		s.pushFar(t, seq, payload)
		return
	case s.ring != nil && ahead <= s.ring.size() && s.ring.has(seq):
		t.pool.Count.Duplicates++
		return
	}
	s.active = t.now
	if ahead <= t.config.strayGap() {
		s.suspect.doubt()
	}
	if ahead == 1 || t.config.Mode == Off || !due.After(t.now) || !s.wait(t, seq, payload, due) {
		s.giveUpBefore(t, seq)
		s.settle(t, seq, payload)
	}
}

// settle releases the packet just behind base, and those that waited for it.
func (s *stream) settle(t *turn, seq uint32, payload []byte) {
	t.release(payload)
	s.step(t)
	s.proceed(t)
}

// wait puts the packet into the ring, releasing it first if it is within reach.
// It reports false, and has done nothing, when there is no memory.
func (s *stream) wait(t *turn, seq uint32, payload []byte, due mono.Time) bool {
	ahead := seq - s.base
	if !s.span(t, ahead) {
		t.pool.Count.PoolFull++
		return false
	}
	if ahead <= t.config.reach() {
		s.ring.add(s.base, seq, due, nil)
		s.raise(seq)
		t.release(payload)
		return true
	}
	p := t.pool.keep(payload, t.now)
	if p == nil {
		t.pool.Count.PoolFull++
		s.dropEmptyRing(t)
		return false
	}
	s.ring.add(s.base, seq, due, p)
	return true
}

// span makes the ring long enough for a number that far ahead of base.
func (s *stream) span(t *turn, ahead uint32) bool {
	if s.ring != nil && ahead <= s.ring.size() {
		return true
	}
	larger := t.pool.ring(ahead)
	if larger == nil {
		return false
	}
	if s.ring != nil {
		s.ring.moveTo(larger, s.base)
		t.pool.dropRing(s.ring)
	}
	s.ring = larger
	return true
}

// proceed releases what no hole holds back any more: the entries right behind
// base, and in mode Windowed those that have come within reach of it.
func (s *stream) proceed(t *turn) {
	s.closeUp(t)
	if s.ring == nil || t.config.Mode != Windowed {
		return
	}
	// Whatever is at most top was released before.
	for s.ring.waiting > 0 {
		seq := s.ring.after(s.base, s.top)
		if seq == s.top || seq-s.base > t.config.reach() {
			return
		}
		s.raise(seq)
		t.releaseHeld(s.ring.leave(seq))
	}
}

// closeUp moves base over the entries right behind it, releasing those that wait.
func (s *stream) closeUp(t *turn) {
	for s.ring != nil && s.ring.has(s.base+1) {
		if p := s.ring.take(s.base + 1); p != nil {
			t.releaseHeld(p)
		}
		s.step(t)
		s.dropEmptyRing(t)
	}
}

// expire gives up the holes in front of entries that are due.
func (s *stream) expire(t *turn) {
	for s.ring != nil {
		first := s.ring.after(s.base, s.base)
		if s.ring.at(first).due.After(t.now) {
			return
		}
		lone := s.ring.count < convinced && first-s.base > t.config.strayGap()
		if lone && s.suspect.add(first) < convinced {
			t.pool.Count.Strays++
			t.releaseHeld(s.ring.take(first))
			s.dropEmptyRing(t)
			continue
		}
		s.skipTo(t, first-1)
		s.recall(t)
		s.proceed(t)
	}
}

// giveUpBefore settles all numbers before seq: what waits is released in order,
// what is missing is given up.
func (s *stream) giveUpBefore(t *turn, seq uint32) {
	for s.ring != nil {
		first := s.ring.after(s.base, s.base)
		if int32(first-seq) >= 0 {
			break
		}
		s.skipTo(t, first-1)
		s.closeUp(t)
	}
	s.skipTo(t, seq-1)
}

// pushSettled takes a packet whose number is settled already: a duplicate, one
// that the peer still accepts although it was given up, or one too late.
func (s *stream) pushSettled(t *turn, seq uint32, payload []byte) {
	had := s.released(seq)
	switch {
	case !had && s.top-seq < t.config.acceptable():
		s.remember(t)
		s.seen.set(seq)
		t.release(payload)
	case t.now.Sub(s.active) >= restartQuiet && s.suspect.add(seq) >= convinced:
		s.flush(t)
		s.forget(t.pool)
		s.restart(t, seq, payload)
	case had:
		t.pool.Count.Duplicates++
	default:
		t.pool.Count.LateReplay++
	}
}

// pushFar takes a packet too far ahead to be believed.
func (s *stream) pushFar(t *turn, seq uint32, payload []byte) {
	if s.suspect.add(seq) < convinced {
		t.pool.Count.Strays++
		t.release(payload)
		return
	}
	s.discard(t)
	s.forget(t.pool)
	s.restart(t, seq, payload)
}

// restart moves the stream to seq, which the last few packets have led to.
func (s *stream) restart(t *turn, seq uint32, payload []byte) {
	t.pool.Count.Restarts++
	led := s.suspect
	*s = begin(t.now, s.spi, seq)
	s.suspect = led
	s.recall(t)
	s.settle(t, seq, payload)
}

// recall marks the strays that were passed on, up to base, as released.
func (s *stream) recall(t *turn) {
	for back := uint32(0); back < 64 && s.suspect.count > 0; back++ {
		seq := s.suspect.top - back
		if below := s.base - seq; s.suspect.recent>>back&1 != 0 && below < seenBits {
			s.remember(t)
			s.seen.set(seq)
		}
	}
	s.suspect = suspect{}
}

// released reports whether a settled number has left already.
func (s *stream) released(seq uint32) bool {
	back := s.base - seq
	if s.seen == nil {
		return back < s.run
	}
	return back < seenBits && s.seen.has(seq)
}

// remember gives the stream a seen that says what run says.
func (s *stream) remember(t *turn) {
	if s.seen == nil {
		s.seen = t.pool.memory()
		s.seen.fill(s.base-s.run+1, s.run)
	}
}

// step settles the number behind base as released.
func (s *stream) step(t *turn) {
	s.base++
	s.raise(s.base)
	if s.seen != nil {
		s.seen.set(s.base)
	}
	if s.run < seenBits {
		s.run++
	} else if s.seen != nil {
		t.pool.dropMemory(s.seen)
		s.seen = nil
	}
}

// skipTo settles the numbers up to seq as given up.
func (s *stream) skipTo(t *turn, seq uint32) {
	n := seq - s.base
	if n == 0 {
		return
	}
	t.pool.Count.GivenUp += uint64(n)
	s.remember(t)
	s.seen.forget(s.base+1, n)
	s.base, s.run = seq, 0
}

func (s *stream) raise(seq uint32) {
	if int32(seq-s.top) > 0 {
		s.top = seq
	}
}

func (s *stream) dropEmptyRing(t *turn) {
	if s.ring.count == 0 {
		t.pool.dropRing(s.ring)
		s.ring = nil
	}
}

// flush releases all that waits, in order.
func (s *stream) flush(t *turn) {
	for s.ring != nil {
		s.skipTo(t, s.ring.after(s.base, s.base)-1)
		s.proceed(t)
	}
}

// discard drops all that waits, because the peer has already had packets far beyond it.
func (s *stream) discard(t *turn) {
	for s.ring != nil {
		if p := s.ring.take(s.ring.after(s.base, s.base)); p != nil {
			t.pool.Count.LateReplay++
			t.pool.drop(p)
		}
		s.dropEmptyRing(t)
	}
}

// forget gives the stream's memory back; nothing may wait.
func (s *stream) forget(pool *Pool) {
	if s.seen != nil {
		pool.dropMemory(s.seen)
		s.seen = nil
	}
}

func (s *stream) held() int {
	if s.ring == nil {
		return 0
	}
	return s.ring.waiting
}

// next returns when expire has something to do; zero when never.
func (s *stream) next() mono.Time {
	if s.ring == nil {
		return 0
	}
	return s.ring.firstDue(s.base)
}

// suspect is a run of packets at numbers that the stream does not believe in yet.
type suspect struct {
	top    uint32
	count  uint8
	recent uint64 // bit i: top-i was passed on
}

// suspectGap is how far apart two packets of one suspected run may be.
const suspectGap = 1024

// add notes a number and returns how many in a row now lead there.
func (c *suspect) add(seq uint32) uint8 {
	ahead, back := seq-c.top, c.top-seq
	switch {
	case c.count > 0 && back < 64:
		c.recent |= 1 << back
	case c.count > 0 && ahead <= suspectGap:
		c.recent = c.recent<<ahead | 1
		c.top = seq
		c.count = min(c.count+1, convinced)
	default:
		*c = suspect{top: seq, count: 1, recent: 1}
	}
	return c.count
}

// doubt makes the run begin anew, since packets still come where they are expected.
// What was passed on stays known.
func (c *suspect) doubt() { c.count = min(c.count, 1) }

func (c *suspect) has(seq uint32) bool {
	back := c.top - seq
	return c.count > 0 && back < 64 && c.recent>>back&1 != 0
}
