package udpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits until one of many sockets has something to read. One goroutine
// uses it, but Wake, which any may call.
type Poller struct {
	epoll  int
	events []unix.EpollEvent
	timer  int // a timerfd, or -1 where the kernel has epoll_pwait2
	alarm  unix.ItimerSpec
	rung   [8]byte // what bell and timer said

	woken atomic.Bool // spares Wake the system call when one was made already
	mu    sync.Mutex  // orders Wake and Close
	bell  int         // an eventfd; -1 after Close
	one   [8]byte     // what Wake writes
}

// The Poller's own tokens; a caller's may not be among them.
const (
	bellToken  = math.MaxUint64
	timerToken = math.MaxUint64 - 1
)

// NewPoller returns a Poller that waits on nothing yet.
func NewPoller() (*Poller, error) { return newPoller((*Poller).open) }

// NewTimerPoller is NewPoller for kernels without epoll_pwait2 (before 5.11), on any.
func NewTimerPoller() (*Poller, error) {
	return newPoller(func(p *Poller) error { return errors.Join(p.open(), p.useTimer()) })
}

func newPoller(open func(*Poller) error) (*Poller, error) {
	p := &Poller{epoll: -1, timer: -1, bell: -1, events: make([]unix.EpollEvent, 64)}
	if err := open(p); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("make a poller: %w", err)
	}
	return p, nil
}

func (p *Poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return err
	}
	if err = p.add(p.bell, bellToken, unix.EPOLLIN); err != nil {
		return err
	}
	if _, errno := p.wait2(0, 1); errno != unix.ENOSYS {
		return nil
	}
	return p.useTimer()
}

// useTimer makes up for the lack of epoll_pwait2 (before Linux 5.11), without
// which epoll only knows whole milliseconds.
func (p *Poller) useTimer() (err error) {
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return err
	}
	return p.add(p.timer, timerToken, unix.EPOLLIN)
}

// Nanoseconds reports whether the kernel has epoll_pwait2.
func (p *Poller) Nanoseconds() bool { return p.timer < 0 }

// Add begins to wait on c, too. token is what Wait will call it; the two
// largest numbers are refused. Adding c again changes its token.
func (p *Poller) Add(c *Conn, token uint64) error { return p.addConn(c, token, unix.EPOLLIN) }

// AddEdge is Add, but Wait tells of c only when something has come since it told last. Who is
// told reads until a Batch says that there is no More, and remembers to.
func (p *Poller) AddEdge(c *Conn, token uint64) error {
	return p.addConn(c, token, unix.EPOLLIN|unix.EPOLLET)
}

func (p *Poller) addConn(c *Conn, token uint64, events uint32) error {
	if token >= timerToken {
		return fmt.Errorf("poll %v: token %d is reserved", c.local, token)
	}
	if err := p.add(c.fd, token, events); err != nil {
		return fmt.Errorf("poll %v: %w", c.local, err)
	}
	return nil
}

// AddFD is Add for what else can be waited on to be read.
func (p *Poller) AddFD(fd int, token uint64) error { return p.add(fd, token, unix.EPOLLIN) }

func (p *Poller) add(fd int, token uint64, events uint32) error {
	e := unix.EpollEvent{Events: events}
	setToken(&e, token)
	err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &e)
	if errors.Is(err, unix.EEXIST) {
		err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_MOD, fd, &e)
	}
	return err
}

// Remove ends waiting on c; do it before c is closed.
func (p *Poller) Remove(c *Conn) error {
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, c.fd, nil); err != nil {
		return fmt.Errorf("stop polling %v: %w", c.local, err)
	}
	return nil
}

// Brief is the longest timeout of a Wait that Go's scheduler does not hear of. Such a
// wait keeps its P: waking from it costs no other thread's waking, which is most of
// what a wait costs; but a garbage collection may have to wait for its end.
const Brief = 500 * time.Microsecond

