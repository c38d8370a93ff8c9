package repair

import (
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// presume adds to what the newest report had missing the symbols that ought to have
// arrived before it was made and of which the peer knows nothing yet, because nothing
// has arrived since.
func (e *Endpoint) presume(now mono.Time, s *sender) {
	if !e.burstiness().matters() {
		return
	}
	made := now.Add(-e.rtt.smooth - 2*e.rtt.variance - 2*time.Millisecond - e.reorderGuard())
	old := made.Add(-e.timing(s.mode).age / 10)
	for s.known != s.next && s.sentAt(s.known) < made {
		s.missing = append(s.missing, code.Unknown{Seq: s.known})
		if s.told == s.known && s.sentAt(s.known) <= old {
			s.told++
		}
		s.known++
		s.presumed++
	}
}

// knownEnough is how likely nothing must be wanting after repairs have been sent for
// what is known to be missing.
const knownEnough = 0.6

// react does what the newest report makes necessary for a stream.
func (e *Endpoint) react(now mono.Time, s *sender, out Out) {
	s.expire(now, e.budget(s.mode)-deadlineMargin/2)
	e.settle(s)
	e.cutNow(s)
	if s.inLots {
		e.actLots(now, s, out)
		s.due = s.tailAt(e)
		return
	}
	e.act(now, s, out)
	e.believe(now, s)
	if d, _ := s.deficit(s.openStart(), s.known-s.presumed); d > 0 {
		for s.belief.none() < knownEnough && e.purse.afford(e.reserve()) && e.sendRepair(now, s, out) {
		}
	}
	e.pump(now, s, out)
	s.due = s.tailAt(e)
}

// settle drops the log's entries whose fate is known.
func (e *Endpoint) settle(s *sender) {
	for s.logTail < s.logHead {
		en := &s.log[s.logTail&uint64(len(s.log)-1)]
		if e.wires[en.wire].flight.fate(en.number) == inFlight {
			return
		}
		s.logTail++
	}
}

// pending yields the entries that are still on their way, with the chance that they
// are lost. What ought to have arrived before the newest report was made but had
// not is lost, although nothing sent after it has arrived either.
func (e *Endpoint) pending(s *sender, now mono.Time, yield func(en *entry, loss float64)) {
	overdue := now.Add(-e.rtt.smooth - 2*e.rtt.variance - time.Millisecond - e.reorderGuard())
	for i := s.logTail; i < s.logHead; i++ {
		en := &s.log[i&uint64(len(s.log)-1)]
		if e.wires[en.wire].flight.fate(en.number) != inFlight {
			continue
		}
		if en.at < overdue {
			yield(en, 1)
		} else {
			yield(en, e.lossOf(en.wire))
		}
	}
}

// believe starts the stream's belief anew from the report and what is under way.
func (e *Endpoint) believe(now mono.Time, s *sender) {
	from := s.openStart()
	if s.next-from > code.MaxSpan {
		from = s.next - code.MaxSpan
	}
	// What is only presumed missing will be acted on; until then repairs for it would
	// most likely meet the same bad spell.
	sure := s.known - s.presumed
	d, _ := s.deficit(from, sure)
	// What is missing but may only be late is under way.
	e.pending(s, now, func(en *entry, loss float64) {
		if !en.repair && code.Before(en.last, s.known) && !code.Before(en.last, from) && s.isMissing(en.last) {
			d--
		}
	})
	s.belief.set(d)
	e.pending(s, now, func(en *entry, loss float64) {
		switch {
		case code.Before(en.last, from):
		case en.repair:
			s.belief.repair(loss)
		case !code.Before(en.last, sure) && code.Before(en.last, s.known):
		case !code.Before(en.last, s.known) || s.isMissing(en.last):
			s.belief.source(loss, 1)
		}
	})
}
