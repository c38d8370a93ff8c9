package xdp

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is a queue in memory that kernel and program share: one puts, the other
// takes, and each counts what it did.
type ring[T any] struct {
	mapped   []byte
	producer *atomic.Uint32
	consumer *atomic.Uint32
	slots    []T
	mask     uint32
}

// mapRing maps one of a socket's rings.
func mapRing[T any](fd int, size uint32, at unix.XDPRingOffset, page int64) (r ring[T], err error) {
	var slot T
	length := int(at.Desc) + int(size)*int(unsafe.Sizeof(slot))
	r.mapped, err = unix.Mmap(fd, page, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return r, fmt.Errorf("map a ring: %w", err)
	}
	base := unsafe.Pointer(&r.mapped[0])
	r.producer = (*atomic.Uint32)(unsafe.Add(base, at.Producer))
	r.consumer = (*atomic.Uint32)(unsafe.Add(base, at.Consumer))
	r.slots = unsafe.Slice((*T)(unsafe.Add(base, at.Desc)), size)
	r.mask = size - 1
	return r, nil
}

func (r *ring[T]) close() error {
	if r.mapped == nil {
		return nil
	}
	err := unix.Munmap(r.mapped)
	r.mapped = nil
	return err
}

// waiting is how many are in it.
func (r *ring[T]) waiting() int { return int(r.producer.Load() - r.consumer.Load()) }

// put adds what fits of list and returns how many did.
func (r *ring[T]) put(list []T) int {
	at := r.producer.Load()
	room := uint32(len(r.slots)) - (at - r.consumer.Load())
	n := min(uint32(len(list)), room)
	for i := range n {
		r.slots[(at+i)&r.mask] = list[i]
	}
	r.producer.Store(at + n)
	return int(n)
}

// take moves at most len(list) into list and returns how many there were.
func (r *ring[T]) take(list []T) int {
	at := r.consumer.Load()
	n := min(uint32(len(list)), r.producer.Load()-at)
	for i := range n {
		list[i] = r.slots[(at+i)&r.mask]
	}
	r.consumer.Store(at + n)
	return int(n)
}
