package dataplane

import (
	"encoding/binary"
	"math"
	"time"

	"causeway/internal/dataplane/segment"
	"causeway/internal/mono"
	"causeway/internal/route"
	"causeway/internal/snapshot"
)

// links is what a neighbour last said of its own segments: what choosing a way
// over it needs to know of the stretch beyond.
type links struct {
	at   mono.Time
	list []link
}

type link struct {
	to      snapshot.Label
	up      bool
	quality route.Quality // towards that PoP
}

// A links message, a segment's control message:
//
//	0      type, 1
//	1      how many follow
//	then each:
//	0..1   label of the PoP at the other end
//	2..5   round-trip time, µs; the top bit: it is up
//	6..9   one-way delay there, µs; the top bit: it was measured
//	10..11 jitter of that delay, 100 µs
//	12..13 loss on the way there, before repair, in 1/65,535
//	14..15 how much of that may be chance
//	16..17 loss of a packet within 5 ms of a lost one
//	18..19 loss on the way back
//
// Longer entries of a later version would be a message of another type.
const (
	controlLinks = 1
	linkLen      = 20
	maxLinks     = 64
	// linksAge is how old a neighbour's word may be.
	linksAge = 5 * time.Second
)

// tellLinks says to every neighbour how this PoP's segments are: the direct ones, which
// others' packets may go on over.
func (e *Engine) tellLinks(now mono.Time) {
	msg := append(e.linksBuf[:0], controlLinks, 0)
	for _, p := range e.plan.neighbours {
		if p.relay != nil {
			continue
		}
		if msg[1] == maxLinks {
			break
		}
		q, up := p.segment.Quality(now)
		p.toldUp = up
		msg = appendLink(msg, link{p.Label, up, q})
		msg[1]++
	}
	e.linksBuf = msg
	e.linksAt = now.Add(linksEvery)
	for _, p := range e.plan.neighbours {
		if p.relay == nil {
			p.segment.SendControl(now, msg)
		}
	}
}

// tellChanges tells the neighbours at once when a segment has come or gone.
func (e *Engine) tellChanges(now mono.Time) {
	for _, p := range e.plan.neighbours {
		if p.relay == nil && p.segment.Up(now) != p.toldUp {
			e.tellLinks(now)
			return
		}
	}
}

// Control implements segment.Host.
func (e *Engine) Control(now mono.Time, s *segment.Segment, msg []byte) {
	p := e.plan.bySegment[s]
	if len(msg) < 2 || msg[0] != controlLinks {
		return // of a later version
	}
	if !p.links.parse(now, msg) {
		e.drops.add(DropMalformed)
	}
}

func appendLink(b []byte, l link) []byte {
	const top = 1 << 31
	flag := func(d time.Duration, set bool) uint32 {
		word := uint32(min(max(d.Microseconds(), 0), top-1))
		if set {
			word |= top
		}
		return word
	}
	b = binary.BigEndian.AppendUint16(b, uint16(l.to))
	b = binary.BigEndian.AppendUint32(b, flag(l.quality.RTT, l.up))
	b = binary.BigEndian.AppendUint32(b, flag(l.quality.OneWay, l.quality.Known))
	b = binary.BigEndian.AppendUint16(b, uint16(min(max(l.quality.Jitter/(100*time.Microsecond), 0), math.MaxUint16)))
	for _, share := range [...]float64{l.quality.Loss, l.quality.Doubt, l.quality.Conditional, l.quality.ReverseLoss} {
		b = binary.BigEndian.AppendUint16(b, uint16(min(max(share, 0), 1)*math.MaxUint16))
	}
	return b
}

// parse takes in a links message and reports whether it makes sense.
func (l *links) parse(now mono.Time, msg []byte) bool {
	n := int(msg[1])
	if n > maxLinks || len(msg) < 2+n*linkLen {
		return false
	}
	l.at, l.list = now, l.list[:0]
	for b := msg[2:]; n > 0; n, b = n-1, b[linkLen:] {
		l.list = append(l.list, parseLink(b))
	}
	return true
}

func parseLink(b []byte) link {
	const top = 1 << 31
	micros := func(at int) time.Duration {
		return time.Duration(binary.BigEndian.Uint32(b[at:])&(top-1)) * time.Microsecond
	}
	share := func(at int) float64 { return float64(binary.BigEndian.Uint16(b[at:])) / math.MaxUint16 }
	q := route.Quality{
		Known: binary.BigEndian.Uint32(b[6:])&top != 0,
		RTT:   micros(2), OneWay: micros(6), Jitter: time.Duration(binary.BigEndian.Uint16(b[10:])) * 100 * time.Microsecond,
		Loss: share(12), Doubt: share(14), Conditional: share(16), ReverseLoss: share(18),
	}
	q.RTTMin, q.LossShort, q.LossLong, q.LossFading = q.RTT, q.Loss, q.Loss, q.Loss
	return link{to: snapshot.Label(binary.BigEndian.Uint16(b)), up: binary.BigEndian.Uint32(b[2:])&top != 0, quality: q}
}

// to finds what the neighbour said of its segment to a PoP.
func (l *links) to(now mono.Time, label snapshot.Label) (link, bool) {
	if l.at == 0 || now.Sub(l.at) > linksAge {
		return link{}, false
	}
	for _, k := range l.list {
		if k.to == label {
			return k, true
		}
	}
	return link{}, false
}
