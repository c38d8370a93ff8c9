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

// Resume returns a buffer that goes on from where r stands.
func (r *Rest) Resume(config *Config, pool *Pool, natt bool) *Buffer {
	b := pool.buffer()
	streams := b.streams[:0]
	*b = New(config, pool, natt)
	b.streams = streams
	if r.run > 0 {
		b.streams = append(b.streams, stream{spi: r.spi, base: r.base, top: r.base, run: uint32(r.run), active: r.active})
	}
	return b
}

// Rest returns what goes on in b's place, if nothing is missing or waits in b and it
// has one SPI that is not long silent. b is not to be used after that.
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
	r = Rest{spi: s.spi, base: s.base, active: s.active, run: uint16(s.run)}
	clear(b.streams)
	b.pool.dropBuffer(b)
	return r, true
}

// buffersKept is how many buffers that are not in use a pool has at most.
const buffersKept = 1024

func (p *Pool) buffer() *Buffer {
	if n := len(p.buffers); n > 0 {
		b := p.buffers[n-1]
		p.buffers = p.buffers[:n-1]
		return b
	}
	return new(Buffer)
}

func (p *Pool) dropBuffer(b *Buffer) {
	if len(p.buffers) < buffersKept {
		p.buffers = append(p.buffers, b)
	}
}
