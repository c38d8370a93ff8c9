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

	noticed []mono.Time // by number: when a symbol was first known to have been sent
	next    uint32      // as dec.Next()
	missing int         // about how many are; exact after look
	list    []code.Unknown

	due     mono.Time // when to look at what is missing; zero: nothing is
	trimmed mono.Time
	mark    uint32 // dec.Next() at the time of trimming; older symbols go next time

	got, recovered, duplicates, expired, late uint64
	repairs, useless                          uint64
}

func newReceiver(mode Mode, c code.Codec, cfg code.Config) *receiver {
	r := &receiver{mode: mode, noticed: make([]mono.Time, cfg.Slots())}
	r.dec = c.NewDecoder(cfg, func(seq uint32, symbol []byte) {
		r.recovered++
		r.missing--
		r.deliver(r.mode, symbol)
	})
	return r
}

// timing is how the sender of a mode wants its reports; see stamp.
type timing struct {
	age    time.Duration // report what has been missing for this long
	every  time.Duration // at most this often
	budget time.Duration // give up on what has been missing for this long
}

// source takes a symbol as it was sent.
func (r *receiver) source(now mono.Time, seq uint32, symbol []byte, t timing, deliver Deliver) {
	r.deliver = deliver
	verdict := r.dec.Source(seq, symbol)
	r.notice(now, t)
	switch verdict {
	case code.Fresh:
		r.missing--
		r.got++
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
	r.deliver = deliver
	r.repairs++
	if r.dec.Repair(span, id, payload) != code.Fresh {
		r.useless++
	}
	r.notice(now, t)
}

// advance takes in that the symbols before next have been sent.
func (r *receiver) advance(now mono.Time, next uint32, t timing) {
	r.dec.Advance(next)
	r.notice(now, t)
}

// notice dates the symbols newly known to have been sent.
func (r *receiver) notice(now mono.Time, t timing) {
	next := r.dec.Next()
	if next == r.next {
		return
	}
	n := next - r.next
	r.missing += int(n)
	if n > uint32(len(r.noticed)) {
		n = uint32(len(r.noticed))
	}
	for ; n > 0; n-- {
		r.noticed[(next-n)&uint32(len(r.noticed)-1)] = now
	}
	r.next = next
	if r.due == 0 {
		r.due = now.Add(t.age)
	}
}

// since returns how long seq has been known to be missing.
func (r *receiver) since(now mono.Time, seq uint32) time.Duration {
	return now.Sub(r.noticed[seq&uint32(len(r.noticed)-1)])
}

// look brings the list of what is missing up to date, gives up on what is too old,
// and forgets symbols that no repair can need any more.
func (r *receiver) look(now mono.Time, t timing) {
	r.list = r.dec.Missing(r.list[:0])
	for len(r.list) > 0 && r.since(now, r.list[0].Seq) > t.budget {
		r.dec.Expire(r.list[0].Seq)
		r.expired++
		r.list = r.dec.Missing(r.list[:0])
	}
	r.missing = len(r.list)
	if keep := 2*t.budget + 100*time.Millisecond; now.Sub(r.trimmed) > keep {
		r.dec.Drop(r.mark)
		r.mark, r.trimmed = r.dec.Next(), now
	}
}

// check is look at the due time. It reports whether the sender must hear of what
// has been missing for long enough, given when it last heard, and sets the next
// due time.
func (r *receiver) check(now, reported mono.Time, t timing) bool {
	r.look(now, t)
	if r.missing == 0 {
		r.due = 0
		return false
	}
	r.due = now.Add(t.age - r.since(now, r.list[0].Seq))
	if next := reported.Add(t.every); reported != 0 && r.due < next {
		r.due = next
	}
	if r.due > now {
		return false
	}
	r.due = now.Add(t.every)
	return true
}

// report fills in the stream's part of a report.
func (r *receiver) report(now mono.Time, t timing, s *streamReport) {
	r.look(now, t)
	s.present = true
	s.base, s.count = r.dec.Next(), 0
	if len(r.list) == 0 {
		return
	}
	s.base = r.list[0].Seq
	s.count = min(int(r.dec.Next()-s.base), maxStreamCount)
}
