package udpio

import "golang.org/x/sys/unix"

// The kernel offers to send joined datagrams for every socket and then may
// refuse to, message by message: EIO when the device cannot compute checksums
// or the route is encrypted by IPsec, EINVAL or EMSGSIZE when a single datagram
// is larger than the route's MTU and so would have to be fragmented (udp_send_skb
// in net/ipv4/udp.c). A refused message's datagrams are sent one by one, and
// the destination is remembered.

// maxRefusals is how many messages a device may refuse, without ever having
// taken one, before joining is given up for the socket.
const maxRefusals = 3

// joiningState remembers how a socket's device took to joined datagrams.
type joiningState struct {
	worked  bool
	refused int
}

// taken notes messages that the kernel sent.
func (j *joiningState) taken(messages []message) {
	for i := 0; i < len(messages) && !j.worked; i++ {
		j.worked = messages[i].count > 1
	}
}

// refusesJoining tells whether errno may be due to a message being joined.
func refusesJoining(errno unix.Errno) bool {
	return errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE
}

// refused sends the datagrams of a refused message one by one and remembers
// not to join such again.
func (c *Conn) refused(m *message, errno unix.Errno, stats *SendStats) {
	g := &c.out.group[m.group]
	limit := &c.out.limits[uint8(g.hash)]
	switch {
	case errno == unix.EIO: // no size would do
		*limit = 1
		c.out.joining.refused++
		if !c.out.joining.worked && c.out.joining.refused >= maxRefusals {
			c.features.GSO = false
		}
	case *limit == 0 || g.size < int32(*limit):
		*limit = uint16(g.size)
	}
	_, w := c.sendRoom().waves()
	w.reset()
	for i := g.first; i >= 0; i = c.out.items[i].next {
		w.begin(g.to, g.tos, 0, m.group)
		w.put(c.out.items[i].data)
	}
	c.send(w, stats, false)
}
