package netbench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Paced is a Stream that is sent at a rate whether or not anything arrives.
type Paced struct {
	Stream
	Rate float64 // packets a second
	// Scattered draws each packet's client at random, in place of turns.
	Scattered bool
}

// PacedResult is what became of one Paced.
type PacedResult struct {
	Sent, Arrived uint64
	Delays        []time.Duration // of those that arrived, sorted
	// Unjudged arrived, too, but while the generator, which empties the sink, was kept
	// from running: how long they took nobody saw.
	Unjudged uint64
	// NoRoom is how many packets, of all streams together, found no room at the first device.
	NoRoom uint64
}

// At returns the delay that the share q of packets stayed below.
func (r *PacedResult) At(q float64) time.Duration {
	if len(r.Delays) == 0 {
		return 0
	}
	return r.Delays[min(len(r.Delays)-1, int(q*float64(len(r.Delays))))]
}

// Lost is the share that did not arrive.
func (r *PacedResult) Lost() float64 {
	if r.Sent == 0 {
		return 0
	}
	return 1 - float64(min(r.Arrived, r.Sent))/float64(r.Sent)
}

// A paced packet's payload: ESP's SPI and sequence number, which stream it is of and
// when it was sent. PacedSize is the least payload.
const (
	pacedMark = 8
	pacedTime = 12
	PacedSize = 20
	markBase  = 0x5ca1ab00
)

// burstMost bounds how many packets that are due are sent in one call.
const burstMost = 32

// GeneratorRank is RunPaced's thread's: see Core.TakePrompt.
const GeneratorRank = 1

// RunPaced sends all streams for so long, on a core of its own that it keeps busy, and
// empties the sink at the same time. The calling goroutine's thread is spent.
func (g *Generator) RunPaced(core Core, list []Paced, length time.Duration) ([]PacedResult, error) {
	runtime.LockOSThread() // and never unlock
	g.tid.Store(int64(unix.Gettid()))
	defer g.tid.Store(0)
	if err := core.schedule(unix.Gettid(), prompt(GeneratorRank)); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	p := pacing{g: g, results: make([]PacedResult, len(list))}
	for i := range list {
		if list[i].Size < PacedSize {
			return nil, fmt.Errorf("generator: packets of %d bytes, want at least %d", list[i].Size, PacedSize)
		}
		p.add(&list[i], length)
	}
	if err := p.drain(false); err != nil { // what is left of a run before
		return nil, err
	}
	dropped, err := g.Dropped()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	p.ran, p.seen = threadTimeNow(), start
	for end := start.Add(length); ; {
		now := time.Now()
		start = start.Add(p.heldUp(now))
		if now.After(end) {
			break
		}
		if err := p.send(now.Sub(start)); err != nil {
			return nil, err
		}
		if err := p.drain(true); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		if err := p.drain(true); err != nil {
			return nil, err
		}
		_ = p.heldUp(time.Now())
	}
	after, err := g.Dropped()
	if err != nil {
		return nil, err
	}
	for i := range p.results {
		p.results[i].NoRoom = after - dropped
		slices.Sort(p.results[i].Delays)
	}
	return p.results, nil
}

// pacing is a run of RunPaced.
type pacing struct {
	g       *Generator
	streams []pacedStream
	results []PacedResult

	ran    time.Duration // CPU time of the thread,
	seen   time.Time     // and the instant, when it last looked
	unseen int64         // nanotime before which what was sent is not judged
	fresh  []delay       // what has come since
}

// delay is what a packet of a stream took, and when it was sent.
type delay struct {
	stream int
	sent   int64
	took   time.Duration
}

const (
	// heldUpFor is how long the thread must have been without its core to have been held up.
	heldUpFor = 20 * time.Microsecond
	// longHeldUp is from when on the boxes have gone to sleep meanwhile, as they do when nothing
	// comes, and settles for how long waking them is not judged either.
	longHeldUp = time.Millisecond
	settles    = 10 * time.Millisecond
)

