package udpio

import (
	"math/bits"
	"net/netip"
)

const (
	// queueSize is how many datagrams Flush sends at once; one more flushes by itself.
	queueSize = 256
	// maxSegments is how many datagrams Linux 5.10 sends as one (UDP_MAX_SEGMENTS).
	maxSegments = 64
	// maxProbes bounds what colliding destinations can cost.
	maxProbes = 8
)

// queue holds datagrams from Queue to Flush, in groups that can be sent as one.
type queue struct {
	*queueRoom              // nil while nothing waits
	n, groups  int          // in use
	last       int          // the group that took the previous datagram
	early      SendStats    // of flushes that Queue made by itself, and of what never got in
	limits     [256]uint16  // by hash of destination: size from which on joining was refused; 0 is never
	joining    joiningState // what the device thinks of joined datagrams
}

// item is one datagram.
type item struct {
	data []byte
	next int32 // in its group; -1 is the last
}

// group is a run of datagrams to one destination in the order they were queued,
// all of one size but for the last, which may be shorter.
type group struct {
	to          netip.AddrPort
	first, tail int32
	count       int32
	size, total int32
	hash        uint32
	tos         uint8
	full        bool // nothing may follow
}

// take gives the queue room, if it has none, and lets it grow when it is full.
func (q *queue) take(r *SendRoom) {
	switch {
	case q.queueRoom == nil:
		q.queueRoom = r.take()
	case q.n == len(q.items):
		q.grow(q.groups)
	}
}

// Warm reads what Queue will need of c, for who has so many that they are in no cache;
// what it returns means nothing.
func (c *Conn) Warm() uint64 { return uint64(c.fd) + uint64(c.out.n) }

// Queue adds a datagram to those that the next Flush sends. data is borrowed
// until then. tos is DSCP and ECN. A destination that is not of the socket's
// family is counted as unreachable. When 256 datagrams wait they are sent at
// once, and the next Flush tells of them.
func (c *Conn) Queue(data []byte, to netip.AddrPort, tos uint8) {
	if to.Addr().Is4In6() {
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	}
	if !to.IsValid() || to.Addr().Is4() == c.ipv6 || c.fd < 0 {
		c.out.early.Unreachable++
		return
	}
	if c.out.n == queueSize {
		stats := c.Flush()
		c.out.early = stats
	}
	c.out.take(c.sendRoom())
	c.out.add(data, to, tos, c.features.GSO)
}

// add puts a datagram into the group it can travel with, or into one of its own.
// There is room for it.
func (q *queue) add(data []byte, to netip.AddrPort, tos uint8, join bool) {
	at := int32(q.n)
	q.items[at] = item{data, -1}
	q.n++
	if !join {
		q.open(at, to, tos, 0)
		return
	}
	hash, found := uint32(0), -1
	if q.groups > 0 && q.group[q.last].to == to { // most datagrams follow another of their flow
		hash, found = q.group[q.last].hash, q.last
	}
	var place *entry
	if found < 0 {
		hash = hashOf(to)
		place, found = q.find(hash, to)
	} else if !q.fits(found, len(data), tos) {
		place, _ = q.find(hash, to)
	}
	if found >= 0 && q.fits(found, len(data), tos) {
		q.append(found, at)
		return
	}
	opened := q.open(at, to, tos, hash)
	if place != nil {
		*place = entry{q.round, int32(opened)}
	} else {
		// Not in the table, hence never found again: no later datagram can
		// overtake this one by joining a group before it.
		q.group[opened].full = true
	}
}

// open begins a group with the datagram at.
func (q *queue) open(at int32, to netip.AddrPort, tos uint8, hash uint32) int {
	size := int32(len(q.items[at].data))
	q.group[q.groups] = group{to: to, first: at, tail: at, count: 1, size: size, total: size, hash: hash, tos: tos,
		full: size == 0}
	q.last = q.groups
	q.groups++
	return q.last
}

// fits tells whether a datagram of size bytes may follow group g.
func (q *queue) fits(g, size int, tos uint8) bool {
	p := &q.group[g]
	limit := q.limits[uint8(p.hash)]
	return !p.full && size > 0 && size <= int(p.size) && p.tos == tos && p.count < maxSegments &&
		int(p.total)+size <= MaxPayload && (limit == 0 || int(p.size) < int(limit))
}

// append adds the datagram at to the end of group g.
func (q *queue) append(g int, at int32) {
	p := &q.group[g]
	size := int32(len(q.items[at].data))
	q.items[p.tail].next = at
	p.tail = at
	p.count++
	p.total += size
	p.full = size < p.size
	q.last = g
}

// clear empties the queue for the next round.
func (q *queue) clear() {
	q.n, q.groups, q.last = 0, 0, 0
	q.early = SendStats{}
	q.forget()
}

// hashOf spreads destinations. It needs no secret: whoever makes destinations
// collide only keeps them from being joined.
func hashOf(a netip.AddrPort) uint32 {
	const k0, k1 = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9
	ip := a.Addr().As16()
	var hi, lo uint64
	for i := range 8 {
		hi, lo = hi<<8|uint64(ip[i]), lo<<8|uint64(ip[8+i])
	}
	h, l := bits.Mul64(hi^k0, lo^k1^uint64(a.Port())<<48)
	h2, l2 := bits.Mul64(h^l^uint64(a.Port()), k0)
	return uint32((h2 ^ l2) >> 16)
}
