package udpio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// DefaultBuffer is what Options' zero sizes mean: at 2.3 KB a full-size packet
// in the kernel, room for 40 ms at 1 Gbit/s. The system's default of 208 KiB
// loses packets from a few thousand a second on.
const DefaultBuffer = 8 << 20

// Conn is a bound, unconnected UDP socket. One goroutine at a time uses it, Close included.
type Conn struct {
	fd       int // -1 after Close
	ipv6     bool
	local    netip.AddrPort
	features Features
	recvBuf  int
	sendBuf  int
	received ReceiveStats
	receive  int // bytes of a receive, on average, at the last Read
	out      queue
	room     *SendRoom // see sendRoom
	busy     bool      // SO_BUSY_POLL is on
}

// Listen opens a socket bound to addr, whose port may be 0. An IPv6 socket is
// for IPv6 only; an IPv4-mapped address is IPv4. Link-local IPv6 addresses,
// which mean nothing without a zone, are refused.
func Listen(addr netip.AddrPort, o Options) (*Conn, error) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.Addr().IsValid() {
		return nil, errors.New("listen on UDP: no address given")
	}
	if addr.Addr().Zone() != "" || addr.Addr().Is6() && addr.Addr().IsLinkLocalUnicast() {
		return nil, fmt.Errorf("listen on UDP %v: a link-local address is valid on one link only; choose a global or unique-local one", addr)
	}
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, explain(addr, "socket", err)
	}
	c := &Conn{fd: fd, ipv6: addr.Addr().Is6(), room: o.Room}
	if err := c.setUp(addr, o); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// setUp gives the new socket its options and its address.
func (c *Conn) setUp(addr netip.AddrPort, o Options) error {
	for _, opt := range c.mustHave(o) {
		if err := unix.SetsockoptInt(c.fd, opt.level, opt.name, opt.value); err != nil {
			return explain(addr, opt.what, err)
		}
	}
	c.recvBuf = c.setBuffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, o.RecvBuffer)
	c.sendBuf = c.setBuffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.SendBuffer)
	c.askFeatures(o)
	if err := unix.Bind(c.fd, sockaddrOf(addr)); err != nil {
		return explain(addr, "bind", err)
	}
	bound, err := unix.Getsockname(c.fd)
	if err != nil {
		return explain(addr, "getsockname", err)
	}
	c.local = addrPortOf(bound)
	return nil
}

// option is one socket option that Linux 5.10 is sure to have.
type option struct {
	what               string
	level, name, value int
}

// mustHave lists the options without which the socket would not do what o promises.
func (c *Conn) mustHave(o Options) []option {
	var list []option
	pmtu4, pmtu6 := unix.IP_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_PROBE
	if o.MayFragment {
		pmtu4, pmtu6 = unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	}
	if c.ipv6 {
		list = append(list,
			option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			option{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, pmtu6})
	} else {
		list = append(list, option{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, pmtu4})
	}
	if o.ReusePort {
		list = append(list, option{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if o.FreeBind && c.ipv6 {
		list = append(list, option{"IPV6_FREEBIND", unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1})
	} else if o.FreeBind {
		list = append(list, option{"IP_FREEBIND", unix.IPPROTO_IP, unix.IP_FREEBIND, 1})
	}
	return list
}

// askFeatures turns on what makes the socket faster or better informed, and
// notes what the kernel granted.
func (c *Conn) askFeatures(o Options) {
	on := 1
	if o.NoTOS {
		on = 0
	}
	tos := unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, unix.IP_RECVTOS, on)
	if c.ipv6 {
		tos = unix.SetsockoptInt(c.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, on)
	}
	c.features.TOS = tos == nil && !o.NoTOS
	c.features.Batch = !o.NoBatch
	if !o.NoGRO {
		c.features.GRO = unix.SetsockoptInt(c.fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil
	}
	if !o.NoGSO { // the option exists; a device may still refuse, see queue.refused
		_, err := unix.GetsockoptInt(c.fd, unix.SOL_UDP, unix.UDP_SEGMENT)
		c.features.GSO = err == nil
	}
}

// setBuffer asks for size bytes (0: the default), past the system's limit if
// that is allowed, and returns what was got. The kernel books its own overhead
// on top by doubling every figure, which is undone here.
func (c *Conn) setBuffer(force, ordinary, size int) int {
	if size == 0 {
		size = DefaultBuffer
	}
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, ordinary, size) // takes what the limit allows
	}
	got, _ := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, ordinary)
	return got / 2
}

// explain says what was tried with addr, why it failed and what helps.
func explain(addr netip.AddrPort, step string, err error) error {
	tried := fmt.Sprintf("listen on UDP %v", addr)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s: the port is in use; see by whom with: ss -ulpn 'sport = :%d': %w", tried, addr.Port(), err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine has no address %v; see which it has with: ip addr: %w", tried, addr.Addr(), err)
	case step == "bind" && errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: ports below 1024 need root or CAP_NET_BIND_SERVICE: %w", tried, err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%s: too many open files; raise the limit with: ulimit -n: %w", tried, err)
	}
	return fmt.Errorf("%s: %s: %w", tried, step, err)
}

// Features tells what the kernel granted.
func (c *Conn) Features() Features { return c.features }

// BufferSizes are the bytes of socket buffer got, as Options counts them.
func (c *Conn) BufferSizes() (recv, send int) { return c.recvBuf, c.sendBuf }

// LocalAddr is the address bound to, with the port that was chosen.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// FD is the file descriptor, which stays the Conn's own; -1 after Close.
func (c *Conn) FD() int { return c.fd }

// sendRoom is the memory for sending: the one that was given, or one of its own.
func (c *Conn) sendRoom() *SendRoom {
	if c.room == nil {
		c.room = new(SendRoom)
	}
	return c.room
}

// Close frees the socket and forgets what was queued. A second Close returns net.ErrClosed.
func (c *Conn) Close() error {
	if c.fd < 0 {
		return net.ErrClosed
	}
	err := unix.Close(c.fd)
	c.fd, c.out = -1, queue{}
	return err
}
