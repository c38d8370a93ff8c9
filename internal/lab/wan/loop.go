package wan

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway/internal/mono"
)

// loop moves packets: devices, network, heap, devices again, on one thread of its own.
//
// Waking a thread costs more than a packet (25–40 µs against 3 µs on a virtual
// machine), so while there is much to do the loop sleeps from tick to tick
// without listening, and finds many packets each time; the error is at most half
// a tick at either end. While there is little, it sleeps until a packet comes or is
// due, less the time that waking has been taking.
//
// It makes system calls without telling the Go scheduler, which would
// otherwise take the thread's place away for each; the other goroutines have
// another to run in (see realtime).
type loop struct {
	clock mono.Clock
	net   *network
	fds   []int // device of each node
	tick  time.Duration
	epoll int
	mail  *mailbox

	t0, since mono.Time // when the weather began, when counting began
	late      lateness
	stopped   bool

	ticking   bool
	polled    mono.Time     // when the devices were last read
	planned   mono.Time     // when the sleep should have ended; 0 if a packet ended it
	waking    time.Duration // what waking takes, on average of late
	moved     int           // packets read and released in this window
	windowEnd mono.Time

	events  [maxNodes + 1]unix.EpollEvent
	ready   int // events to be handled
	timeout unix.Timespec
	ppoll   bool // the kernel has no epoll_pwait2
	scratch []byte
}

const (
	// heartbeat bounds an idle sleep, so that a stall is noticed with no packet there.
	heartbeat = 5 * time.Millisecond
	// longestWaking bounds what waking is taken to need, above which it is a disturbance.
	longestWaking = 200 * time.Microsecond
	// early is how long before its due time a lone packet may go, about what writing it takes.
	early = 5 * time.Microsecond
	// burst is how many packets are read from one device before others have their turn.
	burst = 256
	// window is the number of ticks after which the loop chooses how to sleep.
	window = 32
	// With busyPackets in a window it ticks; it listens again below idlePackets.
	busyPackets, idlePackets = 16, 8
)

// run is the loop; it returns after stop.
func (l *loop) run() {
	now := l.clock.Now()
	l.begin(now)
	l.polled, l.windowEnd = now, now
	for !l.stopped {
		woken := l.clock.Now()
		l.awake(woken)
		l.mail.deliver()
		l.release()
		l.read(woken)
		l.release()
		if spent := l.clock.Now().Sub(woken); spent > StallLimit {
			l.late.absent(spent)
		}
		l.sleep()
	}
}

// begin makes t0 the origin of the weather and of the counts.
func (l *loop) begin(t0 mono.Time) {
	l.t0 = t0
	l.net.start(t0)
	l.reset(t0)
}

// reset makes counting begin again.
func (l *loop) reset(now mono.Time) {
	l.since = now
	l.net.resetCounts()
	l.late = lateness{}
}

// awake notes how late the loop was woken, and chooses how to sleep next.
func (l *loop) awake(now mono.Time) {
	if l.planned != 0 {
		late := now.Sub(l.planned)
		l.late.absent(late)
		if !l.ticking {
			l.waking += (min(max(late, 0), longestWaking) - l.waking) / 16
		}
	}
	if now < l.windowEnd {
		return
	}
	if l.ticking {
		l.ticking = l.moved >= idlePackets
	} else {
		l.ticking = l.moved >= busyPackets
	}
	l.moved = 0
	l.windowEnd = now.Add(window * l.tick)
}

// read takes in what the devices have. Between ticks packets came at any time
// since the last poll, on average in the middle of it; after a stall nobody
// knows, and too late is better than too early.
func (l *loop) read(now mono.Time) {
	arrived := now.Add(-l.waking)
	if l.ticking {
		arrived = now.Add(-min(now.Sub(l.polled)/2, 2*l.tick))
		l.ready = l.wait(0)
	}
	l.polled = now
	for again := true; again; {
		again = false
		for i := range l.ready {
			e := &l.events[i]
			if e.Fd < 0 {
				continue
			}
			if l.readDevice(int16(e.Fd), arrived) {
				again = true
				l.release() // what is due meanwhile must not wait for a flood
			} else {
				e.Fd = -1
			}
		}
	}
	l.ready = 0
}

// readDevice takes in up to a burst from a node's device, and reports whether
// there may be more.
func (l *loop) readDevice(node int16, arrived mono.Time) bool {
	for range burst {
		slot, free := l.net.pool.take()
		b := l.scratch
		if free {
			b = l.net.pool.bytes(slot)
		}
		n := readPacket(l.fds[node], b)
		switch {
		case n <= 0 && free:
			l.net.pool.give(slot)
			return false
		case n <= 0:
			return false
		case free:
			l.net.accept(node, slot, n, arrived)
		default:
			l.net.nodes[node].overflow++
		}
		l.moved++
	}
	return true
}

// release writes out what is due, or nearer to now than to the next chance.
func (l *loop) release() {
	ahead := early
	if l.ticking {
		ahead = l.tick / 2
	}
	heap, pool := l.net.heap, l.net.pool
	for heap.len() > 0 {
		now := l.clock.Now()
		if heap.top().at > now.Add(ahead) {
			return
		}
		e := heap.pop()
		p := &pool.held[e.slot]
		l.late.packets.add(now.Sub(e.at))
		l.deliver(p, pool.packet(e.slot))
		pool.give(e.slot)
		l.moved++
	}
}

func (l *loop) deliver(p *packet, b []byte) {
	if writePacket(l.fds[p.to], b) != len(b) {
		l.net.nodes[p.to].unwritten++
	} else if p.link >= 0 {
		c := &l.net.links[p.link].counts
		c.delivered++
		c.deliveredBytes += uint64(len(b))
	}
}

// sleep waits for the next tick, or for a packet or a due time.
func (l *loop) sleep() {
	now := l.clock.Now()
	if l.ticking {
		if l.planned == 0 || now.Sub(l.planned) > l.tick {
			l.planned = now // behind, or new to it: no use in catching up ticks
		}
		l.planned = l.planned.Add(l.tick)
		l.pause(l.planned.Sub(now))
		return
	}
	until := now.Add(heartbeat)
	if heap := l.net.heap; heap.len() > 0 {
		until = min(until, heap.top().at.Add(-l.waking))
	}
	l.ready = l.wait(until.Sub(now))
	l.planned = until
	if l.ready > 0 || until <= now { // so near to a due time the loop spins
		l.planned = 0
	}
}

// pause sleeps without listening.
func (l *loop) pause(d time.Duration) {
	if d > 0 {
		l.timeout = unix.NsecToTimespec(int64(d))
		unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&l.timeout)), 0, 0, 0)
	}
}

// wait listens for up to d and returns the number of events.
func (l *loop) wait(d time.Duration) int {
	l.timeout = unix.NsecToTimespec(int64(max(d, 0)))
	if l.ppoll {
		poll := unix.PollFd{Fd: int32(l.epoll), Events: unix.POLLIN}
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&l.timeout)), 0, 0, 0)
		l.timeout = unix.Timespec{}
		n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events)), uintptr(len(l.events)), 0, 0, 0)
		return count(n, err)
	}
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events)), uintptr(len(l.events)), uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	if err == unix.ENOSYS { // before Linux 5.11
		l.ppoll = true
		return l.wait(d)
	}
	return count(n, err)
}

func count(n uintptr, err unix.Errno) int {
	if err != 0 {
		return 0
	}
	return int(n)
}

func readPacket(fd int, b []byte) int {
	n, _, err := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return count(n, err)
}

func writePacket(fd int, b []byte) int {
	n, _, err := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return count(n, err)
}
