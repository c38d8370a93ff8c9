package compile

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// Ports of passthroughs: as many pairs of PoPs as there are may go through one relay.
const firstPassthrough, lastPassthrough = 4700, 4999

// throughsOfPair is through how many relays two PoPs have segments at most: each is
// measured all the time.
const throughsOfPair = 4

// duo is two PoPs by where they stand in pops, the lesser first.
type duo [2]int

// through is how two PoPs' segment goes through a relay: a port of it, at each of its
// overlay addresses that both reach.
type through struct {
	relay int
	port  uint16
	over  []overAddress
}

// overAddress is one of the relay's overlay addresses, with the ends' that wires go there from.
type overAddress struct {
	relay resource.OverlayAddress
	ends  [2]resource.OverlayAddress
}

// passthroughs gives every two PoPs with a route a segment through each relay on it that
// passes on. Which port follows from the two PoPs' labels where it is free, so that it stays
// when others come and go; where a relay has no port left, it opens what it relays.
func (c *compiler) passthroughs() {
	wanting := map[int][]duo{} // by relay
	var relays []int
	for pair := range c.routed {
		a, b := c.number[pair[0]], c.number[pair[1]]
		if a > b {
			continue // both directions are routed
		}
		for _, via := range c.ways(pair[0], pair[1]) {
			if len(via) != 1 {
				continue
			}
			if r := c.number[via[0]]; c.pops[r].PassesOn() {
				relays = append(relays, r)
			}
		}
		// Those first that are of no use in another way.
		slices.SortStableFunc(relays, func(x, y int) int { return b2i(c.opens(x)) - b2i(c.opens(y)) })
		for _, r := range relays[:min(len(relays), throughsOfPair)] {
			wanting[r] = append(wanting[r], duo{a, b})
		}
		relays = relays[:0]
	}
	for r, p := range c.pops { // in order, so that lists come out the same
		if list := wanting[r]; len(list) > 0 {
			c.givePorts(r, p, list)
		}
	}
}

// opens reports whether a relay opens what it relays, where the ends want that.
func (c *compiler) opens(r int) bool { return c.pops[r].Passthrough != resource.PassthroughOnly }

