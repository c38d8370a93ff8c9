package xdp

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// frameSize is the memory of a packet; it must hold one of the device's MTU.
	frameSize = 2048
	// headroom is what the kernel keeps free in front of a packet.
	headroom = 256
	// frames is how many packets may be on their way through a queue.
	frames = 4096
	// MaxMTU is the largest a device may have.
	MaxMTU = frameSize - headroom - ethLen
)

// queue is one of a device's receive queues: the memory that its packets are in, and a
// socket for each worker.
type queue struct {
	memory   []byte
	mu       sync.Mutex // orders those that give frames back; of one worker's PoP it is nobody else's
	fill     ring[uint64]
	spare    []uint64 // frames that are not in it, the one last used last
	level    level
	complete ring[uint64] // of what was sent: always empty
	zeroCopy bool
	socks    []*socket
}

// socket is a worker's on a queue. One goroutine uses it.
type socket struct {
	queue *queue
	fd    int
	rx    ring[unix.XDPDesc]
	taken [MaxRead]unix.XDPDesc
	lent  []uint64 // frames that Read has given out
}

// MaxRead is how many packets one Read takes from a queue at most.
const MaxRead = 64

// openQueue makes sockets on a receive queue. errNoQueue: the device has no such.
func openQueue(ifindex, number, workers int) (q *queue, err error) {
	q = &queue{}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.close())
		}
	}()
	first, err := q.addSocket()
	if err != nil {
		return q, err
	}
	if q.memory, err = unix.Mmap(-1, 0, frames*frameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return q, fmt.Errorf("memory for packets: %w", err)
	}
	if err = q.setUp(first); err != nil {
		return q, err
	}
	q.zeroCopy = true
	err = unix.Bind(first.fd, &unix.SockaddrXDP{Flags: unix.XDP_ZEROCOPY | unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(ifindex), QueueID: uint32(number)})
	if err != nil && !errors.Is(err, unix.EBUSY) {
		q.zeroCopy = false
		err = unix.Bind(first.fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(ifindex), QueueID: uint32(number)})
	}
	if errors.Is(err, unix.EINVAL) && number > 0 {
		return q, errNoQueue
	}
	if err != nil {
		return q, fmt.Errorf("bind to receive queue %d: %w", number, err)
	}
	for len(q.socks) < workers { // the others share memory and rings of the first
		s, err := q.addSocket()
		if err != nil {
			return q, err
		}
		if err := s.mapRX(); err != nil {
			return q, err
		}
		if err := unix.Bind(s.fd, &unix.SockaddrXDP{Flags: unix.XDP_SHARED_UMEM, Ifindex: uint32(ifindex), QueueID: uint32(number), SharedUmemFD: uint32(first.fd)}); err != nil {
			return q, fmt.Errorf("share receive queue %d among workers: %w", number, err)
		}
	}
	return q, nil
}

func (q *queue) addSocket() (*socket, error) {
	s := &socket{queue: q, fd: -1, lent: make([]uint64, 0, frames)}
	var err error
	if s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return s, fmt.Errorf("socket of family AF_XDP: %w", err)
	}
	q.socks = append(q.socks, s)
	return s, nil
}

var errNoQueue = errors.New("the device has no such queue")

