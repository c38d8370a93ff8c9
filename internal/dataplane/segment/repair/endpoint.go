package repair

import (
	"encoding/binary"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/sliding"
	"causeway/internal/mono"
)

// Endpoint is one end of a segment: it repairs what it sends and what it
// receives. One goroutine may use it at a time.
type Endpoint struct {
	cfg   Config
	coder code.Codec

	wires  [MaxWires]wireState
	usable []uint8 // wires to send on, best first
	turn   int     // whose turn it is among equals
	rtt    rttMeter

	suspects int // wires that were suspected at the last look

	measures measures

	tx [streams]*sender
	rx [streams]*receiver

	advice   [Modes]timing // what the peer asked of our reports
	copies   copier
	acker    acker
	reporter reporter
	purse    purse

	last      uint16 // number of the newest report taken in
	anyTaken  bool
	beatList  []streamNext
	in        report // scratch of takeReport
	out       report // of fillReport
	events    []int8
	heal      [maxDeficit + 1]float64
	scratch   closingScratch
	spreading spreadScratch
	buf       []byte // datagram in the making
	stampAt   mono.Time
	stampFor  Mode

	stats Stats
	added delays
}

// wireState is one wire, both directions.
type wireState struct {
	known bool
	up    bool
	rtt   time.Duration
	mtu   int

	flight flight
	loss   lossMeter
	heard  arrivals // what came over the peer's wire of this number

	suspect   bool      // it seems dead
	doubt     bool      // it may be
	suspectAt uint64    // number of the next datagram then
	probed    mono.Time // when something was last sent over it all the same

	packets, bytes uint64
}

// New returns an endpoint without wires; until it gets some, what is sent is dropped.
func New(cfg Config) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.OverheadCap == 0 {
		cfg.OverheadCap = DefaultOverheadCap
	}
	if cfg.Residual == 0 {
		cfg.Residual = DefaultResidual
	}
	if cfg.RTT == 0 {
		cfg.RTT = DefaultRTT
	}
	e := &Endpoint{cfg: cfg, coder: cfg.Codec}
	if e.coder == nil {
		e.coder = sliding.Codec{}
	}
	e.rtt.smooth = cfg.RTT
	e.purse.init(cfg.OverheadCap)
	e.copies.init()
	for m := range e.advice {
		e.advice[m] = timing{age: 20 * time.Millisecond, every: 20 * time.Millisecond, answer: cfg.RTT + 5*time.Millisecond, budget: time.Second}
	}
	return e, nil
}

// SetWires says what wires there are and how they do. It may be called at any
// time; wires keep their history by ID.
func (e *Endpoint) SetWires(now mono.Time, list []Wire) {
	var present [MaxWires]bool
	for _, w := range list {
		if w.ID >= MaxWires {
			continue
		}
		present[w.ID] = true
		s := &e.wires[w.ID]
		s.known, s.up, s.mtu = true, w.Up, w.MTU
		if w.RTT > 0 {
			s.rtt = w.RTT
			e.rtt.given(w.RTT)
		}
	}
	for id := range e.wires {
		if !present[id] {
			e.wires[id].known, e.wires[id].up = false, false
		}
	}
	e.rank()
}

// Room returns where to make the next symbol of a mode, of up to n bytes, so that Send
// need not copy it: an empty slice that is lent until Send is given what begins there,
// or Room is called again for the mode. It is nil where it would be of no use.
func (e *Endpoint) Room(mode Mode, n int) []byte {
	if mode >= Off || n > code.MaxSymbol {
		return nil
	}
	if s := e.tx[2*int(mode)+1]; s != nil {
		return s.enc.Room(n)
	}
	return nil
}

// Send takes one symbol to the peer. It is copied, or made in Room.
func (e *Endpoint) Send(now mono.Time, mode Mode, class Class, symbol []byte, out Out) {
	if mode >= Off || !e.cfg.PeerRepairs || len(symbol) > code.MaxSymbol {
		e.sendPlain(now, symbol, out)
		return
	}
	e.stats.Sent.Sources++
	id := streamOf(mode, len(symbol))
	s := e.tx[id]
	if s == nil {
		s = newSender(uint8(id), mode, e.coder, code.Config{History: e.history()})
		e.tx[id] = s
	}
	s.rate.add(now)
	if class == Urgent || !s.rate.dense(now, max(e.rtt.smooth, poolsFor)) {
		e.sendCopies(now, mode, class, symbol, out)
		return
	}
	e.sendCoded(now, s, symbol, out)
}

// sendPlain sends a symbol once.
func (e *Endpoint) sendPlain(now mono.Time, symbol []byte, out Out) {
	e.stats.Sent.Plain++
	b := append(e.begin(kindPlain), byte(Off))
	e.transmit(now, e.nextWire(), append(b, symbol...), out)
}

// begin starts a datagram of the given kind; transmit writes the wire number.
func (e *Endpoint) begin(kind byte) []byte {
	return append(e.buf[:0], kind, 0, 0)
}

// transmit sends the datagram b, numbered and noted, and returns its number. It was
// begun in e.buf.
func (e *Endpoint) transmit(now mono.Time, wire uint8, b []byte, out Out) uint64 {
	if cap(b) > cap(e.buf) {
		e.buf = b
	}
	return e.put(now, wire, b, out)
}

