package dataplane

import (
	"encoding/binary"
	"time"

	"causeway/internal/dataplane/segment"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// links is what a neighbour last said of its own segments: what choosing a way
// over it needs to know of the stretch beyond.
type links struct {
	at   mono.Time
	list []link
}

type link struct {
	to   snapshot.Label
	up   bool
	rtt  time.Duration
	loss float64 // share of packets lost on the way there, before repair
}

// A links message, a segment's control message:
//
//	0      type, 1
//	1      how many follow
//	then each:
//	0..1   label of the PoP at the other end
//	2..5   round-trip time, µs; the top bit is set when it is up
//	6..7   loss on the way there, in 1/65,535
const (
	controlLinks = 1
	linkLen      = 8
	maxLinks     = 128
	// linksAge is how old a neighbour's word may be.
	linksAge = 5 * time.Second
)

// tellLinks says to every neighbour how this PoP's segments are.
func (e *Engine) tellLinks(now mono.Time) {
	msg := append(e.header[:0], controlLinks, 0)
	for _, p := range e.plan.neighbours {
		if len(msg) > len(e.header)-linkLen {
			break
		}
		q := p.segment.Quality(now)
		word := uint32(min(q.RTT.Microseconds(), 1<<31-1))
		if q.Up {
			word |= 1 << 31
		}
		msg = binary.BigEndian.AppendUint16(msg, uint16(p.Label))
		msg = binary.BigEndian.AppendUint32(msg, word)
		msg = binary.BigEndian.AppendUint16(msg, uint16(q.Loss*65535))
		msg[1]++
	}
	for _, p := range e.plan.neighbours {
		p.segment.SendControl(now, msg)
	}
}

// Control implements segment.Host.
func (e *Engine) Control(now mono.Time, s *segment.Segment, msg []byte) {
	p := e.plan.bySegment[s]
	if len(msg) < 2 || msg[0] != controlLinks {
		return // of a later version
	}
	if !parseLinks(&p.links, now, msg) {
		e.drops.add(DropMalformed)
	}
}

func parseLinks(l *links, now mono.Time, msg []byte) bool {
	n := int(msg[1])
	if n > maxLinks || len(msg) < 2+n*linkLen {
		return false
	}
	l.at, l.list = now, l.list[:0]
	for b := msg[2:]; n > 0; n, b = n-1, b[linkLen:] {
		word := binary.BigEndian.Uint32(b[2:])
		l.list = append(l.list, link{
			to:   snapshot.Label(binary.BigEndian.Uint16(b)),
			up:   word>>31 != 0,
			rtt:  time.Duration(word&(1<<31-1)) * time.Microsecond,
			loss: float64(binary.BigEndian.Uint16(b[6:])) / 65535,
		})
	}
	return true
}

// to finds what the neighbour said of its segment to a PoP.
func (l *links) to(now mono.Time, label snapshot.Label) (link, bool) {
	if now.Sub(l.at) > linksAge {
		return link{}, false
	}
	for _, k := range l.list {
		if k.to == label {
			return k, true
		}
	}
	return link{}, false
}
