package udpio

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendStats counts what became of queued datagrams.
type SendStats struct {
	Sent, Bytes int // datagrams the kernel took, and their payload
	Calls       int // system calls
	Messages    int // of datagrams sent joined, or single
	Joined      int // those of Sent that went joined with others

	// Datagrams dropped, by why.
	WouldBlock  int // EAGAIN: the send buffer is full
	NoBuffers   int // ENOBUFS, ENOMEM: the device's queue is full
	TooLarge    int // EMSGSIZE: larger than the device's MTU and not to be fragmented, or than UDP allows
	Unreachable int // ENETUNREACH, EHOSTUNREACH …: no route, or an address of another family
	Forbidden   int // EPERM, EACCES: a packet filter, or a broadcast address
	Other       int // anything else
}

// Dropped is how many datagrams were not sent.
func (s SendStats) Dropped() int {
	return s.WouldBlock + s.NoBuffers + s.TooLarge + s.Unreachable + s.Forbidden + s.Other
}

// drop counts n datagrams that the kernel refused with errno.
func (s *SendStats) drop(errno unix.Errno, n int) {
	switch errno {
	case unix.EAGAIN:
		s.WouldBlock += n
	case unix.ENOBUFS, unix.ENOMEM:
		s.NoBuffers += n
	case unix.EMSGSIZE:
		s.TooLarge += n
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.EHOSTDOWN, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT, unix.ENONET:
		s.Unreachable += n
	case unix.EPERM, unix.EACCES:
		s.Forbidden += n
	default:
		s.Other += n
	}
}

// sent counts a message that the kernel took.
func (s *SendStats) sent(m *message) {
	s.Sent += int(m.count)
	s.Bytes += int(m.total)
	s.Messages++
	if m.count > 1 {
		s.Joined += int(m.count)
	}
}

// maxBlocked is after how many messages in a row that found the send buffer
// full the rest of a flush is given up: they would find it full, too.
const maxBlocked = 4

// wave is a row of messages for sendmmsg, with what they point to.
type wave struct {
	heads    []mmsghdr
	messages []message
	iovecs   []unix.Iovec
	n, iovs  int
}

// message is what a head points to besides its datagrams.
type message struct {
	control      control
	to           rawAddr
	count, total int32 // datagrams, bytes
	group        int32
}

func newWave(size int) wave {
	w := wave{heads: make([]mmsghdr, size), messages: make([]message, size), iovecs: make([]unix.Iovec, size)}
	for i := range w.heads {
		w.heads[i].Name = &w.messages[i].to[0]
		w.heads[i].Control = (*byte)(unsafe.Pointer(&w.messages[i].control))
	}
	return w
}

// begin adds a message without datagrams.
func (w *wave) begin(to netip.AddrPort, tos uint8, segment int, group int32) {
	h, m := &w.heads[w.n], &w.messages[w.n]
	h.Namelen = m.to.set(to)
	h.SetControllen(writeControl(&m.control, !to.Addr().Is4(), tos, segment))
	h.Iov = nil
	h.SetIovlen(0)
	m.count, m.total, m.group = 0, 0, group
	w.n++
}

// put adds a datagram to the message begun last.
func (w *wave) put(data []byte) {
	h, m, v := &w.heads[w.n-1], &w.messages[w.n-1], &w.iovecs[w.iovs]
	v.Base = unsafe.SliceData(data)
	v.SetLen(len(data))
	if m.count == 0 {
		h.Iov = v
	}
	m.count++
	m.total += int32(len(data))
	h.SetIovlen(int(m.count))
	w.iovs++
}

// reset empties the wave.
func (w *wave) reset() { w.n, w.iovs = 0, 0 }

// Flush sends what was queued since the last Flush and tells what became of it.
// Datagrams to one destination keep their order; those to different ones may not.
// One that cannot be sent is counted and does not hold up the rest.
func (c *Conn) Flush() SendStats {
	stats := c.out.early
	if c.out.n == 0 {
		c.out.early = SendStats{}
		return stats
	}
	w, _ := c.sendRoom().waves()
	w.reset()
	for g := range c.out.groups {
		c.out.write(w, g)
	}
	c.send(w, &stats, true)
	c.out.clear()
	c.room.give(c.out.queueRoom)
	c.out.queueRoom = nil
	return stats
}

// write makes a message of group g.
func (q *queue) write(w *wave, g int) {
	p := &q.group[g]
	segment := 0
	if p.count > 1 {
		segment = int(p.size)
	}
	w.begin(p.to, p.tos, segment, int32(g))
	for i := p.first; i >= 0; i = q.items[i].next {
		w.put(q.items[i].data)
	}
}

// send gives a wave to the kernel, which takes messages until one fails; that
// one is dealt with and the next call begins behind it.
func (c *Conn) send(w *wave, stats *SendStats, mayJoin bool) {
	blocked := 0
	for at := 0; at < w.n; {
		got, errno := sendmmsg(c.fd, w.heads[at:at+int(c.most(w.n-at))])
		stats.Calls++
		for i := range got {
			stats.sent(&w.messages[at+i])
		}
		at += got
		m := &w.messages[min(at, w.n-1)]
		switch {
		case errno == unix.EINTR || got > 0:
			if got > 0 {
				blocked = 0
				c.out.joining.taken(w.messages[at-got : at])
			}
			continue
		case mayJoin && m.count > 1 && refusesJoining(errno):
			c.refused(m, errno, stats)
		default:
			stats.drop(errno, int(m.count))
		}
		at++
		if errno == unix.EAGAIN {
			if blocked++; blocked == maxBlocked {
				for ; at < w.n; at++ {
					stats.drop(errno, int(w.messages[at].count))
				}
			}
		}
	}
}

// sendmmsg returns how many messages were taken, or why the first was not.
func sendmmsg(fd int, heads []mmsghdr) (int, unix.Errno) {
	got, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&heads[0])),
		uintptr(len(heads)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}
