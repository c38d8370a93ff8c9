package resequence

import "causeway/internal/mono"

// Rest is the order of one direction of a session while it is at rest: packets of one
// SPI come one after the other and nothing is missing. A third of a Buffer's memory,
// and none elsewhere: most sessions are so nearly all the time. The zero Rest has seen nothing.
type Rest struct {
	spi, base uint32
	active    mono.Time
	run       uint16 // how many numbers up to base all left; 0: nothing was seen
}

// Pass takes in a packet and reports whether it may leave at once, with nothing else
// to do: it is the first, or the next. Otherwise a Buffer must go on: see Resume.
func (r *Rest) Pass(now mono.Time, spi, seq uint32, pool *Pool) bool {
	switch {
	case r.run == 0:
		r.spi = spi
	case spi != r.spi || seq != r.base+1:
		return false
	}
	r.base, r.active = seq, now
	if r.run < seenBits {
		r.run++
	}
	pool.Count.Released++
	return true
}

// Resume returns the number of a buffer of pool's that goes on from where r stands.
func (r *Rest) Resume(config *Config, pool *Pool, natt bool) uint32 {
	n := pool.takeBuffer()
	b := pool.Buffer(n)
	streams := b.streams[:0]
	*b = New(config, pool, natt)
	b.streams = streams
	if r.run > 0 {
		b.streams = append(b.streams, stream{spi: r.spi, base: r.base, top: r.base, run: uint32(r.run), active: r.active})
	}
	return n
}

// Rest returns what goes on in b's place, if nothing is missing or waits in b and it
// has one SPI that is not long silent.
func (b *Buffer) Rest(now mono.Time) (r Rest, ok bool) {
	at := -1
	for i := range b.streams {
		s := &b.streams[i]
		if s.ring != nil || s.seen != nil || s.suspect.count > 0 {
			return r, false
		}
		if len(b.streams) > 1 && now.Sub(s.active) >= forgottenAfter {
			continue
		}
		if at >= 0 {
			return r, false
		}
		at = i
	}
	if at < 0 || b.streams[at].run == 0 {
		return r, false
	}
	s := &b.streams[at]
	return Rest{spi: s.spi, base: s.base, active: s.active, run: uint16(s.run)}, true
}

// Buffer is the pool's buffer of that number: see Rest.Resume.
func (p *Pool) Buffer(n uint32) *Buffer { return p.buffers[n-1] }

// Drop gives a buffer back, in which nothing may wait. Its number is another's then.
func (p *Pool) Drop(n uint32) {
	b := p.buffers[n-1]
	for i := range b.streams {
		b.streams[i].forget(p)
	}
	clear(b.streams)
	b.streams, b.next = b.streams[:0], 0
	p.buffersFree = append(p.buffersFree, n)
}

func (p *Pool) takeBuffer() uint32 {
	if n := len(p.buffersFree); n > 0 {
		free := p.buffersFree[n-1]
		p.buffersFree = p.buffersFree[:n-1]
		return free
	}
	p.buffers = append(p.buffers, new(Buffer))
	return uint32(len(p.buffers))
}
