package wan

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// pool is the memory for packets on their way: slots of one size outside the
// Go heap, the one used last given out first so that few of them are ever touched.
type pool struct {
	mem  []byte
	size int
	free []uint32
	held []packet // by slot
}

// packet is what is in a slot.
type packet struct {
	size int32
	to   int16 // the node it goes to
	link int16 // the link that carries it, to be counted when it is delivered; -1 is none
}

// slotAlign keeps slots on whole cache lines.
const slotAlign = 256

func newPool(slots, largest int) (*pool, error) {
	size := (largest + slotAlign - 1) / slotAlign * slotAlign
	mem, err := unix.Mmap(-1, 0, slots*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d buffers of %d bytes: %w", slots, size, err)
	}
	p := &pool{mem: mem, size: size, free: make([]uint32, slots), held: make([]packet, slots)}
	for i := range p.free {
		p.free[i] = uint32(slots - 1 - i)
	}
	// Touch what ordinary loads need, so that no page fault falls into a run.
	for i := 0; i < min(len(mem), 8<<20); i += 4096 {
		mem[i] = 0
	}
	return p, nil
}

// take returns a free slot, or false when all are on their way.
func (p *pool) take() (uint32, bool) {
	n := len(p.free)
	if n == 0 {
		return 0, false
	}
	slot := p.free[n-1]
	p.free = p.free[:n-1]
	return slot, true
}

func (p *pool) give(slot uint32) { p.free = append(p.free, slot) }

// bytes returns the whole of a slot.
func (p *pool) bytes(slot uint32) []byte {
	at := int(slot) * p.size
	return p.mem[at : at+p.size : at+p.size]
}

// packet returns the bytes of the packet in a slot.
func (p *pool) packet(slot uint32) []byte { return p.bytes(slot)[:p.held[slot].size] }

func (p *pool) close() error { return unix.Munmap(p.mem) }
