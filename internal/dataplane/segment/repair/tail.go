package repair

import (
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// tailAt is when the stream's owner should look whether the stream fell silent
// with something unacknowledged.
func (s *sender) tailAt(e *Endpoint) mono.Time {
	return mono.Earliest(s.silentAt(e), s.spreadDue())
}

// silentAt is when the stream counts as silent.
func (s *sender) silentAt(e *Endpoint) mono.Time {
	if s.lastSend == 0 || !code.Before(s.base, s.next) && s.known == s.next {
		return 0
	}
	quiet := max(time.Duration(2e9/s.rate.perSecond()), 10*time.Millisecond)
	switch s.beats {
	case 0:
		return s.lastSend.Add(quiet)
	case 1, 2, 3, 4, 5:
		return s.lastSend.Add(quiet + time.Duration(10<<s.beats)*time.Millisecond)
	}
	return 0
}

// tickSender flushes the tail of a stream that fell silent.
func (e *Endpoint) tickSender(now mono.Time, s *sender, out Out) {
	if s.due == 0 || s.due > now {
		return
	}
	e.tickSpreads(now, s, out)
	if silent := s.silentAt(e); silent == 0 || silent > now {
		s.due = s.tailAt(e)
		return
	}
	if s.beats == 0 && !e.cfg.Tune.NoProactive {
		// Nothing will come after to repair the tail with: settle what is likely missing.
		for s.belief.none() < 0.9 && e.purse.afford(e.reserve()) && e.sendRepair(now, s, out) {
		}
	}
	s.beats++
	b := e.beginStamped(now, kindBeat)
	b = appendBeat(b, []streamNext{{s.id, s.next}})
	e.stats.Sent.Beats++
	e.transmit(now, e.nextWire(), b, out)
	s.due = s.tailAt(e)
}