// setUp gives the first socket the queue's memory and rings, and all frames to the kernel.
func (q *queue) setUp(s *socket) error {
	memory := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&q.memory[0]))), Len: uint64(len(q.memory)), Size: frameSize}
	// Kernels refuse a structure longer than theirs unless the rest is zero, and
	// before 6.8 know it without the last field.
	err := setsockopt(s.fd, unix.XDP_UMEM_REG, unsafe.Pointer(&memory), unsafe.Sizeof(memory)-8)
	runtime.KeepAlive(q.memory)
	if err != nil {
		return fmt.Errorf("register memory: %w", err)
	}
	for _, ring := range [...]struct{ what, size int }{
		{unix.XDP_UMEM_FILL_RING, frames}, {unix.XDP_UMEM_COMPLETION_RING, MaxRead},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, ring.what, ring.size); err != nil {
			return fmt.Errorf("make a ring: %w", err)
		}
	}
	if err := s.mapRX(); err != nil {
		return err
	}
	at, err := s.offsets()
	if err != nil {
		return err
	}
	if q.fill, err = mapRing[uint64](s.fd, frames, at.Fr, unix.XDP_UMEM_PGOFF_FILL_RING); err != nil {
		return err
	}
	if q.complete, err = mapRing[uint64](s.fd, MaxRead, at.Cr, unix.XDP_UMEM_PGOFF_COMPLETION_RING); err != nil {
		return err
	}
	q.spare = make([]uint64, 0, frames)
	for i := range frames {
		q.spare = append(q.spare, uint64(i*frameSize))
	}
	q.giveAhead()
	return nil
}

// mapRX makes the ring that a socket's packets come in.
func (s *socket) mapRX() error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_RX_RING, frames); err != nil {
		return fmt.Errorf("make a ring: %w", err)
	}
	at, err := s.offsets()
	if err != nil {
		return err
	}
	s.rx, err = mapRing[unix.XDPDesc](s.fd, frames, at.Rx, unix.XDP_PGOFF_RX_RING)
	return err
}

// offsets are where a socket's rings have what.
func (s *socket) offsets() (at unix.XDPMmapOffsets, err error) {
	size := uint32(unsafe.Sizeof(at))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return at, fmt.Errorf("ask where rings are: %w", errno)
	}
	return at, nil
}

func setsockopt(fd, name int, value unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(name), uintptr(value), size, 0); errno != 0 {
		return errno
	}
	return nil
}

// read takes packets that have arrived; they are lent until release.
func (s *socket) read() []unix.XDPDesc {
	arrived := s.taken[:s.rx.take(s.taken[:])]
	for i := range arrived {
		s.lent = append(s.lent, arrived[i].Addr&^(frameSize-1))
	}
	return arrived
}

// frame is the Ethernet frame of a packet.
func (s *socket) frame(d *unix.XDPDesc) []byte { return s.queue.memory[d.Addr:][:d.Len:d.Len] }

// release takes all frames that were read back, and gives the kernel as many as it is to have.
func (s *socket) release() {
	if len(s.lent) == 0 {
		return
	}
	q := s.queue
	q.mu.Lock()
	q.spare = append(q.spare, s.lent...)
	s.lent = s.lent[:0]
	q.level.look(q.level.now() - q.fill.waiting())
	q.giveAhead()
	q.mu.Unlock()
}

// giveAhead has the kernel have as many frames as the level says, those last used first.
func (q *queue) giveAhead() {
	missing := min(max(q.level.now()-q.fill.waiting(), 0), len(q.spare))
	first := len(q.spare) - missing
	n := q.fill.put(q.spare[first:])
	q.spare = append(q.spare[:first], q.spare[first+n:]...)
}

// dropped is how many packets found no room.
func (s *socket) dropped() uint64 {
	var st unix.XDPStatistics
	size := uint32(unsafe.Sizeof(st))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_STATISTICS,
		uintptr(unsafe.Pointer(&st)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return 0
	}
	return st.Rx_dropped + st.Rx_ring_full
}

func (q *queue) close() error {
	err := errors.Join(q.fill.close(), q.complete.close())
	for i := len(q.socks) - 1; i >= 0; i-- { // the first, whose memory it is, last
		s := q.socks[i]
		err = errors.Join(err, s.rx.close())
		if s.fd >= 0 {
			err = errors.Join(err, unix.Close(s.fd))
			s.fd = -1
		}
	}
	if q.memory != nil {
		err = errors.Join(err, unix.Munmap(q.memory))
		q.memory = nil
	}
	return err
}