// put is transmit for a datagram that lies anywhere.
func (e *Endpoint) put(now mono.Time, wire uint8, b []byte, out Out) uint64 {
	w := &e.wires[wire]
	n := w.flight.add(now, len(b))
	at := 1
	if b[0] == kindCarrier {
		at = carrierHeader + int(b[1]) + 1
	}
	binary.BigEndian.PutUint16(b[at:], uint16(n))
	w.packets++
	w.bytes += uint64(len(b))
	out.Transmit(wire, b)
	return n
}

// Receive takes in one plaintext that came over the peer's wire of that number.
// Symbols are delivered before it returns, each once, in whatever order they come.
// Anything that is not understood is dropped and counted.
func (e *Endpoint) Receive(now mono.Time, wire uint8, pn uint64, payload []byte, deliver Deliver, out Out) {
	if wire >= MaxWires || !e.receive(now, wire, payload, deliver, out) {
		e.stats.Received.Malformed++
	}
}

func (e *Endpoint) receive(now mono.Time, wire uint8, b []byte, deliver Deliver, out Out) bool {
	if len(b) < 3 {
		return false
	}
	fresh := false
	if b[0] == kindCarrier {
		n := int(b[1])
		if len(b) < carrierHeader+n+3 || b[carrierHeader+n] == kindCarrier {
			return false
		}
		inner := b[carrierHeader+n:]
		fresh = e.wires[wire].heard.take(now, binary.BigEndian.Uint16(inner[1:]))
		if !e.takeReport(now, b[carrierHeader:carrierHeader+n], out) {
			return false
		}
		b = inner
	} else {
		fresh = e.wires[wire].heard.take(now, binary.BigEndian.Uint16(b[1:]))
	}
	switch kind, body := b[0], b[3:]; {
	case kind == kindPlain:
		if len(body) < 1 {
			return false
		}
		if !fresh {
			e.stats.Received.Duplicates++
			break
		}
		e.stats.Received.Plain++
		deliver(Off, body[1:])
	case kind == kindCopy:
		return e.takeCopy(now, body, deliver, out)
	case kind == kindReport:
		return e.takeReport(now, body, out)
	case kind == kindBeat:
		return e.takeBeat(now, body, out)
	case kind >= kindSource && int(kind) < kindSource+streams:
		return e.takeSource(now, int(kind-kindSource), body, deliver)
	case kind >= kindRepair && int(kind) < kindRepair+streams:
		return e.takeRepair(now, int(kind-kindRepair), body, deliver)
	default:
		return false
	}
	return true
}

// history is how many symbols of a stream are remembered at most.
func (e *Endpoint) history() int {
	if e.cfg.History == 0 {
		return code.MaxHistory
	}
	return e.cfg.History
}

// receiverOf returns the receiving side of a stream.
func (e *Endpoint) receiverOf(id int) *receiver {
	if e.rx[id] == nil {
		e.rx[id] = newReceiver(Mode(id/2), e.coder, code.Config{History: e.history()}, &e.added)
	}
	return e.rx[id]
}

func (e *Endpoint) takeSource(now mono.Time, id int, b []byte, deliver Deliver) bool {
	if len(b) < 3 {
		return false
	}
	r := e.receiverOf(id)
	r.source(now, widen24(b, r.next), b[3:], e.advice[r.mode], deliver)
	e.reporter.heard(now)
	return true
}

func (e *Endpoint) takeRepair(now mono.Time, id int, b []byte, deliver Deliver) bool {
	if len(b) < 2 {
		return false
	}
	number := binary.BigEndian.Uint16(b)
	span, payload, ok := code.ParseSpan(b[2:])
	if !ok {
		return false
	}
	r := e.receiverOf(id)
	r.repair(now, span, number, payload, e.advice[r.mode], deliver)
	e.reporter.heard(now)
	return true
}

func (e *Endpoint) takeBeat(now mono.Time, b []byte, out Out) bool {
	list, ok := parseBeat(b, e.beatList[:0])
	if !ok {
		return false
	}
	e.beatList = list
	for _, n := range list {
		r := e.receiverOf(int(n.stream))
		// A beat that runs ahead of all that was received by more than the history is no beat of ours.
		if ahead := n.next - r.next; int32(ahead) <= int32(r.noticed.most) {
			r.advance(now, n.next, e.advice[r.mode])
		}
	}
	e.reporter.want(now)
	return true
}

// Tick does what is due at now.
func (e *Endpoint) Tick(now mono.Time, deliver Deliver, out Out) {
	e.tickReports(now, out)
	e.tickCopies(now, out)
	for _, s := range e.tx {
		if s != nil {
			e.tickSender(now, s, out)
		}
	}
}

// NextDue returns when Tick has something to do; zero means never, as things stand.
func (e *Endpoint) NextDue() mono.Time {
	next := mono.Earliest(e.reporter.due(e), e.copies.due)
	for _, s := range e.tx {
		if s != nil {
			next = mono.Earliest(next, s.due)
		}
	}
	return next
}
