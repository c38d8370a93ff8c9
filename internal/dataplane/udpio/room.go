package udpio

import "net/netip"

// SendRoom is memory for sending. A socket needs some from its first Queue to its
// Flush only, so the sockets of one goroutine share it: an egress has thousands, of
// which a batch fills a few. The zero SendRoom is ready.
type SendRoom struct {
	free  []*queueRoom // the one used last is still in the processor's cache
	wave  wave         // a message per group
	alone wave         // the messages of a group that was refused
}

func (r *SendRoom) take() *queueRoom {
	if n := len(r.free); n > 0 {
		q := r.free[n-1]
		r.free = r.free[:n-1]
		return q
	}
	return newQueueRoom()
}

func (r *SendRoom) give(q *queueRoom) { r.free = append(r.free, q) }

// waves are made at the first Flush.
func (r *SendRoom) waves() (all, alone *wave) {
	if r.wave.heads == nil {
		r.wave, r.alone = newWave(queueSize), newWave(maxSegments)
	}
	return &r.wave, &r.alone
}

// queueRoom is what a queue that is not empty has: datagrams, their groups, and a hash
// table of destinations.
type queueRoom struct {
	items []item
	group []group
	table []entry
	round uint32 // entries of an earlier round are empty
}

// entry tells the newest group of a destination.
type entry struct {
	round uint32
	group int32
}

// firstRoom is for how many datagrams a room is made, growth by how much it grows;
// both are powers of two, as queueSize is. The table is twice as large, so that a
// probe ends soon.
const (
	firstRoom = 16
	growth    = 4
	tableSize = 2 * queueSize // when grown
)

func newQueueRoom() *queueRoom {
	// Round 0 is what the table's entries say at first.
	return &queueRoom{items: make([]item, firstRoom), group: make([]group, firstRoom), table: make([]entry, 2*firstRoom), round: 1}
}

// grow makes more room, keeping what is there, of which groups are in use.
func (q *queueRoom) grow(groups int) {
	size := growth * len(q.items)
	items, group := make([]item, size), make([]group, size)
	copy(items, q.items)
	copy(group, q.group)
	q.items, q.group, q.table, q.round = items, group, make([]entry, 2*size), 1
	for g := range groups {
		if place, _ := q.find(group[g].hash, group[g].to); place != nil {
			*place = entry{q.round, int32(g)}
		}
	}
}

// find returns where the table has, or would have, the newest group of a
// destination, and that group or -1. place is nil when the neighbourhood is crowded.
func (q *queueRoom) find(hash uint32, to netip.AddrPort) (place *entry, g int) {
	mask := uint32(len(q.table) - 1)
	for i := range uint32(maxProbes) {
		e := &q.table[(hash>>8+i)&mask]
		if e.round != q.round {
			return e, -1
		}
		if q.group[e.group].to == to {
			return e, int(e.group)
		}
	}
	return nil, -1
}

// forget empties the table.
func (q *queueRoom) forget() {
	q.round++
	if q.round == 0 { // after 2^32 rounds old entries would look new
		clear(q.table)
		q.round = 1
	}
}
