// Package history keeps the bytes of a direction's newest symbols by number, in the
// form in which codes add them up: framed (their length before them) and padded
// with zeros to a multiple of 64 bytes. Which numbers are inside the window, and
// what a symbol that is absent means, is its users' business.
package history

import (
	"encoding/binary"

	"causeway/internal/dataplane/segment/code/gf"
)

// lengthSize is the length of the length in front of a framed symbol.
const lengthSize = 2

// Ring holds up to one symbol per slot; number seq lives in slot seq mod slots. Not
// safe for concurrent use.
type Ring struct {
	Pool // lends the buffers; users may borrow from it too

	mask     uint32
	headroom int
	buffers  [][]byte // headroom, then the padded frame; nil when the slot is free
	sizes    []uint16 // the frames' lengths without padding; 0 when the slot is free
	room     []byte   // lent by Room, or nil
}

// Headroom is how many bytes a symbol of a ring for senders can be given in front
// (Headed). It keeps frames at multiples of 64 bytes.
const Headroom = 64

// NewRing returns a ring of that many slots, a power of two.
func NewRing(slots int) *Ring {
	return &Ring{mask: uint32(slots - 1), buffers: make([][]byte, slots), sizes: make([]uint16, slots)}
}

// NewHeadedRing returns a ring whose symbols have Headroom in front.
func NewHeadedRing(slots int) *Ring {
	r := NewRing(slots)
	r.headroom = Headroom
	return r
}

// Grow makes a ring of twice as many slots of it, in which the symbols from oldest up to
// next stay where they are found. No others are held.
func (r *Ring) Grow(oldest, next uint32) {
	old := *r
	slots := 2 * len(r.buffers)
	r.mask = uint32(slots - 1)
	r.buffers, r.sizes = make([][]byte, slots), make([]uint16, slots)
	for seq := oldest; seq != next; seq++ {
		r.buffers[seq&r.mask], r.sizes[seq&r.mask] = old.buffers[seq&old.mask], old.sizes[seq&old.mask]
	}
}

// Slots returns the number of slots.
func (r *Ring) Slots() int { return len(r.buffers) }

// Slot returns the slot of symbol seq.
func (r *Ring) Slot(seq uint32) int { return int(seq & r.mask) }

// Room returns an empty slice with room for n bytes at least, in which to make a
// symbol: Put then need not copy it. It is lent until a symbol that begins there is Put,
// or Room is called again, which may return the same.
func (r *Ring) Room(n int) []byte {
	begin := r.headroom + lengthSize
	if cap(r.room) < begin+n {
		if r.room != nil {
			r.Pool.Put(r.room)
		}
		r.room = r.Get(begin + n)
	}
	return r.room[begin:begin]
}

// Put stores a copy of symbol, or, if it was made in Room, the symbol itself, framed and
// padded, in place of what its slot held.
func (r *Ring) Put(seq uint32, symbol []byte) {
	r.Release(seq)
	begin := r.headroom + lengthSize
	size := lengthSize + len(symbol)
	end := r.headroom + gf.Pad(size)
	var b []byte
	if len(symbol) > 0 && r.room != nil && &symbol[0] == &r.room[begin] {
		b, r.room = r.room, nil
	} else {
		b = r.Get(end)
		copy(b[begin:], symbol)
	}
	b = b[:end]
	binary.BigEndian.PutUint16(b[r.headroom:], uint16(len(symbol)))
	clear(b[r.headroom+size:])
	r.buffers[seq&r.mask], r.sizes[seq&r.mask] = b, uint16(size)
}

// Release frees the slot of seq.
func (r *Ring) Release(seq uint32) {
	slot := seq & r.mask
	if r.sizes[slot] != 0 {
		r.Pool.Put(r.buffers[slot])
		r.buffers[slot], r.sizes[slot] = nil, 0
	}
}

// Size returns the length of the frame of seq without padding, 0 if the slot is
// free.
func (r *Ring) Size(seq uint32) int { return int(r.sizes[seq&r.mask]) }

// Frame returns the padded frame of seq, nil if the slot is free.
func (r *Ring) Frame(seq uint32) []byte {
	slot := seq & r.mask
	if r.sizes[slot] == 0 {
		return nil
	}
	f := r.buffers[slot][r.headroom:]
	binary.BigEndian.PutUint16(f, r.sizes[slot]-lengthSize) // Headed may have written over it
	return f
}

// Symbol returns the symbol in the slot of seq, nil if the slot is free. The bytes
// are the ring's.
func (r *Ring) Symbol(seq uint32) []byte { return r.Headed(seq, 0) }

// Headed returns the symbol in the slot of seq behind n bytes that the caller may write,
// at most Headroom in a ring made with it; nil if the slot is free. What is written
// is lost when the ring is used again.
func (r *Ring) Headed(seq uint32, n int) []byte {
	slot := seq & r.mask
	if r.sizes[slot] == 0 {
		return nil
	}
	return r.buffers[slot][r.headroom+lengthSize-n : r.headroom+int(r.sizes[slot])]
}
