// Package udpio is the data plane's only door to UDP sockets: it reads and
// writes datagrams by the batch (recvmmsg, sendmmsg), lets the kernel join and
// split them (UDP_GRO, UDP_SEGMENT) and waits on many sockets at once (epoll).
//
// It needs Linux 5.10. It carries ECN and DSCP bits both ways, never blocks
// outside Poller.Wait, allocates nothing per packet, and keeps no goroutine.
// What is in the datagrams, and who may send them, is its caller's business.
//
// The files in the order in which to read them: conn.go opens a socket,
// batch.go and read.go take datagrams in, queue.go, room.go and flush.go send them,
// poller.go waits; sockaddr.go and cmsg.go are the kernel's formats.
package udpio

// MaxPayload is the largest UDP payload over IPv4 in bytes: 65,535 less the
// IP and UDP headers.
const MaxPayload = 65507

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
	// NoTOS does without DSCP and ECN of what is received, NoBatch with one message
	// per system call.
	NoTOS, NoBatch bool
	// Room is memory that sockets of one goroutine share; nil gives the socket its own.
	Room *SendRoom
	// FreeBind allows an address that the machine does not have (yet).
	FreeBind bool
}

// Features are what the kernel granted to a socket.
type Features struct {
	GRO   bool // several datagrams of a flow are received as one and split here
	GSO   bool // several datagrams to one destination are sent as one; false once a device refused it
	TOS   bool // DSCP and ECN bits are received; false means Message.TOS is always 0
	Batch bool // several messages in one system call
}
