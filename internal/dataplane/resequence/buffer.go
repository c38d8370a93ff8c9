// Package resequence gives ESP packets back in the order their sender numbered
// them, at the PoP where they leave the overlay.
//
// Repair makes packets late, and a peer's replay window (RFC 4303 section
// 3.4.3) refuses what is late. So a packet behind a hole waits, each at most
// until its own deadline, for the hole to be filled; nothing leaves twice; and
// what the peer would refuse anyway is dropped and counted here, where it raises
// no replay alarm. Packets of different SPIs never wait for one another, and IKE,
// keepalives and whatever is not ESP never wait at all.
//
// A Buffer serves one direction of one session. It has no clock, timer, lock or
// socket: its owner passes the time in, and calls Due when Next says so. What
// each packet's deadline is, where it is sent and how sessions are found is for others.
//
// ESP's numbers are read, not verified: only the peers have the keys. A forged
// packet can therefore be let through (the peer throws it away) and, at worst,
// upset the order of the one SPI it names; stream.go says how a lone number far
// from the others is kept from doing even that.
package resequence

import (
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// Buffer puts one direction of one session in order. It takes 48 bytes until the
// first ESP packet comes, then about 80 for each SPI in use while nothing is missing.
//
// A Buffer belongs to the worker its Pool belongs to. Make it with New.
type Buffer struct {
	config  *Config
	pool    *Pool
	natt    bool
	next    mono.Time
	streams []stream // most recently started last; at most config.SPIs
}

// New returns a buffer that lives by config (see Config.Check; it is shared and
// must not change) and takes what it must hold from pool.
//
// natt says that the session's payloads are framed as RFC 3948 asks, as on port
// 4500. Without it nothing is taken for ESP and everything passes at once, which
// is right for port 500 and for traffic that is not IPsec.
func New(config *Config, pool *Pool, natt bool) Buffer {
	return Buffer{config: config, pool: pool, natt: natt}
}

// Push takes the next packet from the overlay and emits it, and whatever it was
// that others waited for, now or later.
//
// deadline is when the packet must have left at the latest; zero means that only
// the configuration's Hold limits its wait. payload stays the caller's: it is
// copied if it must wait. What emit gets is valid until emit returns, and emit
// must not call the Buffer.
func (b *Buffer) Push(now mono.Time, payload []byte, deadline mono.Time, emit func([]byte)) {
	if !b.natt {
		emit(payload)
		return
	}
	p := ipsec.Peek(payload, true)
	if p.Kind != ipsec.ESP {
		emit(payload)
		return
	}
	s := b.stream(now, p.SPI, p.Seq, emit)
	t := turn{b.config, b.pool, now, emit}
	s.push(&t, p.Seq, payload, b.due(now, deadline))
	b.next = b.earliest()
}

// Due gives up the holes for which some packet has waited as long as it may, and
// emits what stood behind them. Calling it early or too often does no harm.
func (b *Buffer) Due(now mono.Time, emit func([]byte)) {
	if b.next.IsZero() || b.next.After(now) {
		return
	}
	t := turn{b.config, b.pool, now, emit}
	for i := range b.streams {
		b.streams[i].expire(&t)
	}
	b.next = b.earliest()
}

// Next returns when Due has something to do; zero when nothing waits.
func (b *Buffer) Next() mono.Time { return b.next }

// Held returns how many packets wait.
func (b *Buffer) Held() (n int) {
	for i := range b.streams {
		n += b.streams[i].held()
	}
	return n
}

// Flush emits all that waits, in order, and forgets every SPI, giving the memory
// back to the pool. Call it when the session ends or its configuration changes;
// the Buffer may be used again. With a nil emit what waits is dropped.
func (b *Buffer) Flush(emit func([]byte)) {
	if emit == nil {
		emit = func([]byte) {}
	}
	t := turn{b.config, b.pool, 0, emit}
	for i := range b.streams {
		b.streams[i].flush(&t)
		b.streams[i].forget(b.pool)
	}
	b.streams, b.next = nil, 0
}

// Reconfigure goes on by another config. What waits is emitted, in order; what
// has left is remembered, so that nothing leaves twice. With a nil emit what waits
// is dropped.
func (b *Buffer) Reconfigure(config *Config, emit func([]byte)) {
	if emit == nil {
		emit = func([]byte) {}
	}
	t := turn{b.config, b.pool, 0, emit}
	for i := range b.streams {
		b.streams[i].flush(&t)
	}
	b.config, b.next = config, 0
}

// due returns until when a packet that comes now may wait.
func (b *Buffer) due(now, deadline mono.Time) mono.Time {
	return mono.Earliest(deadline, now.Add(b.config.hold()))
}

func (b *Buffer) earliest() (at mono.Time) {
	for i := range b.streams {
		at = mono.Earliest(at, b.streams[i].next())
	}
	return at
}

// stream finds the SPI's stream or starts one at seq. Streams that have long been
// silent (rekeyed away) make room first, then the one silent longest.
func (b *Buffer) stream(now mono.Time, spi, seq uint32, emit func([]byte)) *stream {
	for i := range b.streams {
		if b.streams[i].spi == spi {
			return &b.streams[i]
		}
	}
	oldest := -1
	for i := range b.streams {
		if oldest < 0 || b.streams[i].active.Before(b.streams[oldest].active) {
			oldest = i
		}
	}
	full := len(b.streams) >= b.config.spis()
	if oldest >= 0 && (full || now.Sub(b.streams[oldest].active) >= forgottenAfter) {
		s := &b.streams[oldest]
		t := turn{b.config, b.pool, now, emit}
		s.flush(&t)
		s.forget(b.pool)
		*s = begin(now, spi, seq)
		return s
	}
	b.streams = append(b.streams, begin(now, spi, seq))
	return &b.streams[len(b.streams)-1]
}