// heldUp returns how long the generator was just kept from running, by other work or the
// share that the kernel leaves to it beside real-time threads. What was due meanwhile is not made up for:
// a burst would measure the generator, not the boxes; and what was on its way, or came since it last
// looked, is not judged.
func (p *pacing) heldUp(now time.Time) time.Duration {
	ran := threadTimeNow()
	away := now.Sub(p.seen) - (ran - p.ran)
	p.ran, p.seen = ran, now
	switch {
	case away < heldUpFor:
		away = 0
	case away < longHeldUp:
		p.unseen = max(p.unseen, nanotime())
	default:
		p.unseen = nanotime() + int64(settles)
	}
	for _, d := range p.fresh {
		r := &p.results[d.stream]
		if away > 0 || d.sent < p.unseen {
			r.Unjudged++
		} else {
			r.Delays = append(r.Delays, d.took)
		}
	}
	p.fresh = p.fresh[:0]
	return away
}

// threadTimeNow is the CPU time that the calling thread has used.
func threadTimeNow() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

type pacedStream struct {
	*Paced
	heads  [][headLen]byte
	first  int // of its clients in the generator's count of sequence numbers
	next   int
	frames []byte
	vecs   []unix.Iovec
	msgs   []mmsghdr
}

func (p *pacing) add(s *Paced, length time.Duration) {
	n := pacedStream{Paced: s, first: 0}
	for i := range p.streams {
		n.first = max(n.first, p.streams[i].first+len(p.streams[i].Clients))
	}
	g := p.g
	if need := n.first + len(s.Clients); len(g.sequence) < need {
		g.sequence = append(g.sequence, make([]uint32, need-len(g.sequence))...)
	}
	n.heads = make([][headLen]byte, len(s.Clients))
	for i, c := range s.Clients {
		g.head(&n.heads[i], c, s.To, s.Size)
	}
	size := headLen + s.Size
	n.frames, n.vecs, n.msgs = make([]byte, burstMost*size), make([]unix.Iovec, burstMost), make([]mmsghdr, burstMost)
	for i := range n.msgs {
		n.vecs[i].Base = &n.frames[i*size]
		n.vecs[i].SetLen(size)
		n.msgs[i].Iov = &n.vecs[i]
		n.msgs[i].SetIovlen(1)
	}
	p.results[len(p.streams)].Delays = make([]time.Duration, 0, int(s.Rate*length.Seconds())+burstMost)
	p.streams = append(p.streams, n)
}

// send sends what is due after so long.
func (p *pacing) send(since time.Duration) error {
	for i := range p.streams {
		s, r := &p.streams[i], &p.results[i]
		due := int(s.Rate*since.Seconds()) - int(r.Sent)
		if due <= 0 {
			continue
		}
		n := min(due, burstMost)
		size := headLen + s.Size
		for j := range n {
			at := s.next
			if s.Scattered {
				at = rand.IntN(len(s.heads))
			} else if s.next++; s.next == len(s.heads) {
				s.next = 0
			}
			frame := s.frames[j*size:]
			copy(frame, s.heads[at][:])
			p.g.number(frame, s.first+at)
			binary.BigEndian.PutUint32(frame[headLen+pacedMark:], uint32(markBase+i))
			binary.BigEndian.PutUint64(frame[headLen+pacedTime:], uint64(nanotime()))
		}
		p.g.heads = s.msgs
		if err := p.g.send(n); err != nil {
			return err
		}
		r.Sent += uint64(n)
	}
	return nil
}

// drain takes out what has come; counted tells whether it belongs to the run.
func (p *pacing) drain(counted bool) error {
	for {
		n, err := p.g.sink.read()
		if err != nil || n == 0 {
			return err
		}
		b := p.g.sink.buf[:n]
		if !counted || n < offloadLen+ipUDP || b[offloadLen]>>4 != 4 {
			continue
		}
		now := nanotime()
		payload := b[offloadLen+ipUDP:]
		size := len(payload)
		if b[1] != 0 { // joined: struct virtio_net_hdr says of which size
			size = int(binary.NativeEndian.Uint16(b[4:]))
		}
		for ; size >= PacedSize && len(payload) >= PacedSize; payload = payload[min(size, len(payload)):] {
			i := binary.BigEndian.Uint32(payload[pacedMark:]) - markBase
			if i >= uint32(len(p.results)) {
				continue
			}
			p.results[i].Arrived++
			sent := int64(binary.BigEndian.Uint64(payload[pacedTime:]))
			p.fresh = append(p.fresh, delay{int(i), sent, time.Duration(now - sent)})
		}
	}
}

// nanotime is the monotonic clock.
func nanotime() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}