// givePorts gives those that go through a relay ports of it.
func (c *compiler) givePorts(r int, p *resource.PoP, list []duo) {
	const room = lastPassthrough - firstPassthrough + 1
	wanted := make(map[duo]uint32, len(list))
	for _, d := range list {
		var labels [4]byte
		x, y := c.pops[d[0]].Given.Label, c.pops[d[1]].Given.Label
		binary.BigEndian.PutUint16(labels[:], min(x, y))
		binary.BigEndian.PutUint16(labels[2:], max(x, y))
		h := fnv.New32a()
		_, _ = h.Write(labels[:])
		wanted[d] = h.Sum32()
	}
	slices.SortFunc(list, func(x, y duo) int {
		return cmp.Or(cmp.Compare(wanted[x], wanted[y]), cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	})
	taken := c.portsOf(p)
	for _, d := range list {
		over := c.overAddresses(p, d)
		if len(over) == 0 {
			continue
		}
		for k := range uint32(room) {
			port := uint16(firstPassthrough + (wanted[d]%room+k)%room)
			if !taken[port] {
				taken[port] = true
				if c.throughs[d] == nil {
					c.partners[d[0]], c.partners[d[1]] = append(c.partners[d[0]], d[1]), append(c.partners[d[1]], d[0])
				}
				c.throughs[d] = append(c.throughs[d], through{r, port, over})
				for _, o := range over {
					c.passes[p.Name] = append(c.passes[p.Name], snapshot.Passthrough{Local: o.relay.Name, Port: port, Ends: [2]snapshot.End{
						{PoP: c.pops[d[0]].Name, Remote: o.ends[0].Public}, {PoP: c.pops[d[1]].Name, Remote: o.ends[1].Public},
					}})
				}
				break
			}
		}
	}
	slices.SortStableFunc(c.passes[p.Name], func(x, y snapshot.Passthrough) int {
		return cmp.Or(cmp.Compare(x.Port, y.Port), cmp.Compare(x.Local, y.Local))
	})
}

// portsOf are the UDP ports that a PoP uses otherwise, at whatever address.
func (c *compiler) portsOf(p *resource.PoP) map[uint16]bool {
	taken := map[uint16]bool{}
	for _, o := range p.Overlay {
		taken[o.Bind.Port()], taken[o.Public.Port()] = true, true
	}
	for _, l := range c.listens[p.Name] {
		for _, port := range l.Ports {
			taken[port] = true
		}
	}
	return taken
}

// overAddresses are the relay's overlay addresses that both ends have wires to.
func (c *compiler) overAddresses(relay *resource.PoP, d duo) (list []overAddress) {
	var wires [2][]snapshot.Wire
	for k, end := range d {
		wires[k] = wiresBetween(c.pops[end], relay)
	}
	binds := map[netip.Addr]bool{}
	for _, o := range relay.Overlay {
		at := overAddress{relay: o}
		found := 0
		for k, end := range d {
			i := slices.IndexFunc(wires[k], func(w snapshot.Wire) bool { return w.Remote == o.Public })
			if i < 0 {
				break
			}
			mine := c.pops[end].Overlay
			at.ends[k] = mine[slices.IndexFunc(mine, func(x resource.OverlayAddress) bool { return x.Name == wires[k][i].Local })]
			found++
		}
		if found == 2 && !binds[o.Bind.Addr()] && !binds[o.Public.Addr()] {
			binds[o.Bind.Addr()], binds[o.Public.Addr()] = true, true // the port is one of the address
			list = append(list, at)
		}
	}
	if len(list) > 1 && slices.ContainsFunc(list, func(o overAddress) bool { return o.relay.Bind.Addr().IsUnspecified() }) {
		list = list[:1] // a port of every address is one of the others', too
	}
	return list[:min(len(list), snapshot.MaxWires)]
}

// throughsOf are the segments of a PoP with another that go through relays.
func (c *compiler) throughsOf(from, to int) (list []snapshot.Through) {
	d, mine := duo{from, to}, 0
	if from > to {
		d, mine = duo{to, from}, 1
	}
	for _, t := range c.throughs[d] {
		segment := snapshot.Through{Relay: c.pops[t.relay].Name}
		for _, o := range t.over {
			segment.Wires = append(segment.Wires, snapshot.Wire{Local: o.ends[mine].Name, Remote: netip.AddrPortFrom(o.relay.Public.Addr(), t.port)})
		}
		list = append(list, segment)
	}
	return list
}

// candidatesWith are the ways of a route, with those through relays before those over them, and
// without those over relays that are to open nothing.
func (c *compiler) candidatesWith(throughs []snapshot.Through, ways [][]string) [][]string {
	var list [][]string
	for _, via := range ways {
		if len(via) == 1 && slices.ContainsFunc(throughs, func(t snapshot.Through) bool { return t.Relay == via[0] }) {
			list = append(list, []string{snapshot.ThroughPrefix + via[0]})
		}
		if !slices.ContainsFunc(via, func(relay string) bool { return !c.opens(c.number[relay]) }) {
			list = append(list, via)
		}
	}
	if len(list) == 0 {
		return ways // better opened than not at all
	}
	return list[:min(len(list), snapshot.MaxCandidates)]
}

// withThroughs is a PoP's list of peers with the segments through relays that it has to
// some; what Memo has of the same is used again.
func (c *compiler) withThroughs(m *Memo, p *resource.PoP, peers []snapshot.Peer) []snapshot.Peer {
	at := c.number[p.Name]
	if len(c.partners[at]) == 0 {
		return peers
	}
	list := slices.Clone(peers)
	for _, other := range c.partners[at] {
		i := other // peers are all PoPs but this one
		if other > at {
			i--
		}
		list[i].Through = c.throughsOf(at, other)
	}
	if was, ok := m.joined[p.Name]; ok && sameList(was.base, peers) && slices.EqualFunc(was.list, list, func(a, b snapshot.Peer) bool { return equalThroughs(a.Through, b.Through) }) {
		list = was.list
	}
	c.joined[p.Name] = joined{peers, list}
	return list
}

func equalThroughs(a, b []snapshot.Through) bool {
	return slices.EqualFunc(a, b, func(x, y snapshot.Through) bool { return x.Relay == y.Relay && slices.Equal(x.Wires, y.Wires) })
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
