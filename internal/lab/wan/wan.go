// Package wan is the Internet of the lab: one process that carries every packet
// between the lab's hosts through the weather of the link it takes.
//
// Each node has a TUN device, made inside its network namespace and read here.
// A packet's source and destination addresses choose its link; the link's weather
// says whether it arrives and when; a heap holds it until then. Routers on the
// way, if configured, take from the TTL and answer; packets too large for a link are cut
// or complained about, as a router does.
//
// The weather itself is package weather's; which nodes and links there are is
// the lab's to say (Config), and so is when to begin and what to change (Client).
package wan

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
	"causeway/internal/mono"
)

// Run is the emulator: it attaches the nodes, carries packets until ctx ends or
// a client says stop, and gives everything back. It wants root, and a process to
// itself: it turns garbage collection off while it runs. The weather begins
// at once, and again at a client's Start.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := netns.Check(); err != nil {
		return err
	}
	c = c.withDefaults()
	nodes, err := attachAll(c.Nodes)
	defer func() {
		for _, a := range nodes {
			a.close()
		}
	}()
	if err != nil {
		return err
	}
	fds := make([]int, len(nodes))
	for i, a := range nodes {
		fds[i] = a.fd
	}
	l, err := newLoop(c, fds)
	if err != nil {
		return err
	}
	defer l.close()
	return carry(ctx, c, l, nodes)
}

// carry runs the loop and its control socket until ctx ends or a client says stop.
func carry(ctx context.Context, c Config, l *loop, nodes []*attachment) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer quiet()()
	ended, realtime := make(chan struct{}), make(chan bool, 1)
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with its priority
		realtime <- beRealtime(c.Priority)
		l.run()
	}()
	control := &controller{loop: l, nodes: nodes, stop: stop, realtime: <-realtime}
	control.unread = control.countUnread()
	var err error
	if c.Control != "" {
		if err = control.listen(c.Control); err == nil {
			<-ctx.Done()
		}
		control.close()
		if err == nil {
			os.Remove(c.Control)
		}
	} else {
		<-ctx.Done()
	}
	l.mail.do(func() { l.stopped = true })
	<-ended
	l.mail.close()
	return err
}

func attachAll(nodes []Node) ([]*attachment, error) {
	var all []*attachment
	for _, n := range nodes {
		a, err := attach(n)
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

// newLoop prepares the loop for devices that are open, one for each node. The
// devices stay the caller's.
func newLoop(c Config, fds []int) (*loop, error) {
	largest := largestError6
	for _, n := range c.Nodes {
		largest = max(largest, n.MTU)
	}
	p, err := newPool(c.Buffers, largest)
	if err != nil {
		return nil, err
	}
	l := &loop{
		clock: mono.NewClock(), net: newNetwork(c, p), fds: fds, tick: c.Tick,
		scratch: make([]byte, largest), epoll: -1, mail: &mailbox{bell: -1},
	}
	if err := l.openEvents(); err != nil {
		l.close()
		return nil, fmt.Errorf("wait for packets: %w", err)
	}
	return l, nil
}

func (l *loop) openEvents() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if l.mail.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	for node, fd := range l.fds {
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(node)}
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
			return err
		}
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1} // only wakes; deliver reads it
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.mail.bell, &e)
}

func (l *loop) close() {
	for _, fd := range []int{l.epoll, l.mail.bell} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	l.net.pool.close()
}
