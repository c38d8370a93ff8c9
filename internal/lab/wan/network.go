package wan

import (
	"net/netip"
	"time"

	"causeway/internal/mono"
	"causeway/internal/weather"
)

// network knows which link a packet takes, and sends it through. It owns packets
// from the moment they are read until they are due. One goroutine uses it.
type network struct {
	nodes []nodeState
	links []linkState
	addrs map[netip.Addr]int16 // number of each address
	owner []int16              // node of each address
	ways  []int16              // link from address i to address j at i*len(owner)+j, -1 is none

	pool *pool
	heap *dueHeap
}

type nodeState struct {
	Node
	noRoute, foreign, malformed, overflow, unwritten uint64
}

type linkState struct {
	Link
	weather *weather.Link
	counts  linkCounts
}

type linkCounts struct {
	offered, offeredBytes, delivered, deliveredBytes uint64
	duplicated, expired, fragmented                  uint64
	dropped                                          [weather.DropReasons]uint64
}

// router is who complains where a link has no hops of the packet's family; the
// addresses are for documentation (RFC 5737, RFC 3849) and belong to nobody.
var router4, router6 = netip.MustParseAddr("192.0.2.254"), netip.MustParseAddr("2001:db8::fffe")

// newNetwork builds the tables; c has its defaults and is valid.
func newNetwork(c Config, p *pool) *network {
	n := &network{addrs: map[netip.Addr]int16{}, pool: p, heap: newDueHeap(c.Buffers)}
	for i, node := range c.Nodes {
		n.nodes = append(n.nodes, nodeState{Node: node})
		for _, a := range node.Addrs {
			n.addrs[a] = int16(len(n.owner))
			n.owner = append(n.owner, int16(i))
		}
	}
	for _, l := range c.Links {
		w := weather.NewNamed(l.Profile, c.Seed, l.name())
		w.Follow(l.Schedule)
		n.links = append(n.links, linkState{Link: l, weather: w})
	}
	n.layWays()
	return n
}

// layWays fills ways, links between nodes first, so that those of single
// addresses go before them.
func (n *network) layWays() {
	n.ways = make([]int16, len(n.owner)*len(n.owner))
	for i := range n.ways {
		n.ways[i] = -1
	}
	for exact := range 3 {
		for i := range n.links {
			from, fromAddr := n.end(n.links[i].From)
			to, toAddr := n.end(n.links[i].To)
			if fromAddr+toAddr != exact {
				continue
			}
			for _, a := range from {
				for _, b := range to {
					if n.owner[a] != n.owner[b] {
						n.ways[int(a)*len(n.owner)+int(b)] = int16(i)
					}
				}
			}
		}
	}
}

// end returns the addresses that a link's end stands for, and 1 if it is a single address.
func (n *network) end(name string) ([]int16, int) {
	if a, err := netip.ParseAddr(name); err == nil {
		if i, ok := n.addrs[a]; ok {
			return []int16{i}, 1
		}
	}
	var all []int16
	for i, node := range n.owner {
		if n.nodes[node].Name == name {
			all = append(all, int16(i))
		}
	}
	return all, 0
}

// accept takes the packet of size bytes in slot, which node sent at now.
func (n *network) accept(node int16, slot uint32, size int, now mono.Time) {
	from := &n.nodes[node]
	h, ok := parse(n.pool.bytes(slot)[:size])
	if !ok {
		from.malformed++
		n.pool.give(slot)
		return
	}
	src, known := n.addrs[h.src]
	if !known || n.owner[src] != node || h.dst.IsMulticast() {
		from.foreign++
		n.pool.give(slot)
		return
	}
	dst, known := n.addrs[h.dst]
	if !known || n.way(src, dst) < 0 {
		from.noRoute++
		n.answer(noRoute, slot, &h, defaultRouter(&h), 0, now)
		return
	}
	n.send(trip{way: n.way(src, dst), back: n.way(dst, src), from: node, to: n.owner[dst]}, slot, &h, now)
}

// trip is where a packet goes: the link it takes, the link that answers take (or -1),
// and the nodes at the ends.
type trip struct{ way, back, from, to int16 }

func (n *network) way(src, dst int16) int16 { return n.ways[int(src)*len(n.owner)+int(dst)] }

// send puts a packet on its link.
func (n *network) send(t trip, slot uint32, h *header, now mono.Time) {
	l := &n.links[t.way]
	if hops := len(l.Hops); hops > 0 && h.ttl <= hops {
		l.counts.expired++
		n.expire(t, slot, h, now)
		return
	}
	age(n.pool.bytes(slot), h, len(l.Hops))
	if mtu := l.weather.MTU(now); mtu > 0 && h.size > mtu && !h.df && mtu >= h.length+8 {
		n.fragment(t, slot, h, mtu, now)
		return
	}
	v := l.offer(h.size, now)
	if p := l.weather.Profile(); v.Drop == weather.DropMTU && !p.NoICMP {
		n.answer(tooBig, slot, h, l.routerFor(h, len(l.Hops)/2), p.MTU, now.Add(p.Delay))
		return
	}
	n.carry(t, slot, h.size, v)
}

