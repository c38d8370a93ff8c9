package xdp

import (
	"errors"
	"fmt"
	"runtime"
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

// queue is a socket on one of a device's receive queues, with the memory its packets are in.
type queue struct {
	fd       int
	memory   []byte
	fill     ring[uint64]
	complete ring[uint64] // of what was sent: always empty
	rx       ring[unix.XDPDesc]
	zeroCopy bool

	taken [batch]unix.XDPDesc
	lent  []uint64 // frames that Read has given out
}

// batch is how many packets one Read takes from a queue at most.
const batch = 64

// openQueue makes a socket on a receive queue. errNoQueue: the device has no such.
func openQueue(ifindex, number int) (q *queue, err error) {
	q = &queue{fd: -1, lent: make([]uint64, 0, frames)}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.close())
		}
	}()
	if q.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return q, fmt.Errorf("socket of family AF_XDP: %w", err)
	}
	if q.memory, err = unix.Mmap(-1, 0, frames*frameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return q, fmt.Errorf("memory for packets: %w", err)
	}
	if err = q.setUp(); err != nil {
		return q, err
	}
	q.zeroCopy = true
	err = unix.Bind(q.fd, &unix.SockaddrXDP{Flags: unix.XDP_ZEROCOPY | unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(ifindex), QueueID: uint32(number)})
	if err != nil && !errors.Is(err, unix.EBUSY) {
		q.zeroCopy = false
		err = unix.Bind(q.fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(ifindex), QueueID: uint32(number)})
	}
	if errors.Is(err, unix.EINVAL) && number > 0 {
		return q, errNoQueue
	}
	if err != nil {
		return q, fmt.Errorf("bind to receive queue %d: %w", number, err)
	}
	return q, nil
}

var errNoQueue = errors.New("the device has no such queue")

// setUp gives the socket its memory and rings, and all frames to the kernel.
func (q *queue) setUp() error {
	memory := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&q.memory[0]))), Len: uint64(len(q.memory)), Size: frameSize}
	// Kernels refuse a structure longer than theirs unless the rest is zero, and
	// before 6.8 know it without the last field.
	err := setsockopt(q.fd, unix.XDP_UMEM_REG, unsafe.Pointer(&memory), unsafe.Sizeof(memory)-8)
	runtime.KeepAlive(q.memory)
	if err != nil {
		return fmt.Errorf("register memory: %w", err)
	}
	for _, ring := range [...]struct{ what, size int }{
		{unix.XDP_UMEM_FILL_RING, frames}, {unix.XDP_UMEM_COMPLETION_RING, batch}, {unix.XDP_RX_RING, frames},
	} {
		if err := unix.SetsockoptInt(q.fd, unix.SOL_XDP, ring.what, ring.size); err != nil {
			return fmt.Errorf("make a ring: %w", err)
		}
	}
	var at unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(at))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(q.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return fmt.Errorf("ask where rings are: %w", errno)
	}
	if q.fill, err = mapRing[uint64](q.fd, frames, at.Fr, unix.XDP_UMEM_PGOFF_FILL_RING); err != nil {
		return err
	}
	if q.complete, err = mapRing[uint64](q.fd, batch, at.Cr, unix.XDP_UMEM_PGOFF_COMPLETION_RING); err != nil {
		return err
	}
	if q.rx, err = mapRing[unix.XDPDesc](q.fd, frames, at.Rx, unix.XDP_PGOFF_RX_RING); err != nil {
		return err
	}
	for i := range frames {
		q.lent = append(q.lent, uint64(i*frameSize))
	}
	q.release()
	return nil
}

func setsockopt(fd, name int, value unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(name), uintptr(value), size, 0); errno != 0 {
		return errno
	}
	return nil
}

// read takes the packets that have arrived, as Ethernet frames; they are lent until
// release.
func (q *queue) read(give func(frame []byte)) int {
	n := q.rx.take(q.taken[:])
	for i := range q.taken[:n] {
		d := &q.taken[i]
		q.lent = append(q.lent, d.Addr&^(frameSize-1))
		give(q.memory[d.Addr:][:d.Len:d.Len])
	}
	return n
}

// release gives all frames that were read back to the kernel.
func (q *queue) release() {
	n := q.fill.put(q.lent)
	q.lent = q.lent[:copy(q.lent, q.lent[n:])]
}

// dropped is how many packets found no room.
func (q *queue) dropped() uint64 {
	var s unix.XDPStatistics
	size := uint32(unsafe.Sizeof(s))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(q.fd), unix.SOL_XDP, unix.XDP_STATISTICS,
		uintptr(unsafe.Pointer(&s)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return 0
	}
	return s.Rx_dropped + s.Rx_ring_full
}

func (q *queue) close() error {
	err := errors.Join(q.fill.close(), q.complete.close(), q.rx.close())
	if q.fd >= 0 {
		err = errors.Join(err, unix.Close(q.fd))
		q.fd = -1
	}
	if q.memory != nil {
		err = errors.Join(err, unix.Munmap(q.memory))
		q.memory = nil
	}
	return err
}
