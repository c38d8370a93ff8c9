package repair

import (
	"encoding/binary"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/mono"
)

// sendCoded sends a symbol of a coded stream, and repairs when they are worth it.
func (e *Endpoint) sendCoded(now mono.Time, s *sender, symbol []byte, out Out) {
	if !s.enc.Add(s.next, symbol) {
		return
	}
	seq := s.next
	s.at.room(s.live, s.next, s.next+1)
	s.at.set(seq, now)
	s.next++
	s.lastSend, s.beats = now, 0
	s.lastRounds -= s.lastRounds * lastRoundsDecay
	e.purse.source(len(symbol))

	e.probe(now, s, out)
	wire := e.nextWire()
	n := e.sendSource(now, s, seq, wire, out)
	s.note(entry{at: now, number: n, first: seq, last: seq, wire: wire})
	e.chooseLots(s, seq)
	s.belief.source(e.lossOf(wire), 1)
	s.expire(now, e.budget(s.mode)-deadlineMargin/2)
	if s.inLots {
		e.pumpLot(now, s, out)
	} else {
		e.pump(now, s, out)
	}
	s.due = s.tailAt(e)
}

// sendSource sends symbol seq as it is, where it lies if it goes by itself.
func (e *Endpoint) sendSource(now mono.Time, s *sender, seq uint32, wire uint8, out Out) uint64 {
	b, _ := s.enc.Headed(seq, sourceHeader)
	kind := byte(kindSource + int(s.id))
	if front := e.riding(now, e.wires[wire].mtu-len(b)); front != nil {
		front = append(front, kind, 0, 0, byte(seq>>16), byte(seq>>8), byte(seq))
		return e.transmit(now, wire, append(front, b[sourceHeader:]...), out)
	}
	b[0], b[3], b[4], b[5] = kind, byte(seq>>16), byte(seq>>8), byte(seq)
	return e.put(now, wire, b, out)
}

// riding is what goes in front of a datagram, if something does: a report, if one is
// soon due and fits into room bytes (then it is no packet of its own), or a stamp.
func (e *Endpoint) riding(now mono.Time, room int) []byte {
	soon := now.Add(rideWithin)
	if due := e.reporter.due(e); e.reporter.last == 0 || due == 0 || due > soon {
		return e.stamped(now)
	}
	if n := e.reportSize(now); n > 255 || n+carrierHeader > room || !e.reportDue(soon) {
		return e.stamped(now)
	}
	r := e.fillReport(now)
	b := r.append(append(e.buf[:0], kindCarrier, 0), min(carrierHeader+255, room))
	if r.more() { // what did not fit after all
		e.reporter.want(now)
	}
	b[1] = byte(len(b) - carrierHeader)
	e.stats.Sent.Ridden++
	return b
}

// stamped is a stamp to go in front of a datagram, from time to time.
func (e *Endpoint) stamped(now mono.Time) []byte {
	if e.stampAt != 0 && now.Sub(e.stampAt) < stampEvery {
		return nil
	}
	var r report
	e.fillStamp(now, &r)
	e.fillEcho(now, &r)
	b := r.append(append(e.buf[:0], kindCarrier, 0), carrierHeader+255)
	b[1] = byte(len(b) - carrierHeader)
	return b
}

// beginStamped starts a datagram of the given kind, with a stamp in front from time to time.
func (e *Endpoint) beginStamped(now mono.Time, kind byte) []byte {
	if b := e.stamped(now); b != nil {
		return append(b, kind, 0, 0)
	}
	return e.begin(kind)
}

const stampEvery = 50 * time.Millisecond

// sendSpan sends one repair over span, and logs it.
func (e *Endpoint) sendSpan(now mono.Time, s *sender, span code.Span, wire uint8, out Out) bool {
	if span.Empty() {
		return false
	}
	head := repairFixed + span.Size()
	if cap(e.buf) < head+code.LengthSize+code.MaxSymbol {
		e.buf = make([]byte, 0, head+code.LengthSize+code.MaxSymbol+256)
	}
	b := e.buf[:cap(e.buf)]
	used, n := s.enc.Repair(b[head:], span, s.rep)
	if n == 0 {
		return false
	}
	if used != span {
		// The payload does not depend on where it stands; the header may be shorter now.
		payload := b[head : head+n]
		head = repairFixed + used.Size()
		copy(b[head:], payload)
	}
	h := append(b[:0], byte(kindRepair+int(s.id)), 0, 0)
	h = binary.BigEndian.AppendUint16(h, s.rep)
	used.Append(h)
	s.rep++
	e.purse.spend(n)
	e.stats.Sent.Repairs++
	number := e.transmit(now, wire, b[:head+n], out)
	s.note(entry{at: now, number: number, first: used.First, last: used.Last(), wire: wire, repair: true})
	return true
}

// resend sends a symbol again as it is.
func (e *Endpoint) resend(now mono.Time, s *sender, seq uint32, out Out) {
	symbol, ok := s.enc.Symbol(seq)
	if !ok {
		return
	}
	e.turn++
	wire := e.repairWire(e.turn)
	e.purse.spend(len(symbol))
	s.resent++
	e.stats.Sent.Repairs++
	b := append(e.begin(byte(kindSource+int(s.id))), byte(seq>>16), byte(seq>>8), byte(seq))
	n := e.transmit(now, wire, append(b, symbol...), out)
	s.note(entry{at: now, number: n, first: seq, last: seq, wire: wire, repair: true})
}