// offer asks the link's weather, and counts.
func (l *linkState) offer(size int, now mono.Time) weather.Verdict {
	v := l.weather.Offer(now, size)
	l.counts.offered++
	l.counts.offeredBytes += uint64(size)
	l.counts.dropped[v.Drop]++
	return v
}

// carry does with the packet in slot what the verdict says.
func (n *network) carry(t trip, slot uint32, size int, v weather.Verdict) {
	if v.N == 0 {
		n.pool.give(slot)
		return
	}
	n.pool.held[slot] = packet{size: int32(size), to: t.to, link: t.way}
	n.heap.push(v.At[0], slot)
	if v.N < 2 {
		return
	}
	n.links[t.way].counts.duplicated++
	if twin, ok := n.takeFor(t.from); ok {
		copy(n.pool.bytes(twin), n.pool.packet(slot))
		n.pool.held[twin] = n.pool.held[slot]
		n.heap.push(v.At[1], twin)
	}
}

// fragment sends an IPv4 packet in parts that fit mtu, each with a fate of its own.
func (n *network) fragment(t trip, slot uint32, h *header, mtu int, now mono.Time) {
	l := &n.links[t.way]
	l.counts.fragmented++
	b := n.pool.bytes(slot)[:h.size]
	for offset := 0; ; {
		part, ok := n.takeFor(t.from)
		if !ok {
			break
		}
		size, next := cut(b, h, offset, mtu, n.pool.bytes(part))
		n.carry(t, part, size, l.offer(size, now))
		if next == 0 {
			break
		}
		offset = next
	}
	n.pool.give(slot)
}

// expire tells the sender at which hop the packet's TTL ran out, after a delay
// in proportion. The weather is in the middle of the link: it may take what goes to
// a hop beyond, or what comes back from there.
func (n *network) expire(t trip, slot uint32, h *header, now mono.Time) {
	l := &n.links[t.way]
	back := l
	if t.back >= 0 {
		back = &n.links[t.back]
	}
	hop, hops := max(h.ttl, 1), len(l.Hops) // the first is 1
	round := l.weather.Profile().Delay + back.weather.Profile().Delay
	if 2*hop > hops+1 {
		out, home := l.weather.Offer(now, h.size), back.weather.Offer(now, largestError4)
		if out.N == 0 || home.N == 0 {
			n.pool.give(slot)
			return
		}
		round = out.At[0].Sub(now) + home.At[0].Sub(now)
	}
	n.answer(ttlExpired, slot, h, l.Hops[hop-1], 0, now.Add(round*time.Duration(hop)/time.Duration(hops+1)))
}

// answer sends an ICMP error about the packet in slot back to its sender, to arrive at
// that time, in the packet's place.
func (n *network) answer(t trouble, slot uint32, h *header, from netip.Addr, mtu int, at mono.Time) {
	to := n.owner[n.addrs[h.src]]
	if reply, ok := n.takeFor(to); ok {
		size := t.complain(n.pool.bytes(slot)[:h.size], h, from, mtu, n.pool.bytes(reply))
		if size > 0 {
			n.pool.held[reply] = packet{size: int32(size), to: to, link: -1}
			n.heap.push(at, reply)
		} else {
			n.pool.give(reply)
		}
	}
	n.pool.give(slot)
}

// takeFor takes a slot for a packet that a node caused, or counts that there is none.
func (n *network) takeFor(node int16) (uint32, bool) {
	slot, ok := n.pool.take()
	if !ok {
		n.nodes[node].overflow++
	}
	return slot, ok
}

// routerFor returns the address of the hop with that index, if it is of the
// packet's family, or one that is nobody's.
func (l *linkState) routerFor(h *header, hop int) netip.Addr {
	if hop < len(l.Hops) && l.Hops[hop].Is6() == h.v6 {
		return l.Hops[hop]
	}
	return defaultRouter(h)
}

func defaultRouter(h *header) netip.Addr {
	if h.v6 {
		return router6
	}
	return router4
}

// start makes t0 every link's origin.
func (n *network) start(t0 mono.Time) {
	for i := range n.links {
		n.links[i].weather.Start(t0)
	}
	n.resetCounts()
}

func (n *network) resetCounts() {
	for i := range n.links {
		n.links[i].counts = linkCounts{}
	}
	for i := range n.nodes {
		n.nodes[i] = nodeState{Node: n.nodes[i].Node}
	}
}
