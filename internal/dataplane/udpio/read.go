package udpio

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReceiveStats counts, since Listen, what did not reach a Batch.
type ReceiveStats struct {
	Overflowed uint32 // datagrams that the kernel dropped as the receive buffer was full; wraps
	Truncated  uint64 // datagrams larger than UDP allows, dropped here
	Errors     uint64 // passing errors of the socket
}

// Read takes what has arrived, without waiting, into b.Messages[:n]. n is 0
// when there is nothing. A joined receive comes as its single datagrams, so n
// may exceed the batch's size; it asks for fewer receives where they are large. err is
// net.ErrClosed after Close; other trouble of a socket is passing and counted.
func (c *Conn) Read(b *Batch) (n int, err error) {
	b.Clear()
	return c.ReadMore(b)
}

// ReadMore is Read into what room b has left: the datagrams of earlier reads, of other
// sockets, too, live on. Messages are those of this read.
func (c *Conn) ReadMore(b *Batch) (n int, err error) {
	b.Messages, b.More = b.Messages[:0], false
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	if b.Full() {
		b.More = true
		return 0, nil
	}
	most := c.most(b.receives(c.receive))
	// A pending error is cleared by being told, and hides what arrived behind it.
	// Neither this call nor sendmmsg ever blocks, so Go's scheduler need not hear of them:
	// with a socket per client on the way out that is a part of every packet's cost.
	for range 3 {
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&b.heads[b.kept])),
			most, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			bytes, truncated := b.take(int(got))
			c.receive, b.More = bytes/max(int(got), 1), got == most
			c.received.Truncated += uint64(truncated)
			return len(b.Messages), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			c.received.Errors++
		}
	}
	b.More = true
	return 0, nil
}

// leastReceives are asked for whatever their size may be, and mostReceives by one system
// call: more save nothing.
const (
	leastReceives = 2
	mostReceives  = 64
)

// receives is how many receives have about as many bytes as are wanted, when each has
// size. Joined datagrams are up to 64 KB each: a batch full of them would leave the
// processor's cache before it is looked at.
func (b *Batch) receives(size int) int {
	room := len(b.heads) - b.kept
	if b.Want == 0 || size == 0 {
		return min(room, mostReceives)
	}
	return min(max(b.Want/size, leastReceives), room, mostReceives)
}

// most is how many messages a system call takes.
func (c *Conn) most(n int) uintptr {
	if !c.features.Batch {
		return 1
	}
	return uintptr(n)
}

// Received tells what did not reach a Batch. It makes a system call.
func (c *Conn) Received() ReceiveStats {
	s := c.received
	var info [9]uint32 // SK_MEMINFO_*; the last one is the drops
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(c.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 {
		s.Overflowed = info[8]
	}
	return s
}