// Wait returns as soon as sockets have something to read: their tokens are
// ready[:n]. What stays unread is told again by the next Wait (but see AddEdge). It returns with
// n = 0 after timeout, after Wake, and now and then for nothing. A timeout of 0
// does not wait; a negative one has no end. It is accurate to well under a
// millisecond. err is net.ErrClosed after Close.
func (p *Poller) Wait(timeout time.Duration, ready []uint64) (n int, err error) {
	// No more events than there is room for: epoll takes up next time where it
	// stopped, so every socket gets its turn.
	most := max(1, len(ready))
	if len(p.events) < most {
		p.events = make([]unix.EpollEvent, most)
	}
	var got int
	var errno unix.Errno
	if p.timer < 0 {
		got, errno = p.wait2(timeout, most)
	} else {
		got, errno = p.waitTimer(timeout, most)
	}
	switch errno {
	case 0:
	case unix.EINTR:
		return 0, nil
	case unix.EBADF:
		return 0, net.ErrClosed
	default:
		return 0, fmt.Errorf("wait for sockets: %w", errno)
	}
	for i := range p.events[:got] {
		switch token := tokenOf(&p.events[i]); {
		case token == bellToken:
			p.silence()
		case token == timerToken:
			p.drain(p.timer)
		case n < len(ready):
			ready[n] = token
			n++
		}
	}
	return n, nil
}

// wait2 waits by epoll_pwait2, which knows nanoseconds.
func (p *Poller) wait2(timeout time.Duration, most int) (int, unix.Errno) {
	if timeout >= 0 && timeout <= Brief {
		now := unix.NsecToTimespec(int64(timeout))
		got, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(most), uintptr(unsafe.Pointer(&now)), 0, 0)
		return count(got, errno), errno
	}
	until := unix.NsecToTimespec(int64(timeout))
	spec := &until
	if timeout < 0 {
		spec = nil
	}
	got, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(most), uintptr(unsafe.Pointer(spec)), 0, 0)
	return count(got, errno), errno
}

// waitTimer waits by epoll_wait with a timer among the events.
func (p *Poller) waitTimer(timeout time.Duration, most int) (int, unix.Errno) {
	p.alarm = unix.ItimerSpec{} // none
	block := 0
	if timeout != 0 {
		block = -1
	}
	if timeout > 0 {
		p.alarm.Value = unix.NsecToTimespec(int64(timeout))
	}
	if err := unix.TimerfdSettime(p.timer, 0, &p.alarm, nil); err != nil {
		return 0, err.(unix.Errno)
	}
	got, err := unix.EpollWait(p.epoll, p.events[:most], block)
	if err != nil {
		return 0, err.(unix.Errno)
	}
	return got, 0
}

func count(got uintptr, errno unix.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(got)
}

// Wake makes the running Wait, or else the next, return at once. Any goroutine
// may call it; after Close it does nothing.
func (p *Poller) Wake() {
	if p.woken.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bell < 0 {
		return
	}
	binary.NativeEndian.PutUint64(p.one[:], 1)
	_, _ = unix.Write(p.bell, p.one[:])
}

// silence takes in a Wake. The bell goes quiet first: a Wake in between is
// spared its call, but finds this Wait about to return.
func (p *Poller) silence() {
	p.drain(p.bell)
	p.woken.Store(false)
}

// drain empties an eventfd or timerfd.
func (p *Poller) drain(fd int) { _, _ = unix.Read(fd, p.rung[:]) }

// Close ends the Poller; its sockets stay open. Not while Wait runs.
func (p *Poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoll < 0 {
		return net.ErrClosed
	}
	var err error
	for _, fd := range []*int{&p.epoll, &p.bell, &p.timer} {
		if *fd >= 0 {
			err = errors.Join(err, unix.Close(*fd))
		}
		*fd = -1
	}
	return err
}

// setToken and tokenOf use the 64 bits that epoll keeps for its caller, which
// x/sys splits in two.
func setToken(e *unix.EpollEvent, token uint64) { e.Fd, e.Pad = int32(token), int32(token>>32) }
func tokenOf(e *unix.EpollEvent) uint64         { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
