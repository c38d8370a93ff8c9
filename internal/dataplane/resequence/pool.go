package resequence

import (
	"math/bits"
	"time"

	"causeway/internal/mono"
)

// Pool is the memory in which all the Buffers of one worker hold packets, and
// the counts of what they did. It grows to its limit as needed and reuses what it
// has, so that holding costs no allocation once traffic has found its level.
//
// A Pool belongs to one worker: it has no lock. Make it with NewPool.
type Pool struct {
	// Count is what all buffers of this pool did so far; read it from the worker.
	Count Counts

	limit   int // bytes that may exist
	exists  int // bytes in use and on the free lists
	packets [len(packetSizes)]*packet
	rings   [ringSizes][]*ring
	seen    []*seen

	buffers     []*Buffer // those with numbers, less 1
	buffersFree []uint32
}

// Counts are totals since the pool was made.
type Counts struct {
	Released   uint64 // ESP packets emitted
	Waited     uint64 // of those, how many had to wait
	WaitedTime time.Duration
	Duplicates uint64 // dropped: had come before
	LateReplay uint64 // dropped: the peer's replay window would refuse it
	GivenUp    uint64 // packets no longer waited for; some of them may still come in time
	PoolFull   uint64 // times that packets were released early for want of memory
	Strays     uint64 // packets far from all others, passed on but not believed
	Restarts   uint64 // times that a sender's numbers were taken to have jumped
}

// NewPool returns a pool that holds packets in at most limit bytes. A limit of
// zero makes every Buffer behave as if its mode were Off.
func NewPool(limit int) *Pool { return &Pool{limit: limit} }

// InUse returns how many bytes the pool has taken from the system so far, at most its limit.
func (p *Pool) InUse() int { return p.exists }

// packet is a payload that waits.
type packet struct {
	next  *packet // on the free list
	class int
	since mono.Time
	bytes []byte
}

// packetSizes are the capacities packets come in: a small ESP packet, a middle
// one, a full Ethernet frame's payload, and UDP's largest.
var packetSizes = [...]int{192, 640, 1536, 4096, 16384, 65536}

// packetCost is what a packet takes beside its bytes, about.
const packetCost = 64

// keep copies payload into the pool; nil when there is no room.
func (p *Pool) keep(payload []byte, now mono.Time) *packet {
	class := 0
	for len(payload) > packetSizes[class] {
		if class++; class == len(packetSizes) {
			return nil
		}
	}
	k := p.packets[class]
	if k != nil {
		p.packets[class] = k.next
	} else {
		if !p.room(packetSizes[class] + packetCost) {
			return nil
		}
		k = &packet{class: class, bytes: make([]byte, packetSizes[class])}
	}
	k.next, k.since = nil, now
	k.bytes = k.bytes[:copy(k.bytes[:cap(k.bytes)], payload)]
	return k
}

func (p *Pool) drop(k *packet) {
	k.next = p.packets[k.class]
	p.packets[k.class] = k
}

// room makes n bytes' worth of allowance, letting go of free memory of other
// sizes if it must, and takes it.
func (p *Pool) room(n int) bool {
	if p.exists+n > p.limit {
		p.trim(n)
	}
	if p.exists+n > p.limit {
		return false
	}
	p.exists += n
	return true
}

// trim gives free memory back to the system until n more bytes fit.
func (p *Pool) trim(n int) {
	for class := len(packetSizes) - 1; class >= 0; class-- {
		for k := p.packets[class]; k != nil && p.exists+n > p.limit; k = p.packets[class] {
			p.packets[class] = k.next
			p.exists -= packetSizes[class] + packetCost
		}
	}
	for class := ringSizes - 1; class >= 0; class-- {
		for len(p.rings[class]) > 0 && p.exists+n > p.limit {
			last := len(p.rings[class]) - 1
			p.rings[class][last] = nil
			p.rings[class] = p.rings[class][:last]
			p.exists -= ringBytes(minRing << class)
		}
	}
}

// ring returns an empty ring that spans at least span sequence numbers; nil when
// there is no room. span is at most maxSpan.
func (p *Pool) ring(span uint32) *ring {
	class := 0
	if span > minRing {
		class = bits.Len32((span - 1) / minRing)
	}
	if free := p.rings[class]; len(free) > 0 {
		r := free[len(free)-1]
		p.rings[class] = free[:len(free)-1]
		return r
	}
	if !p.room(ringBytes(minRing << class)) {
		return nil
	}
	return newRing(class)
}

func (p *Pool) dropRing(r *ring) { p.rings[r.class] = append(p.rings[r.class], r) }

// memory returns an empty seen. There are at most as many as there are streams,
// so these are not counted against the limit.
func (p *Pool) memory() *seen {
	if n := len(p.seen); n > 0 {
		m := p.seen[n-1]
		p.seen = p.seen[:n-1]
		*m = seen{}
		return m
	}
	return new(seen)
}

func (p *Pool) dropMemory(m *seen) { p.seen = append(p.seen, m) }
