package repair

import (
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// receiver is the receiving side of one stream: the decoder, how long each symbol
// has been missing, and when the sender must hear of it.
type receiver struct {
	mode    Mode
	dec     code.Decoder
	deliver Deliver // of the call in progress
	now     mono.Time
	added   *delays

	noticed   timeline      // when a symbol came or ought to have come
	noticedAt mono.Time     // when next was last moved
	gap       time.Duration // smoothed distance between symbols
	next      uint32        // as dec.Next()
	missing   int           // about how many are; exact after look
	list      []code.Unknown

	due     mono.Time // when to look at what is missing; zero: nothing is
	told    uint32    // what is missing before this has been told to the sender
	toldAt  mono.Time // when a report last went out
	tells   [8]tell   // ring: the newest tells
	nTells  int
	pausing bool // the sender has said that nothing follows for now
	again   int  // times to tell again without waiting for an answer
	trimmed mono.Time
	mark    uint32 // dec.Next() at the time of trimming; older symbols go next time
	held    uint32 // what is before has been dropped
	looked  uint32 // dec.Next() at the time of the last look

	got, resent, recovered, duplicates, expired, late uint64
	repairs, useless                                  uint64
}

func newReceiver(mode Mode, c code.Codec, cfg code.Config, added *delays) *receiver {
	r := &receiver{mode: mode, added: added, noticed: newTimeline(cfg.Slots())}
	r.dec = c.NewDecoder(cfg, func(seq uint32, symbol []byte) {
		r.recovered++
		r.added.add(r.since(r.now, seq))
		r.missing--
		r.deliver(r.mode, symbol)
	})
	return r
}

// timing is how the sender of a mode wants its reports; see stamp.
type timing struct {
	age     time.Duration // report what has been missing for this long
	ripe    time.Duration // and with it what has been missing for this long; set at the receiving end
	every   time.Duration // at most this often
	answer  time.Duration // after this an answer to a report shows
	repeats int           // how often to say things again, since reports get lost; likewise
	budget  time.Duration // give up on what has been missing for this long
}

// source takes a symbol as it was sent.
func (r *receiver) source(now mono.Time, seq uint32, symbol []byte, t timing, deliver Deliver) {
	r.deliver, r.pausing, r.now = deliver, false, now
	late := code.Before(seq, r.next)
	verdict := r.dec.Source(seq, symbol)
	r.notice(now, t, true)
	switch verdict {
	case code.Fresh:
		r.missing--
		r.got++
		if !late {
			r.added.add(0)
		} else {
			r.added.add(r.since(now, seq))
			if code.Before(seq, r.told) {
				r.resent++
			}
		}
		deliver(r.mode, symbol)
	case code.Expired:
		r.late++
		deliver(r.mode, symbol)
	case code.Duplicate:
		r.duplicates++
	}
}

// repair takes a repair.
func (r *receiver) repair(now mono.Time, span code.Span, id uint16, payload []byte, t timing, deliver Deliver) {
	r.deliver, r.now = deliver, now
	r.repairs++
	if r.dec.Repair(span, id, payload) != code.Fresh {
		r.useless++
	}
	r.notice(now, t, false)
}

// advance takes in that the symbols before next have been sent.
func (r *receiver) advance(now mono.Time, next uint32, t timing) {
	r.dec.Advance(next)
	r.pausing = true
	r.notice(now, t, false)
}

// notice dates the symbols newly known to have been sent; itself says that the newest
// told of itself, by coming.
func (r *receiver) notice(now mono.Time, t timing, itself bool) {
	next := r.dec.Next()
	if next == r.next {
		return
	}
	n := next - r.next
	r.missing += int(n)
	if n > uint32(r.noticed.most) {
		n = uint32(r.noticed.most)
	}
	r.noticed.room(r.held, r.next, next)
	// Those passed over ought to have come in between.
	step := time.Duration(0)
	if since := now.Sub(r.noticedAt); r.noticedAt != 0 && n > 0 {
		// In a pause of the sender nothing was passed over.
		step = min(since/time.Duration(n), 3*r.gap)
		r.gap += (min(since/time.Duration(n), 4*r.gap+time.Millisecond) - r.gap) / 16
	}
	for i := range n {
		r.noticed.set(next-1-i, now.Add(-time.Duration(i)*step))
	}
	r.noticedAt = now
	if next-r.held > plenty && next-r.looked > plenty/4 {
		r.look(now, t)
	}
	gap := r.missing > 0 && next-r.next > 1 || !itself
	r.next = next
	if gap {
		r.due = mono.Earliest(r.due, now.Add(t.age-time.Duration(n)*step))
	}
}

// since returns how long seq has been known to be missing.
func (r *receiver) since(now mono.Time, seq uint32) time.Duration {
	return now.Sub(r.noticed.of(seq))
}

// look brings the list of what is missing up to date, gives up on what is too old,
// and forgets symbols that no repair can need any more.
func (r *receiver) look(now mono.Time, t timing) {
	r.looked = r.dec.Next()
	r.list = r.dec.Missing(r.list[:0])
	old := 0
	for old < len(r.list) && r.since(now, r.list[old].Seq) > t.budget {
		r.dec.Expire(r.list[old].Seq)
		old++
	}
	if old > 0 {
		r.expired += uint64(old)
		r.list = r.dec.Missing(r.list[:0])
	}
	r.missing = len(r.list)
	if keep := 2*t.budget + 100*time.Millisecond; now.Sub(r.trimmed) > keep {
		r.drop(r.mark)
		r.mark, r.trimmed = r.dec.Next(), now
	}
	if next := r.dec.Next(); next-r.held > plenty {
		// A repair that can still be of use holds something that is missing.
		needed := next
		if len(r.list) > 0 {
			needed = r.list[0].Seq
		}
		r.drop(needed - code.MaxSpan)
	}
}

// plenty is how many symbols are remembered for as long as may be.
const plenty = 4096

// drop forgets the symbols before upTo.
func (r *receiver) drop(upTo uint32) {
	if code.Before(r.held, upTo) {
		r.held = upTo
		r.dec.Drop(upTo)
	}
}

// width is over how many numbers the missing symbols stretch, by the last look.
func (r *receiver) width() int {
	if len(r.list) == 0 {
		return 0
	}
	return min(int(r.next-r.list[0].Seq), maxStreamCount)
}

// check is look at the due time. It reports whether the sender must hear of what is
// missing now, and sets the next due time. What is missing is told when it is
// t.age old, so that repairs under way may make it needless; what was told and is
// missing still is told again when an answer ought to have come, or sooner where
// reports get lost.
func (r *receiver) check(now mono.Time, t timing) bool {
	r.look(now, t)
	if r.missing == 0 {
		r.due = 0
		return false
	}
	r.due = never
	if r.again > 0 && code.Before(r.list[0].Seq, r.told) {
		r.due = r.toldAt.Add(t.every)
	}
	r.due = min(r.due, r.answerDue(t))
	for _, u := range r.list {
		if !code.Before(u.Seq, r.told) {
			at := now.Add(t.age - r.since(now, u.Seq))
			if r.toldAt != 0 {
				at = max(at, r.toldAt.Add(t.every/2))
			}
			r.due = min(r.due, at)
			break
		}
	}
	return r.due <= now
}

// tell is one telling of what was missing before upTo.
type tell struct {
	upTo uint32
	at   mono.Time
}

// answerDue is when an answer to something told and missing still ought to have come.
func (r *receiver) answerDue(t timing) mono.Time {
	due := never
	list := r.list
	for i := max(r.nTells-len(r.tells), 0); i < r.nTells; i++ {
		a := &r.tells[i%len(r.tells)]
		any := false
		for len(list) > 0 && code.Before(list[0].Seq, a.upTo) {
			list, any = list[1:], true
		}
		if any {
			due = min(due, a.at.Add(t.answer))
		}
	}
	return due
}

// retell notes that everything told is told again, for which the time has come where
// an answer is due.
func (r *receiver) retell(now mono.Time, t timing) {
	for i := max(r.nTells-len(r.tells), 0); i < r.nTells; i++ {
		if a := &r.tells[i%len(r.tells)]; now.Sub(a.at) >= t.answer {
			a.at = now
		}
	}
}

// report fills in the stream's part of a report, and takes all that has been missing
// for t.ripe or more as told.
func (r *receiver) report(now mono.Time, t timing, s *streamReport) {
	r.look(now, t)
	s.present = true
	s.from, s.count, s.told, s.list = r.dec.Next(), 0, 0, nil
	if len(r.list) == 0 {
		r.told, r.toldAt, r.again, r.due = s.from, now, 0, 0
		return
	}
	s.from, s.list = r.list[0].Seq, r.list
	s.count = int(r.dec.Next() - s.from)
	told := r.dec.Next()
	for _, u := range r.list {
		if !r.pausing && r.since(now, u.Seq) < t.ripe {
			told = u.Seq
			break
		}
	}
	r.retell(now, t)
	if code.Before(r.told, told) {
		r.told, r.again = told, t.repeats
		r.tells[r.nTells%len(r.tells)] = tell{told, now}
		r.nTells++
	} else if r.again > 0 {
		r.again--
	}
	r.toldAt = now
	if code.Before(s.from, r.told) {
		s.told = int(r.told - s.from)
	}
	r.due = now // check sets it right
}
