// Package udpio is the data plane's only door to UDP sockets: it reads and
// writes datagrams by the batch (recvmmsg, sendmmsg), lets the kernel join and
// split them (UDP_GRO, UDP_SEGMENT) and waits on many sockets at once (epoll).
//
// It needs Linux 5.10. It carries ECN and DSCP bits both ways, never blocks
// outside Poller.Wait, allocates nothing per packet, and keeps no goroutine.
// What is in the datagrams, and who may send them, is its caller's business.
package udpio

import (
	"errors"
	"net/netip"
	"time"
)

// MaxPayload is the largest UDP payload over IPv4 in bytes.
const MaxPayload = 65507

var errTodo = errors.New("not written yet")

// Options say how a socket is to behave. The zero value is right for an overlay socket.
type Options struct {
	// RecvBuffer and SendBuffer are bytes of socket buffer; 0 means 8 MiB. More
	// than the system's limit is got only with CAP_NET_ADMIN; Conn.BufferSizes tells.
	RecvBuffer, SendBuffer int
	// MayFragment: datagrams larger than the path are fragmented by the kernel,
	// DF is clear. Without it DF is set, and only the device's own MTU limits
	// the size: ICMP messages are not believed, since anyone can forge them.
	MayFragment bool
	// ReusePort lets several sockets share the address; the kernel spreads flows over them.
	ReusePort bool
	// NoGRO and NoGSO switch off joining by the kernel on the way in and out.
	NoGRO, NoGSO bool
	// FreeBind allows an address that the machine does not have (yet).
	FreeBind bool
}

// Conn is a bound, unconnected UDP socket. It is for one goroutine, except Close's
// effect on nothing: close it from that goroutine too.
type Conn struct{}

// Listen opens a socket bound to addr, whose port may be 0. An IPv6 socket is
// for IPv6 only; an IPv4-mapped address is IPv4. Addresses with a zone are refused.
func Listen(addr netip.AddrPort, o Options) (*Conn, error) { return nil, errTodo }

// Message is one received datagram.
type Message struct {
	Data []byte         // borrowed until the next Read with the same Batch; may be changed in place
	From netip.AddrPort // never IPv4-mapped
	TOS  uint8          // DSCP and ECN: IPv4's TOS, IPv6's traffic class
}

// Batch is room for what one Read returns. It may be used with one Conn after
// another, by one goroutine.
type Batch struct {
	Messages []Message
}

// NewBatch returns room for size receives of 64 KiB each (touched only as far
// as datagrams reach), every one of which may be many joined datagrams. 0 means 64.
func NewBatch(size int) *Batch { return &Batch{} }

// Read takes what has arrived, without waiting, into b.Messages[:n]. n is 0
// when there is nothing. A joined receive comes as its single datagrams, so n
// may exceed the batch's size. err is net.ErrClosed after Close; other trouble
// of a socket is passing and is not reported.
func (c *Conn) Read(b *Batch) (n int, err error) { return 0, errTodo }

// Queue adds a datagram to those that the next Flush sends. data is borrowed
// until then. tos is DSCP and ECN.
func (c *Conn) Queue(data []byte, to netip.AddrPort, tos uint8) {}

// SendStats counts what became of queued datagrams.
type SendStats struct {
	Sent, Bytes int // datagrams the kernel took, and their payload
	Calls       int // system calls
	Joined      int // those of Sent that went joined with others

	// Datagrams dropped, by why.
	WouldBlock  int // EAGAIN: the send buffer is full
	NoBuffers   int // ENOBUFS, ENOMEM: the device's queue is full
	TooLarge    int // EMSGSIZE: larger than the device's MTU and not to be fragmented, or than UDP allows
	Unreachable int // ENETUNREACH, EHOSTUNREACH …: no route, or no such family on this socket
	Forbidden   int // EPERM, EACCES: a packet filter, or a broadcast address
	Other       int // anything else
}

// Dropped is how many datagrams were not sent.
func (s SendStats) Dropped() int {
	return s.WouldBlock + s.NoBuffers + s.TooLarge + s.Unreachable + s.Forbidden + s.Other
}

// Flush sends what was queued since the last Flush and tells what became of it.
// Datagrams to one destination keep their order; those to different ones may not.
func (c *Conn) Flush() SendStats { return SendStats{} }

// Features are what the kernel granted to a socket.
type Features struct {
	GRO, GSO  bool // joining on the way in, out; GSO turns false when a device refuses it
	TOS       bool // TOS bits are received
	ReusePort bool
}

// Features tells what the kernel granted.
func (c *Conn) Features() Features { return Features{} }

// BufferSizes are the bytes of socket buffer got, as Options counts them.
func (c *Conn) BufferSizes() (recv, send int) { return 0, 0 }

// LocalAddr is the address bound to, with the port that was chosen.
func (c *Conn) LocalAddr() netip.AddrPort { return netip.AddrPort{} }

// FD is the file descriptor, the Conn's own until Close.
func (c *Conn) FD() int { return -1 }

// Close frees the socket and forgets what was queued. A second Close returns net.ErrClosed.
func (c *Conn) Close() error { return errTodo }

// Poller waits until one of many sockets has something to read. One goroutine
// uses it, but Wake, which any may call.
type Poller struct{}

// NewPoller returns a Poller that waits on nothing yet.
func NewPoller() (*Poller, error) { return nil, errTodo }

// Add begins to wait on c, too. token is what Wait will call it.
func (p *Poller) Add(c *Conn, token uint64) error { return errTodo }

// Remove ends waiting on c; do it before c is closed.
func (p *Poller) Remove(c *Conn) error { return errTodo }

// Wait returns as soon as sockets have something to read: their tokens are
// ready[:n]. It returns with n = 0 after timeout, after Wake, and now and then
// for nothing. A timeout of 0 does not wait; a negative one has no end. It is
// accurate to well under a millisecond.
func (p *Poller) Wait(timeout time.Duration, ready []uint64) (n int, err error) { return 0, errTodo }

// Wake makes the running Wait, or else the next, return at once. Any goroutine may call it.
func (p *Poller) Wake() {}

// Close ends the Poller; its sockets stay open.
func (p *Poller) Close() error { return errTodo }
