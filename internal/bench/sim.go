package bench

import (
	"time"

	"causeway/internal/mono"
	"causeway/internal/weather"
)

// end is one end of what is judged, the real code or a baseline: sans-IO, as a
// repair.Endpoint is.
type end interface {
	Send(now mono.Time, symbol []byte, out outlet)
	Receive(now mono.Time, wire uint8, pn uint64, payload []byte, deliver func(symbol []byte), out outlet)
	Tick(now mono.Time, deliver func(symbol []byte), out outlet)
	NextDue() mono.Time
}

// outlet takes datagrams for a wire.
type outlet interface {
	Transmit(wire uint8, payload []byte) (pn uint64)
}

// sim runs two ends over links in virtual time. Events of one instant happen in
// the order in which they were caused.
type sim struct {
	now  mono.Time
	ends [2]end
	side [2]side
	heap heap
	free [][]byte
	tick [2]mono.Time

	after func() // called after each event, if not nil
	cross *cross // may be nil
}

// side is one direction's links: what end i sends goes over side i.
type side struct {
	s     *sim
	to    int
	links []*weather.Link
	pn    []uint64

	packets, bytes uint64
	drops          [weather.DropReasons]uint64
	deliver        func(symbol []byte) // what arrives at end to
}

// sealed is what the segment, UDP and IPv4 add to each datagram, in bytes.
const sealed = 60

// Transmit implements outlet: the datagram meets its link's weather.
func (d *side) Transmit(wire uint8, payload []byte) uint64 {
	if int(wire) >= len(d.links) {
		return 0
	}
	pn := d.pn[wire]
	d.pn[wire]++
	d.packets++
	d.bytes += uint64(len(payload) + sealed)
	v := d.links[wire].Offer(d.s.now, len(payload)+sealed)
	d.drops[v.Drop]++
	for i := range v.N {
		d.s.heap.push(event{at: v.At[i], to: uint8(d.to), wire: wire, pn: pn, payload: d.s.copy(payload)})
	}
	return pn
}

// newSim connects a (end 0) and b (end 1) by wires of the two profiles.
func newSim(a, b end, forward, back weather.Profile, wires int, seed uint64) *sim {
	s := &sim{now: mono.Time(time.Hour), ends: [2]end{a, b}}
	for i, p := range []weather.Profile{forward, back} {
		d := &s.side[i]
		d.s, d.to = s, 1-i
		d.pn = make([]uint64, wires)
		for w := range wires {
			l := weather.NewNamed(p, seed, []string{"forward ", "back "}[i]+string(rune('a'+w)))
			l.Start(s.now)
			d.links = append(d.links, l)
		}
	}
	return s
}

func (s *sim) copy(b []byte) []byte {
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free = s.free[:n-1]
		return append(c[:0], b...)
	}
	return append(make([]byte, 0, max(2048, len(b))), b...)
}

// send gives end i a symbol now.
func (s *sim) send(i int, symbol []byte) {
	s.ends[i].Send(s.now, symbol, &s.side[i])
	s.tick[i] = s.ends[i].NextDue()
}

// until runs all events before t, then goes to t.
func (s *sim) until(t mono.Time) {
	for {
		next, who := t, -1
		for i, at := range s.tick {
			if at != 0 && at < next {
				next, who = at, i
			}
		}
		if e, ok := s.heap.top(); ok && e.at <= next && e.at < t && (s.cross == nil || e.at <= s.cross.due()) {
			s.arrive(s.heap.pop())
			if s.after != nil {
				s.after()
			}
			continue
		}
		if s.cross != nil {
			if at := s.cross.due(); at < next {
				s.now = max(s.now, at)
				s.cross.run(s.now)
				continue
			}
		}
		if who < 0 {
			s.now = t
			return
		}
		s.now = max(s.now, next)
		s.ends[who].Tick(s.now, s.side[1-who].deliver, &s.side[who])
		if s.tick[who] = s.ends[who].NextDue(); s.tick[who] != 0 {
			// An end that is never content must not stop time.
			s.tick[who] = max(s.tick[who], s.now+1000)
		}
	}
}

func (s *sim) arrive(e event) {
	s.now = e.at
	s.ends[e.to].Receive(s.now, e.wire, e.pn, e.payload, s.side[1-e.to].deliver, &s.side[e.to])
	s.tick[e.to] = s.ends[e.to].NextDue()
	s.free = append(s.free, e.payload)
}

// event is a datagram about to arrive.
type event struct {
	at      mono.Time
	order   uint64
	pn      uint64
	payload []byte
	to      uint8
	wire    uint8
}

// heap is a binary heap of events, earliest first, equals in order of pushing.
type heap struct {
	e []event
	n uint64
}

func (h *heap) top() (*event, bool) {
	if len(h.e) == 0 {
		return nil, false
	}
	return &h.e[0], true
}

func (h *heap) less(i, j int) bool {
	a, b := &h.e[i], &h.e[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (h *heap) push(e event) {
	e.order = h.n
	h.n++
	h.e = append(h.e, e)
	for i := len(h.e) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			return
		}
		h.e[i], h.e[up] = h.e[up], h.e[i]
		i = up
	}
}

func (h *heap) pop() event {
	top := h.e[0]
	last := len(h.e) - 1
	h.e[0] = h.e[last]
	h.e[last] = event{}
	h.e = h.e[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return top
		}
		h.e[i], h.e[c] = h.e[c], h.e[i]
		i = c
	}
}
