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
	b := append(e.beginRiding(now, byte(kindSource+int(s.id)), e.wires[wire].mtu-3-len(symbol)), byte(seq>>16), byte(seq>>8), byte(seq))
	n := e.transmit(now, wire, append(b, symbol...), out)
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

// beginRiding starts a datagram as beginStamped does, or, if a report is soon due and
// fits into room bytes with the rest, with the report in front: then it is no packet
// of its own.
func (e *Endpoint) beginRiding(now mono.Time, kind byte, room int) []byte {
	if e.reporter.last == 0 || room < carrierHeader+3+reportHeader {
		return e.beginStamped(now, kind)
	}
	if n := e.reportSize(now); n > 255 || n+carrierHeader+3 > room || !e.reportDue(now.Add(rideWithin)) {
		return e.beginStamped(now, kind)
	}
	r := e.fillReport(now)
	b := r.append(append(e.buf[:0], kindCarrier, 0), min(carrierHeader+255, room-3))
	if r.more() { // what did not fit after all
		e.reporter.want(now)
	}
	b[1] = byte(len(b) - carrierHeader)
	e.stats.Sent.Ridden++
	return append(b, kind, 0, 0)
}

// beginStamped starts a datagram, with a stamp in front from time to time.
func (e *Endpoint) beginStamped(now mono.Time, kind byte) []byte {
	if e.stampAt != 0 && now.Sub(e.stampAt) < stampEvery {
		return e.begin(kind)
	}
	var r report
	e.fillStamp(now, &r)
	e.fillEcho(now, &r)
	b := r.append(append(e.buf[:0], kindCarrier, 0), carrierHeader+255)
	b[1] = byte(len(b) - carrierHeader)
	return append(b, kind, 0, 0)
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
